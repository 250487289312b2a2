"""Orientation and profile, and nothing else, are taken from what stands beside the pixels."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from mmseg_heritage.images.image_files import image_header, image_size
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.metadata import orientation_of, pixels_only
from mmseg_heritage.images.photographs import read_image

TURNED = (0x0112, 3, 1, struct.pack("<H", 6))
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# Tags that Pillow looks at or follows: resolution, XMP, EXIF, GPS, interoperability, thumbnail.
TAGS = [256, 257, 258, 259, 262, 270, 273, 277, 279, 282, 283, 296, 513, 514, 529, 700, 33432]
TAGS += [33723, 34377, 34665, 34675, 34853, 37500, 37510, 40965, 45056, 45057, 50706]


@pytest.fixture
def smooth():
    """uint8 (16, 32, 3): four flat quarters, which survive JPEG."""
    array = np.zeros((16, 32, 3), np.uint8)
    array[:8, 16:], array[8:, :16], array[8:, 16:] = 80, 160, 240
    return array


def _jpeg(array, **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


def _segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _fails_in_pillow(content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as image:
                ImageOps.exif_transpose(image)
        except Exception:
            return True
    return False


def test_photographs_with_any_exif_tags_are_opened_and_turned(smooth, exif_block, upright):
    rng = np.random.default_rng(0)
    expected = upright(smooth, 6)
    escaped = 0
    for _ in range(300):
        entries = [TURNED]
        for tag in rng.choice(TAGS, rng.integers(1, 4), replace=False):
            kind = int(rng.choice(list(SIZES)))
            count = int(rng.choice([0, 1, 1, 2, 3, 1000]))
            value = rng.bytes(min(SIZES[kind] * count, 64))
            entries.append((int(tag), kind, count, value))
        content = _jpeg(smooth, exif=exif_block(entries))
        assert image_size(content) == (16, 32)
        assert np.abs(read_image(content).astype(int) - expected).max() < 8
        escaped += _fails_in_pillow(content)
    assert escaped > 3  # the sets are odd enough


@pytest.mark.parametrize(
    ("exif", "expected"),
    [
        (b"", 1),
        (b"Exif\0\0", 1),
        (b"Exif\0\0II*\0\x08\0\0\0\xff\xff", 1),
        (b"no EXIF at all", 1),
        (struct.pack("<4sIHHHIHH", b"II*\0", 8, 1, 0x112, 3, 1, 8, 0), 8),
        (struct.pack(">4sIHHHIHH", b"MM\0*", 8, 1, 0x112, 3, 1, 3, 0), 3),
        (struct.pack("<4sIHHHII", b"II*\0", 8, 1, 0x112, 4, 1, 5), 5),
        (struct.pack("<4sIHHHIHH", b"II*\0", 8, 1, 0x112, 3, 1, 9, 0), 1),
        (struct.pack("<4sIHHHIHH", b"II*\0", 8, 1, 0x112, 3, 1, 0, 0), 1),
        (struct.pack("<4sIHHHIf", b"II*\0", 8, 1, 0x112, 11, 1, 6.0), 1),
    ],
)
def test_the_orientation_of_an_exif_block(exif, expected):
    assert orientation_of(exif) == expected
    assert orientation_of(b"Exif\0\0Exif\0\0" + exif) == expected


def test_xmp_counts_where_exif_says_nothing(exif_block, smooth, upright):
    xmp = b'<x><rdf:Description tiff:Orientation="8"/><x>'
    assert orientation_of(b"", xmp) == orientation_of(b"", xmp.replace(b'="', b">")) == 8
    assert orientation_of(exif_block([TURNED]), xmp) == 6
    plain = _jpeg(smooth)
    content = plain[:2] + _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp) + plain[2:]
    assert np.abs(read_image(content).astype(int) - upright(smooth, 8)).max() < 8


LONG = zlib.compress(b" " * 3_000_000)
CHUNKS = {
    "iTXt": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
    "zTXt": (b"zTXt", b"prompt\0\0" + LONG),
    "tEXt": (b"tEXt", b"prompt\0" + b" " * 3_000_000),
    "many zTXt": (b"zTXt", b"a\0\0" + zlib.compress(b" " * 900_000)),
    "iCCP": (b"iCCP", b"a\0\0" + LONG),
    "damaged zTXt": (b"zTXt", b"a\0\0damaged"),
    "iTXt in Latin-1": (b"iTXt", "Künstler\0\0\0\0\0Dürer".encode("latin-1")),
    "empty": (b"tEXt", b""),
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("name", CHUNKS)
def test_texts_of_a_png_are_passed_over(pixels, name, behind, png_chunk):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    plain = stream.getvalue()
    extra = png_chunk(*CHUNKS[name]) * (80 if name == "many zTXt" else 1)
    broken = extra[:-1] + bytes([extra[-1] ^ 1])  # its checksum
    place = len(plain) - 12 if behind else 33
    for chunk in (extra, broken):
        content = plain[:place] + chunk + plain[place:]
        np.testing.assert_array_equal(read_image(content), pixels)
        assert image_size(content) == (11, 7)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", ["eXIf", "zTXt", "tEXt", "iTXt"])
def test_each_place_of_a_png_for_the_orientation(kind, behind, png_chunk, exif_block, upright):
    exif = exif_block([TURNED])
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    chunk = {
        "eXIf": (b"eXIf", exif.removeprefix(b"Exif\0\0")),
        "zTXt": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        "tEXt": (b"tEXt", b"Raw profile type APP1\0" + text),
        "iTXt": (
            b"iTXt",
            b"XML:com.adobe.xmp\0\0\0\0\0<a tiff:Orientation='1' tiff:Orientation=\"6\"",
        ),
    }[kind]
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    stream = io.BytesIO()
    Image.fromarray(ids).save(stream, "PNG")
    plain = stream.getvalue()
    place = len(plain) - 12 if behind else 33
    content = plain[:place] + png_chunk(*chunk) + plain[place:]
    assert image_header(content).orientation == 6
    np.testing.assert_array_equal(read_mask(content), upright(ids, 6))


def _large_profile():
    """Returns sRGB with 3 MB behind it, which its header counts in."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile += bytes(3_000_000)
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_profiles_of_any_length_are_read_whole(tmp_path, pixels, suffix):
    profile = _large_profile()
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", icc_profile=profile)
    assert image_header(tmp_path / f"a{suffix}").profile == profile
    read_image(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_metadata_has_the_same_pixels(smooth, exif_block, mode):
    stream = io.BytesIO()
    Image.fromarray(smooth).convert(mode).save(
        stream, "JPEG", exif=exif_block([TURNED]), comment=b"a" * 60_000, progressive=True
    )
    content = stream.getvalue()
    file, metadata = pixels_only(io.BytesIO(content), "JPEG")
    reduced = file.read()
    assert metadata.orientation == 6
    assert len(reduced) < len(content) - 60_000
    with Image.open(io.BytesIO(reduced)) as image, Image.open(io.BytesIO(content)) as whole:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(whole))


def test_the_file_of_pixels_is_read_from_any_place(pixels):
    rng = np.random.default_rng(0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    file, _ = pixels_only(io.BytesIO(stream.getvalue()), "PNG")
    whole = file.read()
    assert whole == stream.getvalue()  # it had no metadata
    for _ in range(50):
        start, count = (int(n) for n in rng.integers(0, len(whole) + 9, 2))
        file.seek(start)
        assert file.read(count) == whole[start : start + count]
    assert file.seek(-3, io.SEEK_END) == len(whole) - 3
