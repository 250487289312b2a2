"""Rows of cells as text, for the console and the log, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def plain_table(header: Sequence[str], rows: Iterable[Sequence[object]], labels: int = 1) -> str:
    """Aligns rows below a header and a line of dashes.

    Args:
        header: Titles of the columns; two may be equal.
        rows: Cells, as many as titles, shown with ``str``.
        labels: Number of columns on the left that are words; they are aligned to the left, all
            others, which are numbers, to the right.
    """
    grid = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    grid.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(_padded(row, widths, labels)).rstrip() for row in grid)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]], labels: int = 1) -> str:
    """Makes a table of GitHub-flavored Markdown that is aligned as plain text too.

    Args:
        header: Titles of the columns.
        rows: Cells, as many as titles, shown with ``str``. They may hold Markdown; other text is
            to be given through :func:`markdown_text`.
        labels: As for :func:`plain_table`.
    """
    rule = ["---" if place < labels else "---:" for place in range(len(header))]
    grid = [list(header), rule, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return "\n".join(f"| {' | '.join(_padded(row, widths, labels))} |" for row in grid)


def markdown_text(text: str) -> str:
    """Escapes what Markdown reads as marks or HTML, and what would end a cell."""
    return re.sub(r"([\\|*_<>`~])", r"\\\1", " ".join(text.split()))


def _padded(row: Sequence[str], widths: Sequence[int], labels: int) -> list[str]:
    return [
        cell.ljust(width) if place < labels else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
