"""Reading annotations: every mode, and every value that is no class id."""

import io

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import ImageFault
from mmseg_heritage.images.masks import (
    class_pixels,
    pair_counts,
    position_table,
    read_mask,
    value_counts,
)
from mmseg_heritage.taxonomy import DamageClass, named_classes, own_classes

MASK = np.array([[0, 1, 15], [255, 9, 0]])


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", ".png"), ("L", ".tif"), ("P", ".png"), ("P", ".tif"), ("I;16", ".png"),
     ("I;16", ".tif"), ("I;16B", ".tif"), ("I", ".tif")],
)  # fmt: skip
def test_masks_keep_their_ids_in_every_mode(tmp_path, mode, suffix):
    path = tmp_path / f"a{suffix}"
    if mode == "P":
        image = Image.fromarray(MASK.astype(np.uint8)).convert("P")
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    else:
        dtype = {"L": "u1", "I;16": "<u2", "I;16B": ">u2", "I": "i4"}[mode]
        image = Image.fromarray(MASK.astype(dtype))
    image.save(path)
    with Image.open(path) as stored:
        assert stored.mode == mode or {stored.mode, mode} <= {"I", "I;16", "I;16B"}
    mask = read_mask(path, (3, 2))
    np.testing.assert_array_equal(mask, MASK)
    assert mask.dtype == np.uint8


COLORS = np.stack([MASK, MASK * 0, MASK % 7], -1).astype(np.uint8)
STORED = {
    "three channels": (MASK, "RGB", "3 channels, its colors equal; save the gray alone"),
    "four channels": (MASK, "RGBA", "4 channels, its colors equal; save the gray alone"),
    "gray and alpha": (MASK, "LA", "gray with alpha; save the gray alone"),
    "colors": (COLORS, "RGB", "colors; import-data .*artefact_colors"),
    "colors and alpha": (COLORS, "RGBA", "colors; import-data .*artefact_colors"),
    "one bit": (MASK, "1", "1-bit gray, .*8 bits"),
    "inks": (COLORS, "CMYK", "mode CMYK; save ids with 8 bits"),
    "floating point": (MASK, "F", "mode F; save ids with 8 bits"),
}


@pytest.mark.parametrize("name", STORED)
def test_masks_stored_otherwise_are_refused_for_what_they_are(tmp_path, name, saved):
    array, mode, message = STORED[name]
    path = saved(tmp_path / "a.tif", array.astype(np.uint8), mode)
    message = rf"a\.tif: expected a mask with one channel of class ids, found {message}"
    with pytest.raises(ImageFault, match=message) as caught:
        read_mask(path)
    assert caught.value.kind == "mode"


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_of_few_bits_is_refused_as_programs_stretch_it(bits, png_file):
    ids = np.array([[0, 1, 1, 0]], np.uint8)
    row = np.packbits(np.unpackbits(ids[..., None], axis=-1)[..., 8 - bits :])
    content = png_file((4, 1), bits, 0, b"\0" + row.tobytes())
    with Image.open(io.BytesIO(content)) as image:
        assert np.asarray(image.convert("L")).max() == 255 // (2**bits - 1)  # not 1
    with pytest.raises(ImageFault, match=f"found {bits}-bit gray") as caught:
        read_mask(content)
    assert caught.value.kind == "mode"


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".jpg", {}), (".webp", {}), (".tif", {"compression": "jpeg"})],
)
def test_formats_that_change_ids_are_refused_by_name(tmp_path, suffix, options, saved):
    path = saved(tmp_path / f"a{suffix}", MASK.astype(np.uint8), **options)
    name = {".jpg": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}[suffix]
    message = f"found a mask as {name}, which changes ids .*export it again as PNG"
    for source in (path, path.read_bytes()):
        with pytest.raises(ImageFault, match=message) as caught:
            read_mask(source)
        assert caught.value.kind == "mode"


@pytest.mark.parametrize("value", [16, 17, 100, 254])
def test_values_between_the_classes_and_255_are_refused_and_named(tmp_path, value, saved):
    mask = MASK.copy()
    mask[0, 0] = value
    path = saved(tmp_path / "a.png", mask.astype(np.uint8))
    message = rf"a\.png: expected class ids 0..15 or 255, found {value} \(1 of 6 pixels\)"
    with pytest.raises(ImageFault, match=message) as caught:
        read_mask(path)
    assert (caught.value.kind, caught.value.values) == ("ids", {value: 1})
    assert ("16 is the background: map it to 255" in str(caught.value)) == (value == 16)


def test_own_classes_say_which_values_are_legal(tmp_path, saved):
    own = named_classes(("Moss", "Clean", "Salt"))
    mask = np.array([[0, 1, 2], [255, 3, 16]], np.uint8)
    path = saved(tmp_path / "a.png", mask)
    message = (
        r"class ids 0 \(Moss\), 1 \(Clean\), 2 \(Salt\) or 255, found 3, 16 \(2 of 6 pixels\)$"
    )
    with pytest.raises(ImageFault, match=message) as caught:
        read_mask(path, classes=own)
    assert caught.value.values == {3: 1, 16: 1}
    mask[1, 1:] = 255
    assert np.array_equal(read_mask(saved(path, mask), classes=own), mask)
    many = own_classes([DamageClass(i, f"c{i}", (i, 0, 0)) for i in (9, 0, 1, 2, 3, 5, 6, 7, 100)])
    with pytest.raises(ImageFault, match=r"class ids 0\.\.3, 5\.\.7, 9, 100 or 255, found 4"):
        read_mask(saved(path, np.full((2, 2), 4, np.uint8)), classes=many)


@pytest.mark.parametrize("value", [16, 256, 65535, -1])
def test_values_that_8_bits_would_wrap_are_refused_too(tmp_path, value, saved):
    mask = MASK.astype(np.int32)
    mask[0, 0] = value
    path = saved(tmp_path / "a.tif", mask)
    with pytest.raises(InputError, match=rf"found {value} \(1 of 6 pixels\)"):
        read_mask(path)


def test_at_most_five_illegal_values_are_listed_in_order(tmp_path, saved):
    path = saved(tmp_path / "a.png", np.array([[22, 21, 20], [19, 18, 17]], np.uint8))
    with pytest.raises(InputError, match=r"found 17, 18, 19, 20, 21, \.\.\. \(6 of 6 pixels\);"):
        read_mask(path)


@pytest.mark.parametrize("size", [(2, 3), (3, 1), (4, 2)])
def test_a_mask_of_another_size_names_both(tmp_path, size, saved):
    path = saved(tmp_path / "a.png", MASK.astype(np.uint8))
    with pytest.raises(InputError, match=rf"its image, {size[0]}x{size[1]}, found 3x2"):
        read_mask(path, size)


def test_illegal_pixels_are_counted_across_strips(tmp_path, saved):
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 3, 15, 255], np.uint8), (2100, 2100))  # above 4 megapixels
    wrong = {17: 3, 99: 5000, 254: 1}
    places = rng.permutation(mask.size)[: sum(wrong.values())]
    mask.flat[places] = np.repeat(list(wrong), list(wrong.values()))
    for array in (mask, mask.astype(np.int32) + 256 * (mask == 99).astype(np.int32)):
        path = saved(tmp_path / "a.tif", array)
        with pytest.raises(ImageFault) as caught:
            read_mask(path)
        values, counts = np.unique(array, return_counts=True)
        illegal = {v: c for v, c in zip(values, counts, strict=True) if v not in (0, 3, 15, 255)}
        assert caught.value.values == illegal


def test_pairs_of_values_are_counted():
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 256, (2, 70, 90), dtype=np.uint8)
    both = first.astype(int) * 256 + second
    expected = np.bincount(both.ravel(), minlength=1 << 16).reshape(256, 256)
    assert np.array_equal(pair_counts(first, second, 256), expected)
    assert np.array_equal(pair_counts(first, second, 7), expected[:7, :7])
    assert np.array_equal(
        value_counts(first, second[:5]),
        np.bincount(np.concatenate([first.ravel(), second[:5].ravel()]), minlength=256),
    )


@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_every_pixel_is_counted_once_whatever_the_block(block, monkeypatch):
    monkeypatch.setattr("mmseg_heritage.images.masks._COUNTED", block)
    mask = np.random.default_rng(0).choice([*range(12), 15, 255], (13, 11)).astype(np.uint8)
    counts = class_pixels(mask)
    assert counts.dtype == np.int64
    assert counts.tolist() == [(mask == i).sum() for i in [*range(16), 255]]


def test_a_table_turns_mask_values_into_positions_and_keeps_254_where_asked():
    table = position_table([0, 9, 255])
    assert table[[0, 9, 255, 1, 254]].tolist() == [0, 1, 2, 255, 255]
    assert position_table([7, 0], undecided=True)[[7, 0, 254, 255]].tolist() == [0, 1, 254, 255]
