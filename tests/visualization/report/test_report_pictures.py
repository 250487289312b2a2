"""Pictures as data URIs: small enough, found by the names of the images, and never elsewhere."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.visualization.report import report_pictures as module
from mmseg_heritage.visualization.report.report_pictures import (
    find_panels,
    inline_panels,
    panel_uri,
)


def _noise(path, width=2000, height=700):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _opened(uri):
    kind, content = uri.split(";base64,")
    assert kind == "data:image/jpeg"
    content = base64.b64decode(content)
    return Image.open(io.BytesIO(content)), len(content)


def test_a_picture_is_shrunk_to_its_bytes_and_keeps_its_shape(tmp_path):
    path = _noise(tmp_path / "a.png")
    for limit in (400_000, 150_000):
        picture, size = _opened(panel_uri(path, limit))
        assert size <= limit
        assert max(picture.size) <= 1600
        assert picture.width / picture.height == pytest.approx(2000 / 700, rel=0.02)


def test_a_small_picture_keeps_its_size_and_colors(tmp_path):
    flat = np.zeros((40, 90, 3), np.uint8)
    flat[:, 45:] = (0, 0, 166)
    Image.fromarray(flat).save(tmp_path / "a.png")
    picture, _ = _opened(panel_uri(tmp_path / "a.png"))
    assert picture.size == (90, 40)
    assert np.abs(np.asarray(picture).astype(int) - flat).max() < 20


def test_a_tiny_limit_ends_at_the_smallest_edge(tmp_path):
    picture, _ = _opened(panel_uri(_noise(tmp_path / "a.png"), 1))
    assert 320 <= max(picture.size) < 320 / 0.85 + 1


def test_all_pictures_together_stay_below_the_limit(tmp_path, monkeypatch):
    path = _noise(tmp_path / "a.png", 600, 200)
    monkeypatch.setattr(module, "MAX_BYTES", 800_000)
    panels = [{f"{i}": path for i in range(6)}] * 2
    inlined = inline_panels(panels, [f"{i}" for i in range(6)])
    total = sum(_opened(uri)[1] for of_run in inlined for uri in of_run.values())
    assert 400_000 < total <= 800_000


def test_with_too_many_the_first_of_the_order_are_kept(tmp_path, monkeypatch):
    path = _noise(tmp_path / "a.png", 30, 10)
    monkeypatch.setattr(module, "MAX_PANELS", 4)
    panels = [dict.fromkeys("abcdef", path)] * 2
    assert [sorted(of_run) for of_run in inline_panels(panels, list("fedcba"))] == [["e", "f"]] * 2


def test_all_pictures_that_cannot_be_read_are_named(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_text("no picture")
    panels = [{name: tmp_path / f"{name}.png" for name in "ab"}]
    with pytest.raises(InputError, match="cannot be read") as raised:
        inline_panels(panels, ["a", "b"])
    assert len(raised.value.problems) == 2


def test_panels_are_found_by_id_in_their_folder_only(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    _noise(folder / "a.png", 30, 10)
    _noise(tmp_path / "secret.png", 30, 10)
    assert find_panels(folder, ["a", "b", "../secret"]) == {"a": folder / "a.png"}
    with pytest.raises(InputError, match="holds no picture of a tested image, such as b"):
        find_panels(folder, ["b", "../secret"])
    with pytest.raises(InputError, match="no such folder"):
        find_panels(tmp_path / "none", ["a"])
