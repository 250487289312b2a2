"""Photographs with 16 bits per color, against what was written and against exact rounding."""

import builtins
import io
import struct
import sys
import tracemalloc
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


def test_planes_of_color_are_put_together(tmp_path, deep):
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
def test_png_keeps_all_its_bits(tmp_path, deep, alpha, channels, orientation, upright, png_chunk):
    path = tmp_path / "a.png"
    array = np.concatenate([deep[..., ::-1], alpha], -1)[..., :channels]
    content = cv2.imencode(".png", array)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = orientation
    tags = exif.tobytes().removeprefix(b"Exif\0\0")
    head = content[:33]  # signature and IHDR
    path.write_bytes(head + png_chunk(b"eXIf", tags) + content[33:])
    assert image_header(path).is_deep
    np.testing.assert_array_equal(read_image(path), upright(_rounded(deep), orientation))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ImageFault, match=r"a\.png: the image is truncated") as caught:
        read_image(path)
    assert caught.value.kind == "truncated"


class TestAlpha:
    """It is dropped, whatever it was multiplied with."""

    def test_plain_alpha_leaves_the_colors(self, tmp_path, deep, alpha):
        path = tmp_path / "a.tif"
        array = np.concatenate([deep, alpha], -1)
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=["unassalpha"])
        np.testing.assert_array_equal(read_image(path), _rounded(deep))

    def test_multiplied_colors_are_restored(self, tmp_path, deep, alpha):
        path = tmp_path / "a.tif"
        alpha = np.maximum(alpha, 4096)  # below, 16 bits hold too little of the color
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
def test_gray_follows_what_is_white(tmp_path, deep, photometric):
    gray = deep[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", gray, photometric=photometric)
    expected = _rounded(65535 - gray if photometric == "miniswhite" else gray)
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


def test_gray_and_alpha_of_16_bits(png_file, deep):
    gray_alpha = deep[..., :2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in gray_alpha)
    content = png_file((53, 37), 16, 4, rows)
    expected = _rounded(gray_alpha[..., :1]).repeat(3, 2)
    np.testing.assert_array_equal(read_image(content), expected)


KINDS = {
    "RGB": ("rgb", 3, []),
    "RGB, alpha": ("rgb", 3, ["unassalpha"]),
    "RGB, one more": ("rgb", 3, ["unspecified"]),
    "RGB, two alphas": ("rgb", 3, ["unassalpha", "unassalpha"]),
    "RGB, alpha, one more": ("rgb", 3, ["unassalpha", "unspecified"]),
    "CMYK": ("separated", 4, []),
    "CMYK, alpha": ("separated", 4, ["unassalpha"]),
    "CMYK, spot color": ("separated", 4, ["unspecified"]),
    "gray, alpha": ("minisblack", 1, ["unassalpha"]),
    "gray, two alphas": ("minisblack", 1, ["unassalpha", "unassalpha"]),
}


class TestChannels:
    """Layouts of TIFF, in 8 and 16 bits: the colors are taken by name, the others left."""

    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("planes", ["contig", "separate"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_layout(self, tmp_path, kind, dtype, planes, compression):
        photometric, number, extra = KINDS[kind]
        channels = number + len(extra)
        full = np.iinfo(dtype).max
        array = np.random.default_rng(0).integers(0, full + 1, (37, 53, channels), dtype=dtype)
        tifffile.imwrite(
            tmp_path / "a.tif", _planar(array) if planes == "separate" else array,
            photometric=photometric, planarconfig=planes, extrasamples=extra or None,
            compression=compression, extratags=[(*ORIENTATION, 3, True)],
        )  # fmt: skip
        stored = np.rint(array[::-1, ::-1, :number] / (full // 255)).astype(np.uint8)
        if number == 4:
            stored = np.asarray(Image.fromarray(stored, "CMYK").convert("RGB"))
        expected = np.broadcast_to(stored, (37, 53, 3))
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)
        header = image_header(tmp_path / "a.tif")
        assert (header.size, header.orientation) == ((53, 37), 3)

    def test_what_cannot_be_read_is_said_with_the_names_of_the_channels(self, tmp_path):
        path = tmp_path / "a.tif"
        array = np.zeros((20, 30, 5), np.float32)
        extra = ["unassalpha", "unspecified"]
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=extra)
        message = r"a\.tif: .*found RGB \+ alpha \+ unnamed of 32 bits"
        with pytest.raises(ImageFault, match=message) as caught:
            read_image(path)
        assert caught.value.kind == "mode"

    def test_a_spectral_image_of_many_channels_is_refused_before_it_is_decoded(self, tmp_path):
        path = tmp_path / "a.tif"
        array = np.zeros((20, 30, 15), np.uint16)
        extra = ["unspecified"] * 12
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=extra)
        with pytest.raises(ImageFault, match=r"found RGB \+ 12 more of 16 bits"):
            image_size(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_previews_before_the_photograph_are_passed_over(tmp_path, deep, dtype):
    array = deep.astype(dtype)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(array[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(array, photometric="rgb", subfiletype=0)
    expected = array if dtype == np.uint8 else _rounded(deep)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)
    assert image_size(tmp_path / "a.tif") == (53, 37)


def test_a_preview_alone_is_not_taken_for_the_photograph(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", subfiletype=1)
    with pytest.raises(ImageFault, match=r"a\.tif: holds a preview only, as raw files"):
        read_image(tmp_path / "a.tif")


class TestBombs:
    """Small files that ask for much memory."""

    @pytest.mark.parametrize("rows", [16, 1000])
    def test_a_strip_that_inflates_beyond_its_pixels(self, rows):
        strip = zlib.compress(bytes(100_000_000), 9)
        entries = [(256, 3000), (257, rows), (258, 16), (259, 8), (262, 2), (273, 200),
                   (277, 3), (278, rows), (279, len(strip)), (284, 1)]  # fmt: skip
        directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        content = struct.pack("<4sIH", b"II*\0", 8, len(entries)) + directory + bytes(4)
        content = content.ljust(200, b"\0") + strip
        tracemalloc.start()
        with pytest.raises(ImageFault, match=r"damaged .*a part of it holds more than"):
            read_image(content)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < rows * 3000 * 9 + 20_000_000

    @pytest.mark.filterwarnings("ignore:Tag data larger")  # Pillow's
    def test_more_tiles_than_there_could_be(self):
        entries = [(256, 4, 1, 2**31 - 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1),
                   (262, 3, 1, 1), (277, 3, 1, 1), (322, 4, 1, 1), (323, 4, 1, 1),
                   (324, 4, 2**31 - 1, 8), (325, 4, 2**31 - 1, 8)]  # fmt: skip
        directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        content = struct.pack("<4sIH", b"II*\0", 8, len(entries)) + directory + bytes(4)
        for read in (read_image, image_size):
            with pytest.raises(ImageFault):
                read(content)
