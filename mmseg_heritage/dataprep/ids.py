"""Ids of samples: file names on every system."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmseg_heritage.images.formats import IMAGE_SUFFIXES

# An id becomes a file name on Linux, macOS and Windows, and Path.stem must give it back.
_REFUSED = re.compile(r'[<>:"/\\|?*]|^[.\s-]|[.\s]$')
_REFUSED_KINDS = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, direction of text, no characters
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_BYTES = 200  # of 255 that file systems allow: results have longer names
MASK_WORD = r"(?:masks?|labels?|annotations?|annot|seg|segmentations?|gt|ground_?truth|damage)"
"""Regular expression of the words by which the names of masks differ from those of photographs."""
_BETWEEN = "[ _.-]+"
MASK_SUFFIX = re.compile(f"{_BETWEEN}{MASK_WORD}$", re.IGNORECASE)
_MASK_NAME = re.compile(f"(.+?){_BETWEEN}{MASK_WORD}|{MASK_WORD}{_BETWEEN}(.+)")  # in small letters
# Spreadsheets make 1.0 of 1; an ending stays where another one is put behind it.
_CHANGED = re.compile(rf"({_BETWEEN}{MASK_WORD}|\.0|{'|'.join(map(re.escape, IMAGE_SUFFIXES))})$")


def id_of(path: Path) -> str:
    """Returns the id that a file's name stands for: without its ending, in composed form (NFC).

    macOS writes accents apart from their letters (NFD), other systems do not.
    """
    return unicodedata.normalize("NFC", path.stem)


def escaped(name: str) -> str:
    """Returns a name with what is not UTF-8 in it as backslash escapes, to be shown."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_unicode(name: str) -> bool:
    """Whether a name of a file is UTF-8, and not in another, older encoding."""
    return escaped(name) == name


NOT_UNICODE = (
    "the name is not UTF-8, so that results and tables cannot hold it; rename the file, or all of "
    "a folder: convmv -f latin1 -t utf8 -r --notest FOLDER"
)


def id_problems(ids: Iterable[tuple[str, str]]) -> list[str]:
    """Returns what is wrong with the ids of a data set, one line each.

    Args:
        ids: (place, id); the place is what messages begin with.
    """
    problems = []
    first: dict[str, str] = {}
    for place, sample_id in ids:
        if not _names_a_file(sample_id):
            problems.append(
                f"{escaped(place)}: the id {escaped(sample_id[:60])!r} cannot name a file on every "
                f'system; expected up to {_MAX_BYTES} bytes of UTF-8 without / \\ : * ? " < > |, '
                "not beginning with '.', '-' or a space, nor ending with '.' or a space"
            )
            continue
        # Where case does not count, "a" and "A" would be one file.
        key = sample_id.casefold()
        if key in first:
            problems.append(f"{place}: the id '{sample_id}' is also that of {first[key]}")
        first.setdefault(key, place)
    return problems


def _names_a_file(sample_id: str) -> bool:
    """Whether an id is the name of a file, and reads as it is written."""
    return (
        0 < len(sample_id.encode("utf-8", "surrogateescape")) <= _MAX_BYTES
        and not _REFUSED.search(sample_id)
        and not _WINDOWS_DEVICES.fullmatch(sample_id)
        and not any(unicodedata.category(letter) in _REFUSED_KINDS for letter in sample_id)
        and unicodedata.is_normalized("NFC", sample_id)
    )


def similar_names(missing: Iterable[str], candidates: Iterable[str]) -> dict[str, str]:
    """Finds ids that differ only in what programs change in names.

    These are case, spaces around them, leading zeros, the ending of an image, and a word for masks
    behind them: 'IMG_1' and 'img_1', '001' and '1', 'a' and 'a.jpg', 'a' and 'a_mask'.

    Args:
        missing: Ids without a partner.
        candidates: Other ids, not among these.

    Returns:
        Missing id -> the one candidate that is like it, where there is one.
    """
    alike = defaultdict(list)
    for name in candidates:
        alike[_bare(name)].append(name)
    wanted = defaultdict(list)
    for name in missing:
        wanted[_bare(name)].append(name)
    return {
        names[0]: alike[key][0]
        for key, names in wanted.items()
        if len(names) == 1 and len(alike[key]) == 1
    }


def named_as_masks(paths: Sequence[Path]) -> dict[Path, Path]:
    """Returns which files of a folder have the name of a mask of which.

    Such as 'a_mask' and 'mask_a' beside 'a'.
    """
    of_name = {id_of(path).casefold(): path for path in paths}
    found = {path: _MASK_NAME.fullmatch(id_of(path).casefold()) for path in paths}
    names = {path: match[1] or match[2] for path, match in found.items() if match is not None}
    return {path: of_name[name] for path, name in names.items() if name in of_name}


def _bare(name: str) -> str:
    """Returns a name without what programs change in it."""
    name = name.strip().casefold()
    while _CHANGED.search(name):
        name = _CHANGED.sub("", name)
    return name.lstrip("0")
