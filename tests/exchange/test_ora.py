"""ORA by its specification: read with zipfile, ElementTree and Pillow."""

import io
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import Legend
from mmseg_heritage.exchange.ora import read_ora, write_ora
from mmseg_heritage.taxonomy import ARTEFACT


def photograph_of(found):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*found.class_map.shape, 3), dtype=np.uint8)


def test_the_file_is_as_the_specification_asks(artefact_map, tmp_path):
    path = tmp_path / "map.ora"
    photograph = photograph_of(artefact_map)
    write_ora(path, artefact_map, photograph)
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert archive.read("mimetype") == b"image/openraster"
        image = ElementTree.fromstring(archive.read("stack.xml"))
        assert (image.tag, image.get("w"), image.get("h")) == ("image", "83", "60")
        (stack,) = image
        layers = {}
        for layer in stack:
            pixels = Image.open(io.BytesIO(archive.read(layer.get("src"))))
            canvas = Image.new("RGBA", artefact_map.size)
            canvas.paste(pixels.convert("RGBA"), (int(layer.get("x")), int(layer.get("y"))))
            layers[layer.get("name")] = np.asarray(canvas)
        merged = Image.open(io.BytesIO(archive.read("mergedimage.png")))
        thumbnail = Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png")))
    assert merged.size == artefact_map.size
    assert max(thumbnail.size) <= 256
    assert list(layers)[-1] == "Photograph"  # the lowest
    assert np.array_equal(layers.pop("Photograph")[..., :3], photograph)
    present = [c for c in artefact_map.drawn if (artefact_map.class_map == c.id).any()]
    assert set(layers) == {c.name for c in present}
    for c in present:
        where = layers[c.name][..., 3] > 0
        assert np.array_equal(where, artefact_map.class_map == c.id)
        assert (layers[c.name][where] == (*c.color, 255)).all()
    shown = [layer.get("name") for layer in stack if layer.get("visibility") == "visible"]
    assert "Background" not in shown


def edited(path, change):
    """Writes an ORA file again with changed layers, without what was written about it."""
    stack = change('<image w="8" h="6"><stack>{}</stack></image>')
    soft = np.zeros((6, 8, 4), np.uint8)
    soft[1:4, 1:5, 3] = 255
    soft[1, 1:5, 3], soft[3, 1:5, 3] = 100, 200
    png = io.BytesIO()
    Image.fromarray(soft).save(png, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("stack.xml", stack)
        archive.writestr("data/a.png", png.getvalue())
    return read_ora(path, (8, 6), Legend(ARTEFACT, None, "ignore"))


def test_soft_edges_are_snapped_and_counted(tmp_path):
    layer = '<layer name="cracks" src="data/a.png" x="0" y="-1"/>'
    reading = edited(tmp_path / "a.ora", lambda text: text.format(layer))
    assert reading.class_map[1:3, 1:5].tolist() == [[9] * 4] * 2
    assert np.count_nonzero(reading.class_map == 9) == 8
    assert reading.notes == ["8 half transparent pixels: painted where half opaque or more"]


def test_upper_layers_count_also_in_groups_and_hidden(tmp_path):
    layers = (
        '<stack x="1"><layer name="Fold" src="data/a.png" visibility="hidden"/></stack>'
        '<layer name="Cracks" src="data/a.png"/>'
    )
    reading = edited(tmp_path / "a.ora", lambda text: text.format(layers))
    assert reading.class_map[2].tolist() == [255, 9, 7, 7, 7, 7, 255, 255]
    assert "1 hidden layer read as well" in reading.notes


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ('<layer name="Crax" src="data/a.png"/>', "'Crax' is no class; did you mean Cracks"),
        ('<layer name="Cracks" src="data/b.png"/>', "holds no 'data/b.png'"),
        ('<layer name="Cracks" src="data/a.png" x="a"/>', "expected whole numbers as x"),
        ('<layer name="Cracks" src="stack.xml"/>', "layer 'Cracks'"),
    ],
)
def test_what_cannot_be_read_is_named(layer, message, tmp_path):
    with pytest.raises(InputError) as caught:
        edited(tmp_path / "a.ora", lambda text: text.format(layer))
    assert message in str(caught.value)


def test_a_layer_of_another_canvas_is_refused(artefact_map, tmp_path):
    write_ora(tmp_path / "map.ora", artefact_map, None)
    with pytest.raises(InputError, match="was drawn on 83x60 pixels"):
        read_ora(tmp_path / "map.ora", (60, 83), Legend(ARTEFACT, None, "Clean"))
