"""Photographs as Python programs hold them are the same pixels as those of files."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.inputs import as_rgb
from mmseg_heritage.images.photographs import read_image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_pillow_image_is_read_as_its_file(mode, pixels, tmp_path):
    image = (
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        if mode == "I;16"
        else Image.fromarray(pixels).convert(mode)
    )
    path = tmp_path / "image.tif"
    image.save(path)
    expected = read_image(path)
    for given in (image, Image.open(path), path, str(path)):
        np.testing.assert_array_equal(as_rgb(given), expected)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV"])
def test_modes_that_no_file_has_are_converted(mode, pixels):
    image = Image.fromarray(pixels).convert(mode)
    np.testing.assert_array_equal(as_rgb(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(orientation, pixels, upright, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        found = as_rgb(image)
    np.testing.assert_array_equal(found, upright(pixels, orientation))


def test_the_color_profile_is_applied(pixels, tmp_path):
    # sRGB with the primaries of red and blue exchanged: what is stored as red is blue.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"tmp."), (b"bXYZ", b"rXYZ"), (b"tmp.", b"bXYZ")):
        profile = profile.replace(old, new)
    Image.fromarray(pixels).save(tmp_path / "swapped.png", icc_profile=profile)
    with Image.open(tmp_path / "swapped.png") as image:
        np.testing.assert_allclose(as_rgb(image), pixels[..., ::-1], atol=2)


def test_arrays_are_rgb_or_gray(pixels):
    np.testing.assert_array_equal(as_rgb(pixels), pixels)
    np.testing.assert_array_equal(as_rgb(pixels[..., 1]), pixels[..., [1, 1, 1]])
    turned = as_rgb(pixels[:, ::-1])
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, pixels[:, ::-1])


@pytest.mark.parametrize(
    "shape, dtype",
    [((4, 4, 3), np.float32), ((4, 4), bool), ((4, 4, 4), np.uint8), ((4, 4, 1), np.uint8),
     ((2, 4, 4, 3), np.uint8), ((4,), np.uint8), ((), np.uint8), ((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_other_arrays_are_refused(shape, dtype):
    with pytest.raises(InputError, match="expected an array of dtype uint8") as caught:
        as_rgb(np.zeros(shape, dtype))
    assert f"found {np.dtype(dtype)} {shape}" in str(caught.value)


def test_other_things_are_refused(pixels, tmp_path):
    with pytest.raises(InputError, match="found NoneType"):
        as_rgb(None)
    with pytest.raises(InputError, match="found bytes"):
        as_rgb(b"photo.jpg")
    with pytest.raises(InputError, match="the image is empty, 0x5"):
        as_rgb(Image.new("RGB", (0, 5)))
    with pytest.raises(InputError, match="the image: pixels of mode F"):
        as_rgb(Image.new("F", (2, 2)))
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:120])
    with (
        Image.open(tmp_path / "cut.png") as image,
        pytest.raises(InputError, match=r"cut.png: the image is truncated"),
    ):
        as_rgb(image)
