"""CVAT's archive, read with Pillow by the label map; and archives as people change them."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.cvat import open_cvat, write_cvat
from mmseg_heritage.exchange.damage_map import Legend


def test_masks_have_the_colors_of_the_label_map(artefact_map, own_map, tmp_path):
    path = tmp_path / "cvat.zip"
    with write_cvat(path) as writer:
        writer.add(artefact_map, ())
        writer.add(own_map, ())
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("labelmap.txt").decode().splitlines()[1:]
        colors = {line.split(":")[0]: line.split(":")[1] for line in lines}
        assert len(set(colors.values())) == len(colors)
        assert colors["background"] == "0,0,0"
        names = archive.read("ImageSets/Segmentation/default.txt").decode().splitlines()
        assert names == ["old wall", "plaster"]
        for found in (artefact_map, own_map):
            image = Image.open(io.BytesIO(archive.read(f"SegmentationClass/{found.name}.png")))
            pixels = np.asarray(image.convert("RGB"))
            for c in found.drawn:
                color = [int(n) for n in colors[c.name].split(",")]
                assert np.array_equal((pixels == color).all(-1), found.class_map == c.id)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("Clean:0,0,0::\n", "a.png: has colors that no label has: #ff0000"),
        ("Clean:0,0::\n", "expected label:red,green,blue:parts:actions, found 'Clean:0,0::'"),
        ("Clean:0,0,999::\n", "expected label:red,green,blue"),
        ("Claen:255,0,0::\n", "'Claen' is no class; did you mean Clean"),
    ],
)
def test_what_cannot_be_read_is_named(labels, message, tmp_path, own_map):
    png = io.BytesIO()
    Image.new("RGB", (4, 3), (255, 0, 0)).save(png, "PNG")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("labelmap.txt", "# label:color_rgb:parts:actions\n" + labels)
        archive.writestr("SegmentationClass/a.png", png.getvalue())
    with pytest.raises(InputError) as caught:
        for reader in open_cvat(tmp_path / "a.zip").values():
            reader((4, 3), Legend(own_map.classes, None, "Clean"))
    assert message in str(caught.value)
