"""Masks of any coding become the class ids that a mapping says, pixel for pixel."""

import json

import numpy as np
import pytest
from PIL import ExifTags, Image

from mmseg_heritage.dataprep.importing.coded_masks import Coder, read_coded_mask
from mmseg_heritage.dataprep.importing.label_mapping import SCHEMA, load_mapping
from mmseg_heritage.images.image_files import ImageFault

GRAY = {"0": "Clean", "7": "Cracks", "255": "ignore"}
COLORS = {"#000000": "Clean", "#ff0080": "Cracks", "#ffffff": "ignore"}


@pytest.fixture
def coder(tmp_path):
    def coder(values, **content):
        path = tmp_path / "mapping.json"
        path.write_text(json.dumps({"schema": SCHEMA, "values": values} | content))
        return Coder(load_mapping(path))

    return coder


def random_values(values, seed=0):
    return np.random.default_rng(seed).choice(np.array(values), (20, 30))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("u1", ".png"), ("<u2", ".png"), ("<u2", ".tif"), ("<i4", ".tif"), ("u1", ".bmp")],
)
def test_gray_values_of_any_depth(kind, suffix, coder, tmp_path):
    values = random_values([0, 7, 255])
    path = tmp_path / f"mask{suffix}"
    Image.fromarray(values.astype(kind)).save(path)
    counter = coder(GRAY)
    found = read_coded_mask(path, (30, 20), counter)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.select([values == 7, values == 255], [9, 255]))
    assert counter.pixels.tolist() == [np.count_nonzero(values == v) for v in (0, 7, 255)]
    assert not counter.unmapped


def test_gray_in_three_equal_channels_is_read_and_colors_are_not(coder, tmp_path):
    values = random_values([0, 7, 255]).astype(np.uint8)
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(tmp_path / "gray.png")
    found = read_coded_mask(tmp_path / "gray.png", None, coder(GRAY))
    assert np.array_equal(found == 9, values == 7)
    Image.fromarray(np.stack([values, values, values // 2], axis=-1)).save(tmp_path / "red.png")
    with pytest.raises(ImageFault, match="the mask has colors; name them"):
        read_coded_mask(tmp_path / "red.png", None, coder(GRAY))


def test_one_bit_is_0_and_255_and_a_palette_its_index(coder, tmp_path):
    bits = random_values([False, True])
    Image.fromarray(bits).save(tmp_path / "bits.png")
    assert Image.open(tmp_path / "bits.png").mode == "1"
    found = read_coded_mask(tmp_path / "bits.png", None, coder({"<128": "Clean", ">=128": "Dust"}))
    assert np.array_equal(found == 3, bits)
    image = Image.fromarray((7 * bits).astype(np.uint8)).convert("P")
    image.putpalette([200, 100, 50] * 256)
    image.save(tmp_path / "palette.png")
    found = read_coded_mask(tmp_path / "palette.png", None, coder(GRAY))
    assert np.array_equal(found == 9, bits)


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_colors_as_such_or_in_a_palette(mode, coder, tmp_path):
    names = random_values([0, 1, 2]).astype(np.uint8)
    colors = np.array([[0, 0, 0], [255, 0, 128], [255, 255, 255]], np.uint8)
    if mode == "P":
        image = Image.fromarray(names).convert("P")
        image.putpalette(colors.tobytes())
    else:
        image = Image.fromarray(colors[names])
    image.save(tmp_path / "mask.png")
    counter = coder(COLORS)
    found = read_coded_mask(tmp_path / "mask.png", None, counter)
    assert np.array_equal(found, np.array([0, 9, 255])[names])
    assert counter.pixels.sum() == names.size


@pytest.mark.parametrize("text", [">=100", ">99"])
def test_limits_divide_all_values(text, coder, tmp_path):
    values = random_values(range(256)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "mask.png")
    found = read_coded_mask(tmp_path / "mask.png", None, coder({"<100": "Clean", text: "Hair"}))
    assert np.array_equal(found == 5, values >= 100)


@pytest.mark.parametrize(
    ("kind", "extra"), [("u1", [254]), ("<i4", [-1, 65536, 2**31 - 1]), ("<u2", [65535])]
)
def test_every_value_without_a_meaning_is_counted(kind, extra, coder, tmp_path):
    values = random_values([0, 7, *extra])
    Image.fromarray(values.astype(kind)).save(tmp_path / "mask.tif")
    counter = coder(GRAY)
    read_coded_mask(tmp_path / "mask.tif", None, counter)
    assert counter.unmapped == {v: np.count_nonzero(values == v) for v in extra}
    assert counter.pixels.sum() + counter.unmapped.total() == values.size


def test_it_is_turned_like_a_photograph(coder, tmp_path):
    values = random_values([0, 7]).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(values).save(tmp_path / "mask.png", exif=exif)
    found = read_coded_mask(tmp_path / "mask.png", (20, 30), coder(GRAY))
    assert np.array_equal(found == 9, np.rot90(values == 7, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "F"])
@pytest.mark.parametrize("values", [GRAY, COLORS])
def test_transparency_and_other_modes_are_refused(mode, values, coder, tmp_path):
    path = tmp_path / ("mask.png" if mode in ("RGBA", "LA") else "mask.tif")
    Image.new(mode, (30, 20)).save(path)
    with pytest.raises(ImageFault, match=f"mask has mode {mode}") as caught:
        read_coded_mask(path, None, coder(values))
    assert caught.value.kind == "mode"


def test_another_size_and_16_bits_per_color_are_refused(coder, tmp_path):
    import cv2

    Image.new("L", (30, 20)).save(tmp_path / "mask.png")
    with pytest.raises(ImageFault, match="expected the size of its image, 20x30, found 30x20"):
        read_coded_mask(tmp_path / "mask.png", (20, 30), coder(GRAY))
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((20, 30, 3), np.uint16))
    with pytest.raises(ImageFault, match="mode RGB with 16 bits"):
        read_coded_mask(tmp_path / "deep.png", None, coder(COLORS))


def test_mat_files(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    values = random_values([1, 2, 3, 4])
    path = tmp_path / "001.mat"
    savemat(path, {"groundTruth": {"Segmentation": values.astype(np.uint16), "Boundaries": values}})
    counter = Coder(load_mapping("crackforest"))
    found = read_coded_mask(path, (30, 20), counter)
    assert np.array_equal(found, np.where(values % 2 == 0, 9, 0))
    with pytest.raises(ImageFault, match=r"001\.mat: expected the size of its image"):
        read_coded_mask(path, (20, 30), counter)
