"""CVAT's archive "Segmentation mask 1.1": class masks in the colors of a label map."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.archives import write_member
from mmseg_heritage.exchange.damage_map import DamageMap, Legend, Reading
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.exchange.untrusted_files import open_archive, read_member
from mmseg_heritage.images.color import color_numbers
from mmseg_heritage.images.image_files import ImageHeader
from mmseg_heritage.images.masks import read_labels
from mmseg_heritage.taxonomy import IGNORE_INDEX, Color, fill_colors
from mmseg_heritage.utils.files import replacing

_LABELS, _MASKS = "labelmap.txt", "SegmentationClass/"
_BACKGROUND = "background"  # CVAT's label of what is not drawn
_BLACK: Color = (0, 0, 0)
_MAX_LABELS = 65536


class CvatWriter:
    """Adds maps to an archive; :func:`write_cvat` makes it.

    Args:
        archive: Opened for writing.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names: list[str] = []
        self._colors: dict[str, Color] = {_BACKGROUND: _BLACK}

    def add(self, found: DamageMap, outlines: Sequence[Outline]) -> None:
        """Adds a map as a mask with the palette of the label map; outlines are not needed."""
        palette = np.zeros((256, 3), np.uint8)
        for c in found.drawn:
            if c.name not in self._colors:
                free = fill_colors([*self._colors.values(), None])[-1]
                self._colors[c.name] = free if c.color in self._colors.values() else c.color
            palette[c.id] = self._colors[c.name]
        image = Image.fromarray(found.class_map).convert("P")
        image.putpalette(palette.ravel().tolist())
        content = io.BytesIO()
        image.convert("RGB").save(content, "PNG", compress_level=1)
        name = PurePosixPath(found.photograph_name).stem
        write_member(self._archive, f"{_MASKS}{name}.png", content.getvalue())
        self._names.append(name)

    def close(self) -> None:
        """Writes the label map and the list of images."""
        lines = [f"{n}:{','.join(map(str, c))}::" for n, c in self._colors.items()]
        head = "# label:color_rgb:parts:actions"
        write_member(self._archive, _LABELS, "\n".join([head, *lines, ""]))
        names = "".join(f"{name}\n" for name in self._names)
        write_member(self._archive, "ImageSets/Segmentation/default.txt", names)


@contextmanager
def write_cvat(path: Path) -> Iterator[CvatWriter]:
    """Yields a writer of an archive, which is there when all maps are in it."""
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        writer = CvatWriter(archive)
        yield writer
        writer.close()


def open_cvat(path: Path) -> dict[str, partial[Reading]]:
    """Opens an archive as CVAT exports it.

    Returns:
        Name of a mask, which is that of the photograph -> reads its map, given (width, height) and
        a legend.

    Raises:
        InputError: If it is none.
    """
    with open_archive(path) as archive:
        colors = _colors_of(read_member(archive, _LABELS, path), path)
        members = [n for n in archive.namelist() if n.startswith(_MASKS) and n.endswith(".png")]
    if not members:
        raise InputError(f"{path}: holds no masks in {_MASKS}")
    return {name.removeprefix(_MASKS): partial(_read, path, name, colors) for name in members}


def _colors_of(content: bytes, path: Path) -> dict[int, str]:
    """Returns color, as red * 65536 + green * 256 + blue -> label."""
    colors: dict[int, str] = {}
    lines = content.decode("utf-8", "replace").splitlines()[:_MAX_LABELS]
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        # A name may hold colons: the color, parts and actions come last.
        parts = line.rsplit(":", 3)
        try:
            red, green, blue = (int(n) for n in parts[1].split(","))
            value = int.from_bytes(bytes([red, green, blue]), "big")
        except (IndexError, ValueError) as error:
            raise InputError(
                f"{path}: {_LABELS}: expected label:red,green,blue:parts:actions, found '{line}'"
            ) from error
        colors[value] = parts[0]
    return colors


def _read(
    path: Path, name: str, colors: dict[int, str], size: tuple[int, int], legend: Legend
) -> Reading:
    table = np.full(1 << 24, -1, np.int16)
    rest = legend.rest(None) if _BACKGROUND in colors.values() else IGNORE_INDEX
    for value, label in colors.items():
        found = rest if label == _BACKGROUND else legend.find(label, _LABELS)
        table[value] = IGNORE_INDEX if found is None else found
    legend.check(path)
    unknown: set[int] = set()

    def mode_of(header: ImageHeader) -> str:
        if header.mode not in ("RGB", "RGBA", "P", "L"):
            raise InputError(f"{path}: {name}: expected colors, found mode {header.mode}")
        return "RGB"

    def to_ids(pixels: np.ndarray) -> np.ndarray:
        value = color_numbers(pixels)
        ids = table[value]
        unknown.update(np.unique(value[ids < 0]).tolist()[:10])
        return ids

    with open_archive(path) as archive:
        content = read_member(archive, name, path)
    mask = read_labels(content, mode_of, to_ids, size, f"{path}: {name}")
    listed = ", ".join(f"#{value:06x}" for value in sorted(unknown)[:5])
    legend.check(path, [f"{name}: has colors that no label has: {listed}"] if unknown else ())
    return Reading(mask)
