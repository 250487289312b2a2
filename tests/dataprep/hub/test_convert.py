"""Image files of rows: kept or converted without a changed pixel, and faulty ones refused."""

import io

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.hub.convert import convert_annotation, convert_image
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.photographs import read_image


def encoded(pixels, kind="PNG", mode=None):
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("number", range(7))
def test_photographs_keep_their_bytes(number, row):
    content = row(number)["image"]["bytes"]
    written, found = convert_image("a", content, "label", None)
    assert found == content
    assert written.size == written.stored_size == [40, 30]
    assert written.bytes == len(content)
    suffix = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif"}[written.stored.split()[0]]
    assert written.file == f"images/a{suffix}"


@pytest.mark.parametrize("number", range(7))
def test_smaller_photographs_are_png_of_the_same_picture(number, row):
    content = row(number)["image"]["bytes"]
    written, found = convert_image("a", content, "label", 20)
    assert written.file == "images/a.png"
    assert written.size == [20, 15]
    assert written.stored_size == [40, 30]
    small = read_image(found)
    assert small.shape == (15, 20, 3)
    blocks = read_image(content).reshape(15, 2, 20, 2, 3).mean((1, 3))
    assert abs(small.astype(float) - blocks).mean() < 0.5 * abs(127 - blocks).mean()
    assert convert_image("a", content, "label", 40)[1] == content  # never larger, never again


@pytest.mark.parametrize("number", range(6))
def test_masks_of_all_kinds_become_the_same_png(number, row, expected_mask):
    content = row(number)["annotation"]["bytes"]
    written, found = convert_annotation("a", content, "label", None, (40, 30))
    image = Image.open(io.BytesIO(found))
    assert (image.format, image.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(image), expected_mask(number))
    assert written.file == "annotations/a.png"
    assert written.expected is written.kept is None


def test_a_smaller_mask_records_what_became_of_the_classes(row):
    mask = np.zeros((30, 40), np.uint8)
    mask[:, 20:] = 255
    mask[3, 3] = 5
    written, found = convert_annotation("a", encoded(mask), "label", 20, (40, 30))
    small = np.asarray(Image.open(io.BytesIO(found)))
    assert written.expected[:6] == [150, 0, 0, 0, 0, 1]  # 599 / 4 and 1 / 4 pixels
    assert written.kept == [np.count_nonzero(small == c) for c in range(16)]
    assert written.kept[5] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encoded(np.full((30, 40), 254, np.uint8)), "label: expected class ids 0..15 or 255.* 254"),
        (encoded(np.full((30, 40), -1, np.int32), "TIFF"), "found -1"),
        (encoded(np.full((30, 40), 256, np.int32), "TIFF"), "found 256"),
        (encoded(np.zeros((40, 30), np.uint8)), "size of its image, 40x30, found 30x40"),
        (encoded(np.zeros((30, 40, 3), np.uint8)), "3 channels, its colors equal"),
        (encoded(np.zeros((30, 40), np.uint8))[:-30], "label: .*truncated"),
        (b"no image", "label: cannot be read as an image"),
    ],
)
def test_a_faulty_mask_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        convert_annotation("a", content, "label", None, (40, 30))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            encoded(np.zeros((30, 40), np.uint8), "GIF"),
            "label: expected PNG.*, found GIF; ",
        ),
        (encoded(np.zeros((30, 40, 3), np.uint8))[:-30], "label: .*truncated"),
        (b"no image", "label: cannot be read as an image"),
    ],
)
def test_a_faulty_photograph_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        convert_image("a", content, "label", None)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_masks_in_formats_that_change_ids_are_refused(kind):
    content = encoded(np.zeros((30, 40), np.uint8), kind)
    with pytest.raises(InputError, match=rf"^label: found a mask as {kind}, which changes ids"):
        convert_annotation("a", content, "label", None, (40, 30))
