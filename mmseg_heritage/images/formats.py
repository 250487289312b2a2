"""The formats of image files: which are read, and what the others are called."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

READ_FORMATS: Mapping[str, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
}
"""Pillow's names of the formats that are read -> their suffixes, the usual one first.

Every ``Image.open`` of the package is given these or some of them: Pillow knows 40 more, one of
which starts a foreign program (EPS), and several of which have decoders that crash.
"""
IMAGE_SUFFIXES = tuple(suffix for suffixes in READ_FORMATS.values() for suffix in suffixes)
"""Suffixes taken for photographs, compared in lower case."""

HEAD_BYTES = 32
"""So many bytes at the beginning of a file tell its format."""

HEIC = "HEIC"
RAW = "a raw file of a camera"
_LIBRARIES = {HEIC: ("pillow_heif", "pillow-heif"), RAW: ("rawpy", "rawpy")}  # module, package
_EXPORT = "export it as TIFF, PNG or JPEG from the program that shows it"
_ADVICE = {
    HEIC: f"pip install pillow-heif, with which it is read, or {_EXPORT}",
    RAW: "pip install rawpy, with which it is developed, or develop it to a TIFF of 16 bits in the "
    "camera maker's program, darktable or RawTherapee",
}
_RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
_OTHER_SUFFIXES = {
    ".heic": HEIC, ".heif": HEIC, ".hif": HEIC, ".avif": "AVIF", ".jxl": "JPEG XL",
    ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".jpf": "JPEG 2000", ".jpx": "JPEG 2000",
    ".gif": "GIF", ".psd": "a Photoshop file", ".psb": "a Photoshop file", ".xcf": "a GIMP file",
    ".kra": "a Krita file", ".eps": "EPS", ".ps": "PostScript", ".pdf": "PDF", ".svg": "SVG",
    ".tga": "TGA", ".pcx": "PCX", ".dds": "DDS", ".icns": "ICNS", ".ico": "ICO", ".exr": "OpenEXR",
    ".hdr": "Radiance HDR", ".ppm": "PPM", ".pgm": "PGM", ".pbm": "PBM", ".pnm": "PNM",
}  # fmt: skip
OTHER_SUFFIXES: Mapping[str, str] = _OTHER_SUFFIXES | dict.fromkeys(_RAW_SUFFIXES, RAW)
"""Suffixes of other pictures, in lower case -> what such a file is.

:data:`HEIC` and :data:`RAW` are read where their library is installed, the others are not.
"""

_READ_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF
    (0, b"MM\0+", "TIFF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WEBP"),
)
_OTHER_SIGNATURES = (
    (8, b"CR\x02\0", RAW),  # Canon, in a TIFF: before the signatures above
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIU\0", RAW),
    (0, b"FOVb", RAW),
    (4, b"ftypcrx", RAW),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", HEIC),
    (4, b"ftypmif1", HEIC),
    (4, b"ftypmsf1", HEIC),
    (4, b"ftyp", "a video"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"GIF8", "GIF"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"gimp xcf", "a GIMP file"),
    (0, b"%!PS", "PostScript or EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF", "PDF"),
    (0, b"DDS ", "DDS"),
    (0, b"icns", "ICNS"),
    (0, b"\0\0\x01\0", "ICO"),
    (0, b"\x0a\x05\x01", "PCX"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself (git lfs pull)"),
    (0, b"PK\x03\x04", "a ZIP archive"),
)


def can_read(found: str) -> bool:
    """Whether the library is installed that reads :data:`HEIC` or :data:`RAW`; no to all others."""
    return found in _LIBRARIES and importlib.util.find_spec(_LIBRARIES[found][0]) is not None


def format_of(head: bytes, suffix: str = "") -> str | None:
    """Returns the format of a file, None if it is not read.

    Args:
        head: Its first :data:`HEAD_BYTES`.
        suffix: That of its name, if it has one: some raw files of cameras begin like a TIFF.

    Returns:
        One of :data:`READ_FORMATS`; or :data:`HEIC` or :data:`RAW`, if their library is installed.
    """
    found = _first_match(head, _OTHER_SIGNATURES)
    is_tiff = _first_match(head, _READ_SIGNATURES) == "TIFF"
    if is_tiff and suffix.lower() in _RAW_SUFFIXES:
        found = RAW
    if found is not None:
        return found if can_read(found) else None
    return _first_match(head, _READ_SIGNATURES)


def refusal(head: bytes, suffix: str = "") -> str:
    """Says what a file is that cannot be read, and what to do.

    Args:
        head: Its first :data:`HEAD_BYTES`.
        suffix: That of its name, if it has one.
    """
    if not head:
        return "the file is empty; copy it again"
    found = _first_match(head, _OTHER_SIGNATURES) or OTHER_SUFFIXES.get(suffix.lower())
    expected = "expected PNG, JPEG, TIFF, BMP or WebP"
    if found is None:
        return f"cannot be read as an image; {expected}"
    if can_read(found):  # its name says so, its content does not
        return f"cannot be read as {found}; copy it again"
    return f"{expected}, found {found}; {_ADVICE.get(found, _EXPORT)}"


def _first_match(head: bytes, signatures: Iterable[tuple[int, bytes, str]]) -> str | None:
    for offset, signature, name in signatures:
        if head[offset : offset + len(signature)].lower() == signature.lower():
            return name
    return None


@dataclass(frozen=True)
class FolderFiles:
    """What a folder of photographs holds, each list sorted by name; hidden files are left out.

    Attributes:
        images: Files with a suffix of :data:`IMAGE_SUFFIXES`, and those of :data:`OTHER_SUFFIXES`
            that can be read. A link that leads nowhere is among them, to be reported when it is
            read.
        unread: Pictures of formats that are not read, by their suffix.
        other: Further files, folders, and what has a name like a file, such as a pipe.
    """

    images: list[Path]
    unread: list[Path]
    other: list[Path]

    def not_read(self, folders: bool = True) -> str:
        """Counts the pictures, and the folders if wanted, that are not read; empty if none are.

        For example ``not read: 2 .heic, 1 .nef, 1 folder; export pictures as TIFF, PNG or JPEG``.
        """
        counts = sorted(Counter(path.suffix.lower() for path in self.unread).items())
        listed = [f"{number} {suffix}" for suffix, number in counts]
        number = sum(path.is_dir() for path in self.other) if folders else 0
        if number:
            listed.append(f"{number} folder{'s' * (number > 1)}")
        kinds = {OTHER_SUFFIXES[path.suffix.lower()] for path in self.unread}
        packages = " ".join(package for kind, (_, package) in _LIBRARIES.items() if kind in kinds)
        install = f" or pip install {packages}" if packages else ""
        advice = f"; export pictures as TIFF, PNG or JPEG{install}" if counts else ""
        return f"not read: {', '.join(listed)}{advice}" if listed else ""


def is_image_name(name: str) -> bool:
    """Whether a file is taken for a photograph that is read, by the suffix of its name."""
    suffix = Path(name).suffix.lower()
    return suffix in IMAGE_SUFFIXES or can_read(OTHER_SUFFIXES.get(suffix, ""))


def folder_files(folder: str | Path) -> FolderFiles:
    """Sorts what is directly in a folder into images, pictures that are not read, and others."""
    files = FolderFiles([], [], [])
    for path in sorted(Path(folder).iterdir()):
        if path.name.startswith("."):
            continue
        suffix = path.suffix.lower()
        if path.is_dir():
            files.other.append(path)
        elif is_image_name(path.name) and (path.is_file() or not path.exists()):
            files.images.append(path)
        else:
            (files.unread if suffix in OTHER_SUFFIXES else files.other).append(path)
    return files


def unread_reason(path: Path) -> str:
    """Says why a file of a folder is not read, one of ``unread`` or ``other``."""
    if path.is_dir():
        return "a folder; images in it are not read"
    if path.exists() and not path.is_file():
        return "not read: no file, but a pipe, socket or device"
    found = OTHER_SUFFIXES.get(path.suffix.lower())
    if found is None:
        return f"not read: expected one of {', '.join(IMAGE_SUFFIXES)}"
    return f"not read: {found}; {_ADVICE.get(found, _EXPORT)}"
