"""Photographs with 16 bits per colour, against what was written and against exact rounding."""

import builtins
import io
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images import deep_images
from mmseg_heritage.images.image_files import ImageFault, image_header, image_size
from mmseg_heritage.images.photographs import read_image

ORIENTATION = (274, "H", 1)  # tag, type and count, as tifffile takes extra tags


@pytest.fixture
def deep():
    """uint16 (37, 53, 3)."""
    return np.random.default_rng(0).integers(0, 1 << 16, (37, 53, 3), dtype=np.uint16)


@pytest.fixture
def alpha():
    """uint16 (37, 53, 1)."""
    return np.random.default_rng(1).integers(0, 1 << 16, (37, 53, 1), dtype=np.uint16)


@pytest.fixture
def no_imagecodecs(monkeypatch):
    """Pretends that tifffile can decode nothing by itself."""
    monkeypatch.setattr(deep_images, "_OWN_CODECS", ())
    monkeypatch.setattr(deep_images, "find_spec", lambda name: None)


def _rounded(deep):
    """Returns the nearest 8-bit levels, by floating point."""
    return np.rint(deep / 257).astype(np.uint8)


def _planar(array):
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


LAYOUTS = {
    "little-endian": {},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "tiles": {"tile": (16, 32)},
    "strips": {"rowsperstrip": 5},
    "deflate": {"compression": "zlib"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiff_keeps_all_its_bits(tmp_path, deep, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep, photometric="rgb", **LAYOUTS[layout])
    np.testing.assert_array_equal(read_image(path), _rounded(deep))
    np.testing.assert_array_equal(read_image(path.read_bytes()), _rounded(deep))
    assert image_size(path) == (53, 37)


def test_planes_of_colour_are_put_together(tmp_path, deep):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _planar(deep), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path), _rounded(deep))


def test_the_first_page_counts(tmp_path, deep):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([deep, deep[::-1]]), photometric="rgb")
    np.testing.assert_array_equal(read_image(path), _rounded(deep))


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])  # none, LZW, deflate, PackBits
def test_what_opencv_writes_is_read(tmp_path, deep, compression):
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), deep[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    np.testing.assert_array_equal(read_image(path), _rounded(deep))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's, of the file that is cut off
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compression", [1, 5])
def test_opencv_steps_in_for_missing_codecs(
    tmp_path, deep, alpha, channels, compression, no_imagecodecs
):
    path = tmp_path / "a.tif"
    array = np.concatenate([deep[..., ::-1], alpha], -1)[..., :channels]
    cv2.imwrite(str(path), array, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    np.testing.assert_array_equal(read_image(path), _rounded(deep))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageFault, match=r"a\.tif: .*(truncated|cannot be read)"):
        read_image(path)


@pytest.mark.parametrize("reason", ["turned", "planes", "inks"])
def test_where_opencv_cannot_the_message_says_what_to_install(
    tmp_path, deep, alpha, reason, no_imagecodecs
):
    path = tmp_path / "a.tif"
    if reason == "turned":
        tifffile.imwrite(path, deep, photometric="rgb", extratags=[(*ORIENTATION, 6, True)])
    elif reason == "planes":
        tifffile.imwrite(path, _planar(deep), photometric="rgb", planarconfig="separate")
    else:
        tifffile.imwrite(path, np.concatenate([deep, alpha], -1), photometric="separated")
    with pytest.raises(
        ImageFault, match=r"a\.tif: .*requires the 'imagecodecs' package; pip install .*imagecodecs"
    ):
        read_image(path)


def test_without_tifffile_the_message_says_what_to_install(tmp_path, deep, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep, photometric="rgb")
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tifffile":
            raise ImportError("no tifffile")
        return original(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "tifffile")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"a\.tif: .*needs tifffile; pip install tifffile"):
        read_image(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_photographs_are_turned(tmp_path, deep, orientation, upright):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, deep, photometric="rgb", extratags=[(*ORIENTATION, orientation, True)])
    expected = upright(_rounded(deep), orientation)
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("channels", [3, 4])
def test_png_keeps_all_its_bits(tmp_path, deep, alpha, channels, orientation, upright):
    path = tmp_path / "a.png"
    array = np.concatenate([deep[..., ::-1], alpha], -1)[..., :channels]
    content = cv2.imencode(".png", array)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = orientation
    tags = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + tags
    head = content[:33]  # signature and IHDR
    path.write_bytes(head + len(tags).to_bytes(4, "big") + chunk + _crc(chunk) + content[33:])
    assert image_header(path).is_deep
    np.testing.assert_array_equal(read_image(path), upright(_rounded(deep), orientation))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ImageFault, match=r"a\.png: the image is truncated") as caught:
        read_image(path)
    assert caught.value.kind == "truncated"


def _crc(chunk):
    return zlib.crc32(chunk).to_bytes(4, "big")


class TestAlpha:
    """It is dropped, whatever it was multiplied with."""

    def test_plain_alpha_leaves_the_colours(self, tmp_path, deep, alpha):
        path = tmp_path / "a.tif"
        array = np.concatenate([deep, alpha], -1)
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=["unassalpha"])
        np.testing.assert_array_equal(read_image(path), _rounded(deep))

    def test_multiplied_colours_are_restored(self, tmp_path, deep, alpha):
        path = tmp_path / "a.tif"
        alpha = np.maximum(alpha, 4096)  # below, 16 bits hold too little of the colour
        multiplied = np.rint(deep * (alpha / 65535)).astype(np.uint16)
        array = np.concatenate([multiplied, alpha], -1)
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=["assocalpha"])
        assert np.abs(read_image(path).astype(int) - _rounded(deep)).max() <= 1

    def test_nothing_is_divided_by_a_zero(self, tmp_path, deep, alpha):
        path = tmp_path / "a.tif"
        array = np.concatenate([deep, 0 * alpha], -1)
        array[:5, :, :3] = 0
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=["assocalpha"])
        image = read_image(path)
        assert (image[:5] == 0).all()


def test_inks_of_16_bits_are_those_of_8(tmp_path, deep, alpha):
    inks = np.concatenate([deep, alpha], -1)
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    expected = np.array(Image.fromarray(_rounded(inks), "CMYK").convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_grey_follows_what_is_white(tmp_path, deep, photometric):
    grey = deep[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric=photometric)
    expected = _rounded(65535 - grey if photometric == "miniswhite" else grey)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected[..., None].repeat(3, 2))


@pytest.mark.parametrize(
    ("dtype", "photometric"),
    [("f4", "rgb"), ("f2", "minisblack"), ("u4", "rgb"), ("u2", "cielab"), ("u1", "cielab")],
)
def test_other_kinds_are_refused_with_what_to_do(tmp_path, deep, dtype, photometric):
    array = deep[..., 0] if photometric == "minisblack" else deep
    tifffile.imwrite(tmp_path / "a.tif", (array // 300).astype(dtype), photometric=photometric)
    with pytest.raises(ImageFault, match=r"a\.tif: .*8 or 16 bits") as caught:
        read_image(tmp_path / "a.tif")
    assert caught.value.kind in ("mode", "unreadable")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_tiffs_are_named(tmp_path, deep, share):
    stream = io.BytesIO()
    tifffile.imwrite(stream, deep, photometric="rgb")
    path = tmp_path / "cut.tif"
    path.write_bytes(stream.getvalue()[: int(share * len(stream.getvalue()))])
    with pytest.raises(ImageFault, match=r"cut\.tif: .*truncated"):
        read_image(path)


def test_grey_and_alpha_of_16_bits(tmp_path, deep):
    grey_alpha = deep[..., :2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in grey_alpha)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 53, 37, 16, 4, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + kind + data + _crc(kind + data)
    expected = _rounded(grey_alpha[..., :1]).repeat(3, 2)
    np.testing.assert_array_equal(read_image(content), expected)
