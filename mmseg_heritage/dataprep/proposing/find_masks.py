"""Finding which files of a folder are photographs, and which are their masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from mmseg_heritage.dataprep.ids import MASK_SUFFIX, MASK_WORD, id_of
from mmseg_heritage.dataprep.layout import list_images
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import color_numbers
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.utils.text import counted

_FOLDER = re.compile(rf"(?:^|[ _.-]){MASK_WORD}$", re.IGNORECASE)
_LOOKED_AT = 3  # pairs whose pixels are compared where names say nothing
_PAIRED = 0.5  # share of the smaller folder's files that must have a partner in the other


@dataclass(frozen=True)
class Pairs:
    """Photographs and masks that belong together.

    Attributes:
        images: Folder of the photographs.
        masks: Folder of the masks, which may be the same one.
        suffix: What the names of masks have behind those of the photographs, before the point.
        files: Id -> (photograph, mask), sorted by id.
        alone: Photographs without a mask, and masks without a photograph.
    """

    images: Path
    masks: Path
    suffix: str
    files: dict[str, tuple[Path, Path]]
    alone: tuple[Path, ...]


def find_masks(folder: str | Path) -> Pairs:
    """Pairs the images of a folder, and of the folders in it, by their names.

    Masks lie beside the photographs, and their names end in a word such as ``_mask``; or they lie
    in a folder of their own under the names of the photographs, with such a word or without. Where
    the folders' names say nothing, the masks are the images with fewer colors.

    Args:
        folder: With images in it, or in the folders in it.

    Raises:
        InputError: If no photographs with masks are found; says what was.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected photographs and their masks")
    places = [folder, *sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")]
    images = {place: files for place in places if (files := list_images(place))}
    found = [_in_one_folder(place, files) for place, files in images.items()]
    found += [_in_two_folders(a, b, images) for a, b in permutations(images, 2)]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        raise InputError(
            f"{folder}: no masks were found that belong to photographs. Expected masks beside the "
            "photographs as NAME_mask.png, or in a folder beside theirs under the same names, such "
            "as images/NAME.jpg and masks/NAME.png",
            [f"{place}: {counted(len(files), 'image')}" for place, files in images.items()]
            or [f"{folder}: no image, nor in the folders in it"],
        )
    return max(pairs, key=lambda pair: len(pair.files))


def _in_one_folder(place: Path, files: Sequence[Path]) -> Pairs | None:
    """Pairs the files of one folder by the word at the end of the masks' names."""
    suffixes = Counter(
        match[0] for file in files if (match := MASK_SUFFIX.search(id_of(file))) is not None
    )
    if not suffixes:
        return None
    suffix = suffixes.most_common(1)[0][0]
    masks = [file for file in files if id_of(file).endswith(suffix)]
    return _paired(place, [file for file in files if file not in masks], place, masks, suffix)


def _in_two_folders(images: Path, masks: Path, files: dict[Path, list[Path]]) -> Pairs | None:
    """Pairs the files of two folders, if the second one holds masks of the first."""
    suffixes = Counter(
        match[0] if (match := MASK_SUFFIX.search(id_of(file))) is not None else ""
        for file in files[masks]
    )
    suffix = suffixes.most_common(1)[0][0]
    pair = _paired(images, files[images], masks, files[masks], suffix)
    if pair is None or len(pair.files) < _PAIRED * min(len(files[images]), len(files[masks])):
        return None
    named = [bool(_FOLDER.search(place.name)) for place in (images, masks)]
    if named[0] != named[1]:
        return pair if named[1] else None
    return pair if _have_fewer_colors(pair) else None


def _paired(
    images: Path, photographs: Sequence[Path], masks: Path, others: Sequence[Path], suffix: str
) -> Pairs | None:
    of_id = {id_of(file): file for file in photographs}
    mask_of = {id_of(file).removesuffix(suffix): file for file in others}
    files = {i: (of_id[i], mask_of[i]) for i in sorted(of_id.keys() & mask_of.keys())}
    if not files:
        return None
    alone = [of_id[i] for i in sorted(of_id.keys() - files.keys())]
    alone += [mask_of[i] for i in sorted(mask_of.keys() - files.keys())]
    return Pairs(images, masks, suffix, files, tuple(alone))


def _have_fewer_colors(pair: Pairs) -> bool:
    found = list(pair.files.values())[:_LOOKED_AT]
    return all(_colors(mask) < _colors(image) for image, mask in found)


def _colors(path: Path) -> int:
    """Returns how many colors an image has; 0 where it cannot be read, which is said later."""
    try:
        pixels = read_image(path)
    except InputError:
        return 0
    return len(np.unique(color_numbers(pixels)))
