"""Reading zip archives and XML that come from anyone."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from mmseg_heritage.errors import InputError

MAX_MEMBER = 1 << 30
"""Bytes that a file in an archive may have."""
MAX_DEPTH = 200
"""Elements of XML that may lie in each other."""


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive to read it; nothing is unpacked to the disk.

    Raises:
        InputError: If it is none.
    """
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # damaged ones raise nearly everything: OSError, struct.error
            raise InputError(f"{path}: expected a zip archive ({error})") from error
        with archive:
            yield archive


def read_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """Returns a file of an archive.

    Raises:
        InputError: If there is none, or it is damaged or larger than :data:`MAX_MEMBER`.
    """
    try:
        with archive.open(name) as file:
            content = file.read(MAX_MEMBER + 1)
    except KeyError as error:
        raise InputError(f"{path}: holds no '{name}'") from error
    except Exception as error:  # as above
        raise InputError(f"{path}: '{name}' is damaged ({error})") from error
    if len(content) > MAX_MEMBER:
        raise InputError(f"{path}: '{name}' has more than {MAX_MEMBER >> 20} MB")
    return content


def parse_xml(content: bytes, label: str) -> ElementTree.Element:
    """Parses XML of limited depth, in UTF-8, that declares no entities.

    Raises:
        InputError: If it is none.
    """
    try:
        text = content.decode("utf-8-sig")
        if "<!ENTITY" in text:
            raise InputError(
                f"{label}: declares entities of XML, which are not read; save it plain"
            )
        root = ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError) as error:
        raise InputError(f"{label}: expected XML in UTF-8 ({error})") from error
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return root
    raise InputError(f"{label}: expected at most {MAX_DEPTH} elements in each other")
