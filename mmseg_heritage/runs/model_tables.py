"""Tables of measured models, and keeping those in a document up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.model_stats import ModelStats
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.tables import markdown_table


def config_table(stats: Sequence[ModelStats]) -> str:
    """Makes the table of parameters and FLOPs of each config.

    Returns:
        A Markdown table, ordered by name: parameters in millions, FLOPs in thousand millions (G).
    """
    rows = [
        [
            f"`{s.config}`",
            _shape(s.size),
            *(_scaled(n, 1e6) for n in (sum(s.parameters.values()), *s.parameters.values())),
            *(_scaled(n, 1e9) for n in (sum(s.flops.values()), *s.flops.values())),
        ]
        for s in sorted(stats, key=lambda s: s.config)
    ]
    header = ["config", "px", "parameters (M)", "of backbone", "of head", "of auxiliary"]
    return markdown_table([*header, "GFLOPs", "of backbone", "of head"], rows)


def backbone_table(stats: Sequence[ModelStats]) -> str:
    """Makes the table of the feature levels of each backbone, each row once.

    Returns:
        A Markdown table, ordered by name.
    """
    rows = {
        (
            f"`{s.backbone}`",
            ", ".join(map(str, s.strides)),
            ", ".join(map(str, s.channels)),
            s.image_sizes,
            _scaled(s.parameters["backbone"], 1e6),
        )
        for s in stats
    }
    header = ["backbone", "strides", "channels", "takes image sides", "parameters (M)"]
    return markdown_table(header, sorted(rows), labels=4)


TABLES: dict[str, Callable[[Sequence[ModelStats]], str]] = {
    "configs": config_table,
    "backbones": backbone_table,
}
"""Name in the markers of a document -> what makes the table between them."""


def check_markers(path: str | Path) -> None:
    """Verifies that a document has the markers of every table, before anything is measured.

    They are the lines ``<!-- model-stats NAME -->`` and ``<!-- end model-stats NAME -->``, with the
    names of :data:`TABLES`.

    Raises:
        InputError: If the document is absent or has not every marker once.
    """
    text = _read(Path(path))
    for name in TABLES:
        _split(text, name)


def update_tables(path: str | Path, stats: Sequence[ModelStats]) -> bool:
    """Rewrites the tables in a document, each between its two markers.

    Returns:
        Whether anything changed; otherwise the file is not touched.

    Raises:
        InputError: See :func:`check_markers`.
    """
    path = Path(path)
    old = new = _read(path)
    for name, make in TABLES.items():
        before, _, after = _split(new, name)
        new = f"{before}{make(stats)}\n{after}"
    if new == old:
        return False
    with replacing(path) as temporary:
        temporary.write_text(new, encoding="utf-8")
    return True


def check_tables(path: str | Path, stats: Sequence[ModelStats]) -> None:
    """Verifies that the tables in a document are those of the models.

    Raises:
        InputError: If they are not, with the rows that differ, or as :func:`check_markers`.
    """
    text = _read(Path(path))
    problems = []
    for name, make in TABLES.items():
        tables = (make(stats), _split(text, name)[1].strip())
        # One long cell widens all rows, which is no difference.
        rows = ([" ".join(row.split()) for row in table.splitlines()] for table in tables)
        for wanted, found in zip_longest(*rows, fillvalue="no row"):
            if wanted != found:
                problems.append(f"{name}: expected {wanted}, found {found}")
    if problems:
        raise InputError(
            f"{path}: the tables are not those of the models; rewrite them with --update {path}",
            problems,
        )


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: no such document")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a document in UTF-8 text, found {error}") from error


def _split(text: str, name: str) -> tuple[str, str, str]:
    """Cuts a document into what is before a table, the table, and what is after it."""
    start, end = f"<!-- model-stats {name} -->\n", f"<!-- end model-stats {name} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise InputError(
            f"the document needs the lines '{start.strip()}' and '{end}', once each, around the "
            f"table of {name}"
        )
    before, rest = text.split(start)
    table, after = rest.split(end)
    return before + start, table, end + after


def _shape(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]} x {size[1]}"


def _scaled(number: int, unit: float) -> str:
    """Writes a number in a unit, with one decimal."""
    return f"{number / unit:.1f}" if number else "-"
