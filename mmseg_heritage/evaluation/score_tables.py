"""Tables of scores: one object, laid out for the terminal, Markdown and LaTeX, or kept as numbers.

What is laid out is rounded; what is kept (:meth:`Table.records`, CSV, JSON) is not, and holds the
ends of intervals in columns of their own.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmseg_heritage.utils.tables import markdown_table, markdown_text, plain_table

NOTHING = "-"
"""What is laid out where there is no value."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its interval, each None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


Cell = str | int | float | Estimate | None


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: Name of the values, in rows and records.
        title: What is printed above them.
        digits: After the point, of floats.
        signed: Whether positive numbers carry a plus.
    """

    key: str
    title: str
    digits: int = 1
    signed: bool = False

    def text(self, cell: Cell) -> str:
        """Lays a cell out as plain text."""
        if isinstance(cell, Estimate):
            value = self.text(cell.value)
            if cell.low is None or cell.high is None:
                return value
            return f"{value} [{self.text(cell.low)}, {self.text(cell.high)}]"
        if cell is None:
            return NOTHING
        if isinstance(cell, str):
            return cell
        sign = "+" if self.signed else ""
        if isinstance(cell, int):
            return f"{cell:{sign},}"
        text = f"{cell:{sign}.{self.digits}f}"
        return text if float(text) or self.signed else text.removeprefix("-")  # no "-0.0"


@dataclass(frozen=True)
class Table:
    """Rows under columns, with a caption and remarks.

    Attributes:
        caption: What the table shows.
        columns: From left to right; the first ``labels`` of them are words and stand to the left.
        rows: Column key -> cell; a key that is absent is a cell without a value.
        notes: Remarks below.
        labels: Number of columns that name the row.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Cell]]
    notes: Sequence[str] = ()
    labels: int = 1

    def texts(self) -> list[list[str]]:
        """Returns all cells as plain text."""
        return [[column.text(row.get(column.key)) for column in self.columns] for row in self.rows]

    def records(self) -> list[dict[str, str | int | float | None]]:
        """Returns a dict of plain values for each row, for CSV and JSON; nothing is rounded.

        An interval adds ``<key>_low`` and ``<key>_high``, in every row.
        """
        wide = {
            column.key
            for column in self.columns
            if any(isinstance(row.get(column.key), Estimate) for row in self.rows)
        }
        records = []
        for row in self.rows:
            record: dict[str, str | int | float | None] = {}
            for column in self.columns:
                cell = row.get(column.key)
                if column.key in wide:
                    found = cell if isinstance(cell, Estimate) else Estimate(None)
                    record[column.key] = found.value
                    record[f"{column.key}_low"] = found.low
                    record[f"{column.key}_high"] = found.high
                elif not isinstance(cell, Estimate):
                    record[column.key] = cell
            records.append(record)
        return records

    def terminal(self) -> str:
        """Lays the table out for the terminal."""
        grid = plain_table([column.title for column in self.columns], self.texts(), self.labels)
        return "\n".join([self.caption, "", grid, *self.notes])

    def csv(self) -> str:
        """Returns :meth:`records` as CSV (RFC 4180) with a header; no value is an empty field."""
        records = self.records()
        text = io.StringIO()
        writer = csv.DictWriter(text, list(records[0]) if records else [])
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()

    def markdown(self) -> str:
        """Lays the table out as GitHub-flavored Markdown."""
        head = [markdown_text(column.title) for column in self.columns]
        body = [[markdown_text(cell) for cell in row] for row in self.texts()]
        grid = markdown_table(head, body, self.labels)
        notes = [f"\n{markdown_text(note)}" for note in self.notes]
        return "\n".join([f"## {markdown_text(self.caption)}\n", grid, *notes]) + "\n"

    def latex(self) -> str:
        """Lays the table out for LaTeX with the package booktabs."""
        align = "l" * self.labels + "r" * (len(self.columns) - self.labels)
        head = [latex_text(column.title) for column in self.columns]
        body = [[latex_text(cell) for cell in row] for row in self.texts()]
        lines = [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex_text(' '.join([self.caption + '.', *self.notes]))}}}",
            rf"  \begin{{tabular}}{{{align}}}",
            r"    \toprule",
            rf"    {' & '.join(head)} \\",
            r"    \midrule",
            *(rf"    {' & '.join(row)} \\" for row in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """Escapes what LaTeX reads as commands; the minus of a number is a minus."""
    escaped = "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
    if escaped == NOTHING:
        return "--"
    if escaped.startswith(("[", "*")):  # after a line break, LaTeX takes these as its argument
        escaped = f"{{{escaped[0]}}}{escaped[1:]}"
    return re.sub(r"(?<![\w.)-])-(?=\d)", "$-$", escaped)
