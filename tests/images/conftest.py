"""Image files built byte by byte, for what no library writes."""

import struct
import zlib

import pytest
from PIL import ImageCms


def _chunk(kind, content):
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


@pytest.fixture
def png_chunk():
    """A function that returns a chunk of a PNG, with its length and checksum."""
    return _chunk


def _png_file(size, bits, color_type, rows, chunks=()):
    head = struct.pack(">IIBBBBB", *size, bits, color_type, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


@pytest.fixture
def png_file():
    """A function that returns a PNG.

    It takes (width, height), the bits of a channel, the type of color, the filtered rows, and
    further chunks as pairs of type and content.
    """
    return _png_file


def _exif_block(entries, order="<"):
    """Writes one TIFF directory; entries are (tag, type, count, value as bytes)."""
    body = b""
    start = 8 + 2 + 12 * len(entries) + 4
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in sorted(entries):
        if len(value) > 4:
            value, body = struct.pack(order + "I", start + len(body)), body + value
        directory += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"Exif\0\0" + head + directory + bytes(4) + body


@pytest.fixture
def exif_block():
    """A function that returns an EXIF block with the given tags."""
    return _exif_block


@pytest.fixture
def swapped_profile():
    """A profile in which red and green have changed places, so that it changes every color."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
