"""Orientation, color profile and resolution of an image file, and the file without other metadata.

Pillow parses every text and every EXIF tag of a file, and fails on those that are odd or long;
here, few of them matter. So it is given PNG and JPEG files without them.

Sources: PNG 1.2 and its eXIf extension; ITU-T T.81 (JPEG), Exif 2.32, ICC.1:2010 annex B.4; TIFF 6.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)\s*([1-8])')
_MAX_TEXT = 1 << 20  # decompressed bytes of a text that are searched
_MAX_CHUNK = 1 << 26
_MAX_PROFILE = 1 << 24
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_KEPT_PNG_CHUNKS = (b"IHDR", b"PLTE")
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_SEGMENTS = (*range(0xC0, 0xD0), *range(0xDB, 0xFF))  # those with a length, but for the scan
# APP0 (JFIF) and APP14 (Adobe) say how colors are stored; the others and comments say nothing.
_DROPPED_SEGMENTS = (*range(0xE1, 0xEE), 0xEF, 0xFE)
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # by the number of their TIFF type
_RATIONAL = 5
_ORIENTATION, _X_DENSITY, _Y_DENSITY, _DENSITY_UNIT, _EXIF = 0x0112, 0x011A, 0x011B, 0x0128, 0x8769
_MOST_TAGS = 1000

INCHES = {2: 1.0, 3: 2.54}
"""Unit of TIFF and Exif -> by what a density is multiplied to be one for each inch."""
METER = 0.0254
"""By what a density for each meter is multiplied to be one for each inch."""
CAMERA_TAGS = {0x829A: "ExposureTime", 0x829D: "FNumber", 0x920A: "FocalLength"}
"""Tags of EXIF that cameras write, and scanners do not."""


@dataclass(frozen=True)
class Resolution:
    """A resolution in a file.

    Attributes:
        across: Pixels for each inch of the width.
        down: Pixels for each inch of the height.
        place: Where in the file: "TIFF", "EXIF", "JFIF", "PNG" or "BMP".
        by_camera: Whether a camera has made the photograph: the EXIF tells of an exposure.
    """

    across: float
    down: float
    place: str
    by_camera: bool = False

    def __str__(self) -> str:
        same = abs(self.across - self.down) < 0.005 * self.across
        dpi = f"{self.across:.5g}" + ("" if same else f" x {self.down:.5g}")
        return f"{dpi} dpi ({self.place})"


@dataclass(frozen=True)
class Metadata:
    """What is read beside the pixels.

    Attributes:
        orientation: That of EXIF or XMP, 1 to 8; 1 where there is none.
        profile: Embedded ICC profile.
        resolutions: What is told of the resolution of the stored image, in up to two places.
    """

    orientation: int = 1
    profile: bytes | None = None
    resolutions: tuple[Resolution, ...] = ()


def orientation_of(exif: bytes, xmp: bytes = b"") -> int:
    """Finds the orientation, 1 to 8, in an EXIF block or else in XMP; 1 where there is none."""
    match = _XMP_ORIENTATION.search(xmp)
    return legal_orientation(_exif_orientation(exif), int(match[1]) if match else 1)


def legal_orientation(value: object, otherwise: int = 1) -> int:
    """Returns the value of an orientation tag if it is 1 to 8."""
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else otherwise


def _exif_orientation(exif: bytes) -> int | None:
    """Looks for the orientation in the first directory of an EXIF block."""
    return next((int(v) for tag, v in _exif_numbers(exif) if tag == _ORIENTATION), None)


def exif_resolutions(exif: bytes) -> tuple[Resolution, ...]:
    """Returns the resolution that an EXIF block tells, if it does."""
    tags = dict(_exif_numbers(exif))
    across, down = tags.get(_X_DENSITY, 0.0), tags.get(_Y_DENSITY, 0.0)
    factor = INCHES.get(int(tags.get(_DENSITY_UNIT, 2)))
    if factor is None or across <= 0 or down <= 0:
        return ()
    return (Resolution(across * factor, down * factor, "EXIF", is_by_camera(exif)),)


def is_by_camera(exif: bytes) -> bool:
    """Whether an EXIF block tells of an exposure."""
    place = dict(_exif_numbers(exif)).get(_EXIF)
    return place is not None and any(
        tag in CAMERA_TAGS for tag, _ in _exif_numbers(exif, int(place))
    )


def _exif_numbers(exif: bytes, directory: int | None = None) -> Iterator[tuple[int, float]]:
    """Yields tags of a directory of a TIFF structure, by default the first, with their numbers.

    What is no number is 0. Directories that it names are not looked into.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return
    try:
        (first,) = struct.unpack_from(order + "I", exif, 4)
        start = first if directory is None else directory
        (count,) = struct.unpack_from(order + "H", exif, start)
        for index in range(min(count, _MOST_TAGS)):
            entry = start + 2 + 12 * index
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if kind in _INTEGERS:
                yield tag, struct.unpack_from(order + _INTEGERS[kind], exif, entry + 8)[0]
            elif kind == _RATIONAL:
                (place,) = struct.unpack_from(order + "I", exif, entry + 8)
                pair = exif[place : place + 8]
                above, below = struct.unpack(order + "II", pair) if len(pair) == 8 else (0, 0)
                yield tag, above / below if below else 0.0
            else:
                yield tag, 0.0
    except struct.error:  # cut off
        pass


def pixels_only(file: BinaryIO, image_format: str) -> tuple[BinaryIO, Metadata]:
    """Splits a PNG or JPEG into its pixels and its metadata, reading the latter only.

    Args:
        file: Of unbuffered reads, or in memory; to be left open while the pixels are read.
        image_format: "PNG" or "JPEG".

    Returns:
        (file of the same image without metadata, metadata). From the first oddity on, the rest of
        the file stays as it is, for the decoder to judge.
    """
    parts = _png(file) if image_format == "PNG" else _jpeg(file)
    return io.BufferedReader(parts[0], 1 << 16), parts[1]


def _jpeg(file: BinaryIO) -> tuple[_Spliced, Metadata]:
    kept = [b"\xff\xd8"]
    exif = xmp = jfif = b""
    profile: dict[int, bytes] = {}
    file.seek(2)
    while True:
        start = file.tell()
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] not in _SEGMENTS:
            break  # the scan begins, or this is damage or padding
        length = struct.unpack(">H", head[2:])[0] - 2
        content = file.read(max(length, 0))
        if length < 0 or len(content) < length:
            break
        if head[1] == 0xE0 and content.startswith(b"JFIF\0"):
            jfif = jfif or content
        elif head[1] == 0xE1 and content.startswith(b"Exif\0\0"):
            exif = exif or content
        elif head[1] == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = xmp or content
        elif head[1] == 0xE2 and content.startswith(b"ICC_PROFILE\0") and length > 14:
            profile[content[12]] = content[14:]
        if head[1] not in _DROPPED_SEGMENTS:
            kept.append(head + content)
    icc = b"".join(profile[number] for number in sorted(profile)) or None
    end = file.seek(0, os.SEEK_END)
    found = Metadata(orientation_of(exif, xmp), icc, _resolutions(_of_jfif(jfif), exif))
    return _Spliced(file, b"".join(kept), start, end), found


def _of_jfif(content: bytes) -> Resolution | None:
    """Returns the resolution in a JFIF segment that has a unit."""
    if len(content) < 12 or content[7] not in (1, 2):
        return None
    across, down = struct.unpack_from(">HH", content, 8)
    factor = INCHES[content[7] + 1]  # 1 is the inch, 2 the centimeter
    return Resolution(across * factor, down * factor, "JFIF") if across and down else None


def _resolutions(found: Resolution | None, exif: bytes) -> tuple[Resolution, ...]:
    """Returns what a file tells by its own means and in its EXIF block."""
    own = (replace(found, by_camera=is_by_camera(exif)),) if found else ()
    return own + exif_resolutions(exif)


def _png(file: BinaryIO) -> tuple[_Spliced, Metadata]:
    end_of_file = file.seek(0, os.SEEK_END)
    file.seek(0)
    kept = [file.read(8)]
    exif = xmp = b""
    profile = density = None
    first = last = None
    while len(head := file.read(8)) == 8:
        start = file.tell() - 8
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            first, last = start if first is None else first, start + 12 + length
        elif kind in _KEPT_PNG_CHUNKS and first is None:
            kept.append(head + file.read(min(length + 4, _MAX_TEXT)))
        elif kind == b"pHYs" and length == 9:
            density = _of_phys(file.read(length))
        elif kind in (b"eXIf", b"iCCP", *_PNG_TEXTS) and length <= _MAX_CHUNK:
            content = file.read(length)
            if kind == b"eXIf":
                exif = content
            elif kind == b"iCCP":
                profile = _inflated(content.partition(b"\0")[2][1:], _MAX_PROFILE) or None
            else:
                keyword, text = _png_text(kind, content)
                if keyword == b"XML:com.adobe.xmp":
                    xmp = text
                elif keyword in (b"Raw profile type exif", b"Raw profile type APP1"):
                    exif = exif or _hex_profile(text)
        file.seek(start + 12 + length)
    last = min(last or end_of_file, end_of_file)
    pixels = _Spliced(file, b"".join(kept), last if first is None else first, last, _PNG_END)
    resolutions = _resolutions(density, exif)
    return pixels, Metadata(orientation_of(exif, xmp), profile, resolutions)


def _of_phys(content: bytes) -> Resolution | None:
    """Returns the resolution in a chunk pHYs that has a unit."""
    across, down, unit = struct.unpack(">IIB", content)
    return Resolution(across * METER, down * METER, "PNG") if unit and across and down else None


def _png_text(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Returns keyword and text of a chunk; of a long text, the beginning."""
    keyword, _, rest = content.partition(b"\0")
    if kind == b"tEXt":
        return keyword, rest
    if kind == b"zTXt":
        return keyword, _inflated(rest[1:], _MAX_TEXT)
    is_compressed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    return keyword, _inflated(text, _MAX_TEXT) if is_compressed else text


def _inflated(content: bytes, limit: int) -> bytes:
    """Decompresses at most ``limit`` bytes; nothing where the content is damaged."""
    try:
        return zlib.decompressobj().decompress(content, limit)
    except zlib.error:
        return b""


def _hex_profile(text: bytes) -> bytes:
    """Returns the bytes that ImageMagick writes as hexadecimal text below three lines of head."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


class _Spliced(io.RawIOBase):
    """Some bytes, a range of a file, and some more bytes, read as one file."""

    def __init__(
        self, file: BinaryIO, head: bytes, start: int, stop: int, tail: bytes = b""
    ) -> None:
        self._file, self._start, self._length = file, start, max(0, stop - start)
        self._head, self._tail = head, tail
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = len(self._head) + self._length + len(self._tail)
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        position = self._position - len(self._head)
        if 0 <= position < self._length:
            self._file.seek(self._start + position)
            count = self._file.readinto(view[: self._length - position])  # type: ignore[attr-defined]
        else:
            rest = self._head[position:] if position < 0 else self._tail[position - self._length :]
            count = min(len(rest), len(view))
            view[:count] = rest[:count]
        self._position += count
        return count
