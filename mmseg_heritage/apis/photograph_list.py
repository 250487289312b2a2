"""Which photographs a command looks at, and what their results are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmseg_heritage.dataprep.ids import NOT_UNICODE, escaped, is_unicode, named_as_masks
from mmseg_heritage.errors import MAX_LISTED, InputError
from mmseg_heritage.images.formats import IMAGE_SUFFIXES, folder_files
from mmseg_heritage.images.image_files import image_header, image_size
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.utils.text import counted

_RESERVED = ("run",)
"""Names of JSON files that are those of no photograph."""
_MOST_COLORS = 64
"""Of a mask, painted or of ids; a photograph has more."""


@dataclass(frozen=True)
class Photograph:
    """A photograph to be predicted.

    Attributes:
        path: Its file.
        name: Of its results, without an ending: 'IMG_1', or 'wall/IMG_1' below the folder that was
            given. Folders are divided by slashes on every system.
    """

    path: Path
    name: str

    def result(self, out: Path, ending: str) -> Path:
        """Returns the place of one of its results, such as with the ending '_classes.png'."""
        return out / f"{self.name}{ending}"


def find_photographs(
    paths: Sequence[Path], recursive: bool = False
) -> tuple[list[Photograph], list[str]]:
    """Returns the photographs to predict, and a line for each whose name cannot be used.

    The results of photographs that share a name would be the same files, so that none is predicted.

    Args:
        paths: Photographs, and folders of them.
        recursive: Whether to look into the folders below these too, but for hidden ones and links.

    Raises:
        InputError: If there is none, or some path is neither.
    """
    files: list[Photograph] = []
    problems = []
    for path in paths:
        if path.is_dir():
            found, problem = _of_folder(path, recursive)
            files += found
            problems += [problem] if problem else []
        elif not path.exists():
            problems.append(f"{path}: no such photograph or folder")
        else:
            files.append(Photograph(path, path.stem))
    if problems or not files:
        raise InputError("there is nothing to predict", problems)
    unnamed = [f"{escaped(str(f.path))}: {NOT_UNICODE}" for f in files if not is_unicode(f.name)]
    of_name: dict[str, list[Photograph]] = {}
    for file in filter(lambda file: is_unicode(file.name), files):
        of_name.setdefault(file.name, []).append(file)
    clashes = [
        f"{file.path}: has the name of {', '.join(str(o.path) for o in same if o is not file)}, "
        "and their results would be the same files; rename it, or give another --out"
        for same in of_name.values()
        if len(same) > 1
        for file in same
    ]
    clashes += [
        f"{file.path}: {file.name}.json says how all results were made; rename the photograph"
        for file in files
        if _is_reserved(file.name)
    ]
    kept = [same[0] for n, same in of_name.items() if len(same) == 1 and not _is_reserved(n)]
    return kept, unnamed + clashes


def _is_reserved(name: str) -> bool:
    return name.casefold() in _RESERVED  # some file systems do not tell cases apart


def _of_folder(folder: Path, recursive: bool) -> tuple[list[Photograph], str]:
    """Returns the photographs in a folder, and what is wrong if there are none."""
    found, unread = [], []
    for place in _folders(folder) if recursive else [folder]:
        files = folder_files(place)
        if remark := files.not_read(folders=not recursive):
            unread.append(f"{place}: {remark}")
        masks = _masks_among(files.images)
        if masks:
            names = ", ".join(escaped(path.name) for path in masks[:MAX_LISTED])
            print(
                f"{place}: not predicted: {counted(len(masks), 'mask')} beside their photographs: "
                f"{names}{', ...' if len(masks) > MAX_LISTED else ''} (a file named by itself is)"
            )
        left_out = set(masks)
        for path in (path for path in files.images if path not in left_out):
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.append(Photograph(path, name))
    if not found:
        endings = ", ".join(IMAGE_SUFFIXES)
        also = "".join(f"; {remark.removeprefix(f'{folder}: ')}" for remark in unread)
        return [], f"{folder}: the folder holds no images ({endings}){also}"
    for remark in unread:
        print(remark)
    return found, ""


def _masks_among(images: Sequence[Path]) -> list[Path]:
    """Returns the images that are masks of others, by their names and by what is in them."""
    return [
        path
        for path, photograph in named_as_masks(images).items()
        if _could_be_mask(path, photograph)
    ]


def _could_be_mask(path: Path, photograph: Path) -> bool:
    """Whether an image is lossless, as large as the photograph, and has few colors."""
    try:
        header = image_header(path)
        if header.is_lossy or header.size != image_size(photograph):
            return False
        some = read_image(path)[::4, ::4].reshape(-1, 3).astype(np.uint32)
    except InputError:
        return False
    return len(np.unique(some @ np.array([1 << 16, 1 << 8, 1], np.uint32))) <= _MOST_COLORS


def _folders(folder: Path) -> list[Path]:
    """Returns a folder and those below it, but for hidden ones and links, which may lead back."""
    found = []
    for place, below, _ in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found.append(Path(place))
    return found
