"""The formats that are read back, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.coco import open_coco
from mmseg_heritage.exchange.cvat import open_cvat
from mmseg_heritage.exchange.damage_map import Legend, Reading
from mmseg_heritage.exchange.geojson import read_geojson
from mmseg_heritage.exchange.label_studio import open_label_studio
from mmseg_heritage.exchange.layer_files import read_layers
from mmseg_heritage.exchange.ora import read_ora
from mmseg_heritage.exchange.svg.svg_reading import read_svg

Reader = Callable[[tuple[int, int], Legend], Reading]
"""Takes (width, height) of the photograph and a legend."""

FILES = {  # a file, or folder, for each photograph: its ending, and what reads it
    "svg": (".svg", read_svg),
    "geojson": (".geojson", read_geojson),
    "ora": (".ora", read_ora),
    "layers": ("_layers", read_layers),
}
ARCHIVES = {"coco": open_coco, "cvat": open_cvat, "label-studio": open_label_studio}
"""One file for all photographs."""

KINDS = (*FILES, *ARCHIVES)
"""Names of all formats that are read."""


def find_readers(kind: str, place: Path) -> dict[str, tuple[Path, Reader]]:
    """Finds what has been drawn on which photographs.

    Args:
        kind: One of :data:`KINDS`.
        place: Of :data:`FILES` the folder, of :data:`ARCHIVES` the file.

    Returns:
        Name of the photograph, with or without its ending -> file, and what reads it.

    Raises:
        InputError: If nothing of this kind is there.
    """
    if kind in ARCHIVES:
        if not place.is_file():
            raise InputError(f"{place}: expected the file of {kind}, found no file")
        return {name: (place, reader) for name, reader in ARCHIVES[kind](place).items()}
    ending, read = FILES[kind]
    if not place.is_dir():
        raise InputError(f"{place}: expected a folder of *{ending}, found no folder")
    found: dict[str, tuple[Path, Reader]] = {}
    for path in sorted(place.iterdir()):
        if path.name.lower().endswith(ending) and not path.name.startswith("."):
            found[path.name[: -len(ending)]] = path, partial(read, path)
    if not found:
        raise InputError(f"{place}: holds nothing named *{ending}")
    return found
