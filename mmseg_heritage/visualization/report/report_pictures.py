"""Pictures inside a report: figures and panels as data URIs, small enough for one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.photographs import read_image

MAX_BYTES = 30_000_000
"""Of all panels of a report together; base64 adds a third to it in the file."""
MAX_PANEL_BYTES = 250_000
MAX_PANELS = 600
"""With more, each would be too small to show anything; the images with the lowest scores count."""

_LONGEST_EDGE = 1600
_SMALLEST_EDGE = 320
_SHRINK = 0.85
_QUALITY = 80
_TYPES = {".png": "png", ".svg": "svg+xml"}


def figure_uri(path: Path) -> str:
    """Returns a drawn figure, PNG or SVG, as a data URI, unchanged."""
    return data_uri(path.read_bytes(), _TYPES[path.suffix])


def panel_uri(path: str | Path, max_bytes: int = MAX_PANEL_BYTES) -> str:
    """Returns a picture as a data URI: a JPEG of a long edge of 1600 px or less.

    Args:
        path: Picture of any format that is read.
        max_bytes: The JPEG is shrunk until it has no more than these, or until its long edge has
            fewer than 320 px.

    Raises:
        InputError: If it cannot be read.
    """
    picture = Image.fromarray(read_image(path))
    edge = float(min(_LONGEST_EDGE, max(picture.size)))
    while True:
        small = picture.copy()
        small.thumbnail((round(edge), round(edge)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        # Without chroma subsampling: thin colored damage would bleed.
        small.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
        if buffer.tell() <= max_bytes or edge * _SHRINK < _SMALLEST_EDGE:
            return data_uri(buffer.getvalue(), "jpeg")
        edge *= _SHRINK


def find_panels(folder: str | Path, ids: Iterable[str]) -> dict[str, Path]:
    """Finds the panels that a test wrote with ``--show-dir``.

    Args:
        folder: Where it wrote ``<id>.png``.
        ids: Of the tested images.

    Returns:
        Id -> picture, for those that are there.

    Raises:
        InputError: If there is no such folder, or if it holds no picture of any of the images.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; test.py --show-dir writes the pictures")
    names = [i for i in ids if Path(i).name == i]  # an id with a folder in it would lead elsewhere
    found = {i: path for i in names if (path := folder / f"{i}.png").is_file()}
    if not found:
        example = f", such as {names[0]}.png" if names else ""
        raise InputError(
            f"{folder}: holds no picture of a tested image{example}; give the folder that "
            "test.py --show-dir wrote for this run"
        )
    return found


def inline_panels(
    panels: Sequence[Mapping[str, Path]], order: Sequence[str]
) -> list[dict[str, str]]:
    """Returns the panels of all runs as data URIs that aim at :data:`MAX_BYTES` together.

    Args:
        panels: Of each run, id -> picture.
        order: Ids, the most important first; only as many are kept as :data:`MAX_PANELS` allow.

    Returns:
        Of each run, id -> data URI.

    Raises:
        InputError: With all pictures that cannot be read.
    """
    kept = set(order[: MAX_PANELS // max(len(panels), 1)])
    chosen = [{i: path for i, path in of_run.items() if i in kept} for of_run in panels]
    number = sum(map(len, chosen))
    share = min(MAX_PANEL_BYTES, MAX_BYTES // max(number, 1))
    inlined: list[dict[str, str]] = []
    problems = []
    for of_run in chosen:
        uris = {}
        for name, path in of_run.items():
            try:
                uris[name] = panel_uri(path, share)
            except InputError as error:
                problems.append(str(error))
        inlined.append(uris)
    if problems:
        raise InputError("some pictures cannot be read; write them again with test.py", problems)
    return inlined


def data_uri(content: bytes, kind: str) -> str:
    """Returns an address that holds a picture: the content of a file, of 'png', 'jpeg', ..."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
