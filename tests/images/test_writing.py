"""Class maps: ids for programs, colors for viewers."""

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips
from mmseg_heritage.images.writing import color_table, write_class_map, write_image
from mmseg_heritage.taxonomy import ARTEFACT

PALETTE = ARTEFACT.colors


def test_a_class_map_keeps_ids_and_shows_colors(tmp_path):
    class_map = np.random.default_rng(0).integers(0, 16, (20, 30), dtype=np.uint8)
    class_map[:2] = 255
    path = tmp_path / "deep" / "map.png"
    write_class_map(path, class_map, PALETTE)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), class_map)
        colors = np.asarray(image.convert("RGB"))
    assert np.array_equal(colors, color_table(PALETTE)[class_map])
    assert colors[10, 10].tolist() == list(PALETTE[class_map[10, 10]])


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30, 4), (20, 30)])
def test_an_image_is_written_as_it_is(shape, tmp_path, monkeypatch):
    monkeypatch.setattr(  # several, the last of them cut
        "mmseg_heritage.images.writing.strips", lambda *size: strips(*size, pixels=200)
    )
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kept = pixels.copy()
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(pixels, kept)
    write_image(tmp_path / "b.png", pixels, reuse=True)
    assert np.array_equal(pixels, kept) == (len(shape) == 2)  # its own memory, no other
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as image:
            assert np.array_equal(np.asarray(image), kept)


def test_an_image_that_a_format_does_not_hold_is_one_message(tmp_path):
    with pytest.raises(InputError, match=r"70000x1 pixels cannot be written as \.jpg"):
        write_image(tmp_path / "a.jpg", np.zeros((1, 70_000, 3), np.uint8))
    assert not list(tmp_path.iterdir())
