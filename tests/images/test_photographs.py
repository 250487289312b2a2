"""Reading photographs: every format, every orientation, every fault; masks where both are alike."""

import io
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import IMAGE_SUFFIXES
from mmseg_heritage.images.image_files import (
    ImageFault,
    image_header,
    image_size,
)
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image

ORIENTATION = 0x0112


def _exif(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _png_with_exif_behind_the_pixels(path, array, orientation):
    """Writes a PNG the way ExifTool edits one."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    body, end = stream.getvalue()[:-12], stream.getvalue()[-12:]
    assert end[4:8] == b"IEND"
    content = _exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + content
    path.write_bytes(
        body + struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end
    )
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".PNG"])
def test_lossless_rgb_comes_back_exactly(tmp_path, pixels, suffix, saved):
    path = saved(tmp_path / f"a{suffix}", pixels)
    image = read_image(path)
    np.testing.assert_array_equal(image, pixels)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image_size(path) == (11, 7)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_come_close(tmp_path, suffix, saved):
    smooth = np.indices((32, 48)).sum(0)[..., None].repeat(3, 2).astype(np.uint8) * 2
    path = saved(tmp_path / f"a{suffix}", smooth, quality=95)
    assert np.abs(read_image(path).astype(int) - smooth).max() < 12
    assert image_size(path) == (48, 32)


def test_gray_becomes_three_equal_channels(tmp_path, pixels, saved):
    image = read_image(saved(tmp_path / "a.png", pixels[..., 0]))
    np.testing.assert_array_equal(image, pixels[..., :1].repeat(3, 2))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_16_bit_gray_is_scaled_to_8_bit(tmp_path, suffix, dtype, saved):
    values = np.linspace(0, 65535, 600).round().reshape(20, 30)
    if dtype == ">u2" and suffix == ".png":
        pytest.skip("PNG has one byte order")
    path = saved(tmp_path / f"a{suffix}", values.astype(dtype))
    image = read_image(path)
    assert image.dtype == np.uint8
    assert np.abs(image[..., 0] - values / 257).max() <= 1
    assert (image[0, 0, 0], image[-1, -1, 0]) == (0, 255)
    assert (image == image[..., :1]).all()


def test_palette_images_show_their_colors(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png")
    expected = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped_not_blended(tmp_path, pixels, mode):
    gray = pixels[..., :1]
    colors = pixels if mode == "RGBA" else gray
    alpha = np.arange(77, dtype=np.uint8).reshape(7, 11, 1)
    Image.fromarray(np.concatenate([colors, alpha], 2)).save(tmp_path / "a.png")
    expected = np.broadcast_to(colors, (7, 11, 3))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # full cyan
    Image.fromarray(ink, "CMYK").save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    assert np.abs(image.astype(int) - [0, 255, 255]).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", "late.png"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_and_size_follow_the_exif_orientation(
    tmp_path, mode, suffix, orientation, saved, upright
):
    # Four flat quarters survive JPEG well enough to tell the eight orientations apart.
    stored = np.zeros((16, 32), np.uint8)
    stored[:8, 16:], stored[8:, :16], stored[8:, 16:] = 80, 160, 240
    expected = upright(stored, orientation)
    if mode == "RGB":
        stored = np.repeat(stored[..., None], 3, axis=2)
    path = tmp_path / f"a{suffix}"
    if suffix == "late.png":
        _png_with_exif_behind_the_pixels(path, stored, orientation)
    else:
        saved(path, stored, exif=_exif(orientation))
    image = read_image(path)
    assert image.shape == (*expected.shape, 3)
    assert np.abs(image.astype(int) - expected[..., None]).max() < 8
    assert image_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_are_turned_like_photographs(tmp_path, suffix, saved, upright):
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = saved(tmp_path / f"a{suffix}", stored, exif=_exif(6))
    assert image_size(path) == (3, 4)
    np.testing.assert_array_equal(read_mask(path, (3, 4)), upright(stored, 6))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_truncated_file_is_named(tmp_path, suffix, saved):
    noise = np.random.default_rng(0).integers(0, 16, (64, 64), dtype=np.uint8)
    path = saved(tmp_path / f"cut{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=rf"cut\{suffix}: .*(truncated|cannot be read)"):
        read_image(path)
    if suffix != ".jpg":  # no format for masks
        with pytest.raises(InputError, match=rf"cut\{suffix}: .*(truncated|cannot be read)"):
            read_mask(path)


@pytest.mark.parametrize("read", [read_image, read_mask, image_size])
@pytest.mark.parametrize("name", ["missing.png", "folder.png", "text.png", "empty.png"])
def test_what_is_no_image_is_named(tmp_path, read, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.png").write_text("This is a letter about the object.")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_damage_to_the_bytes_ends_in_pixels_or_in_an_input_error(tmp_path, suffix, saved):
    noise = np.random.default_rng(0).integers(0, 16, (24, 24), dtype=np.uint8)
    path = saved(tmp_path / f"a{suffix}", noise, exif=_exif(6))
    whole = path.read_bytes()
    damage = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damage, st.integers(0, len(whole)))
    def check(changes, length):
        data = bytearray(whole)
        for position, value in changes:
            data[position] = value
        path.write_bytes(data[:length])
        for read in (image_size, read_image, read_mask):
            try:
                read(path)
            except InputError as error:
                assert str(path) in str(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, about the damage
        check()


def test_floating_point_pixels_are_refused_rather_than_cut_to_black(tmp_path, saved):
    path = saved(tmp_path / "a.tif", np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    with pytest.raises(InputError, match=r"a\.tif: .*mode F.*8 or 16 bits"):
        read_image(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_numpy_holds_little_beside_the_result(tmp_path, mode):
    side = 4096
    dtype, channels = (np.uint16, 1) if mode == "I;16" else (np.uint8, len(mode))
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((side, side, channels), dtype).squeeze()).save(path)
    read = read_mask if mode == "L" else read_image
    read(path)  # imports and tables
    tracemalloc.start()
    result = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Counting 4 megapixels at a time takes 8 bytes each; all at once would take 8 * side**2.
    assert peak < result.nbytes + side**2 + 4 * 12 * 2**20


class TestContent:
    """Images that are not files."""

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
    def test_bytes_are_read_like_files(self, tmp_path, pixels, suffix, saved):
        path = saved(tmp_path / f"a{suffix}", pixels, exif=_exif(6))
        np.testing.assert_array_equal(read_image(path.read_bytes()), read_image(path))
        assert image_header(path.read_bytes()) == image_header(path)
        assert image_header(path).size == (7, 11)

    def test_messages_use_the_given_name(self, tmp_path, pixels, saved):
        content = saved(tmp_path / "a.png", pixels).read_bytes()
        for read in (read_image, read_mask, image_size):
            with pytest.raises(InputError, match=r"^row 3: "):
                read(b"no image", name="row 3")
        with pytest.raises(InputError, match=r"^row 3: .*truncated"):
            read_image(content[:-60], name="row 3")


def test_gray_of_12_bits_is_refused_rather_than_read_dark(tmp_path, saved):
    path = saved(tmp_path / "a.tif", np.zeros((8, 8), np.uint16))
    entry = struct.pack("<HHI", 258, 3, 1)  # BitsPerSample, SHORT, one value
    content = path.read_bytes()
    assert content.count(entry + b"\x10\0") == 1
    path.write_bytes(content.replace(entry + b"\x10\0", entry + b"\x0c\0"))
    with pytest.raises(ImageFault, match=r"a\.tif: .*9 to 15 bits.*8 or 16 bits"):
        read_image(path)


@pytest.mark.parametrize("value", [-1, 65536])
def test_gray_levels_beyond_16_bits_are_refused_rather_than_cut(tmp_path, value, saved):
    levels = np.full((8, 8), 500, np.int32)
    levels[3, 4] = value
    with pytest.raises(ImageFault, match=r"a\.tif: gray levels outside 0..65535"):
        read_image(saved(tmp_path / "a.tif", levels))


def test_every_image_of_the_real_data_is_read(shared_data):
    paths = [p for p in shared_data.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES]
    assert len(paths) > 100
    for path in paths:
        image = read_image(path)
        assert image.shape == (*image_size(path)[::-1], 3)
    masks = [p for p in paths if p.parent.name == "annotations"]
    assert len(masks) > 50
    for path in masks:
        with Image.open(path) as stored:
            np.testing.assert_array_equal(read_mask(path), np.array(stored))


def test_too_little_memory_is_not_called_damage(tmp_path, pixels, monkeypatch, saved):
    def fail(self):
        raise MemoryError

    path = saved(tmp_path / "a.png", pixels)
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ImageFault, match=r"a\.png: not enough memory to decode the image$"):
        read_image(path)
