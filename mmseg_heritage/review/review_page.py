"""Writes the folder of the review page.

``review.html`` opens by a double click: its data are scripts (a page opened from a disk may not
read other files), its photographs are tiles. Nothing is loaded from elsewhere. Names are data, and
the page shows them as text, never as markup.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.review.image_tiles import OVERLAP, TILE, levels
from mmseg_heritage.review.review_file import SCHEMA
from mmseg_heritage.utils.files import replacing

PAGE = "review.html"
ASSETS, DATA = "assets", "data"
_SOURCE = Path(__file__).parent / "page"


def run_key(photographs: Iterable[Mapping[str, Any]]) -> str:
    """Returns what the browser keeps the acts under: other predictions, another key."""
    facts = [f"{p['name']}\0{p['image_sha256']}\0{p['class_map_sha256']}\n" for p in photographs]
    return hashlib.sha256("".join(sorted(facts)).encode()).hexdigest()


def write_page(
    folder: Path, classes: Sequence[Mapping[str, Any]], photographs: Sequence[Mapping[str, Any]]
) -> None:
    """Writes the page, its scripts and the list of photographs.

    Args:
        folder: Where to.
        classes: In the order of the page: name, color as CSS, and whether it is damage.
        photographs: With name, hashes, size, scale, file of the data and numbers of regions.
    """
    assets = folder / ASSETS
    shutil.copytree(_SOURCE, assets, ignore=shutil.ignore_patterns(PAGE, "README.txt"))
    shutil.copy2(_SOURCE / PAGE, folder / PAGE)
    write_script(folder / DATA / "index.js", "start", {
        "schema": SCHEMA,
        "run": run_key(photographs),
        "tile": TILE,
        "overlap": OVERLAP,
        "classes": classes,
        "photographs": [{**p, "levels": levels(p["width"], p["height"])} for p in photographs],
    })  # fmt: skip


def write_script(path: Path, function: str, content: Any) -> None:
    """Writes data as a script that hands them to a function of the page."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)  # ASCII
    with replacing(path) as temporary:
        temporary.write_text(f"review.{function}({text});\n", encoding="ascii")
