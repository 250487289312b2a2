"""A condition record as a DOCX, to be completed in a word processor; by python-docx."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.exchange.cad_and_gis import require
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.visualization.condition.record_content import (
    CHANGE_COLUMNS,
    DAMAGE_COLUMNS,
    ConditionRecord,
    Pair,
    RecordPhotograph,
    RecordPicture,
)
from mmseg_heritage.visualization.condition.record_texts import printable_part

_MARGIN, _TEXT_WIDTH = 1.6, 17.8  # of A4, in cm
_TALLEST = 11.0  # of a picture, in cm
_HALF = 8.7
_SMALL = 8  # points
_LONGEST = 255  # characters of a property
_LINE = "_" * 40


def require_docx() -> None:
    """Refuses where python-docx is absent.

    Raises:
        InputError: With what to install.
    """
    require("docx", "DOCX", "python-docx")


def write_docx(path: Path, record: ConditionRecord) -> None:
    """Writes a record.

    Raises:
        InputError: If python-docx is absent.
    """
    document = _Document(record)
    for photograph in record.photographs:
        document.photograph(photograph)
    document.review()
    with replacing(path) as temporary:
        document.file.save(str(temporary))


class _Document:
    """Lays out a record, from its beginning."""

    def __init__(self, record: ConditionRecord) -> None:
        docx = require("docx", "DOCX", "python-docx")
        self._cm, self._points = docx.shared.Cm, docx.shared.Pt
        self._record, self._say = record, record.legend.text
        self.file: Any = docx.Document()
        page = self.file.sections[0]
        page.page_width, page.page_height = self._cm(21), self._cm(29.7)
        for side in ("left", "right", "top", "bottom"):
            setattr(page, f"{side}_margin", self._cm(_MARGIN))
        self.file.core_properties.title = _text(record.title)[:_LONGEST]
        self.file.core_properties.language = record.legend.language
        self.file.core_properties.author = ""
        self.file.add_paragraph(self._say("Condition record"))
        self.file.add_heading(_text(record.title), 0)
        self.file.add_paragraph().add_run(_text(record.remark)).bold = True
        self._facts(record.head)
        page.footer.paragraphs[0].text = _text(f"{record.made_by}. {record.remark}.")

    def photograph(self, photograph: RecordPhotograph) -> None:
        """Adds what the record says of a photograph."""
        self.file.add_heading(_text(photograph.name), 1)
        self._pictures([photograph.plain, photograph.found])
        if photograph.legend:
            self._heading("Legend")
            for row in photograph.legend:
                paragraph = self.file.add_paragraph()
                paragraph.add_run().add_picture(io.BytesIO(row.picture.content), self._cm(0.9))
                paragraph.add_run(_text(f"  {row.sign.name}")).bold = True
                paragraph.add_run(_text(f"  {row.sign.note}  {row.sign.term}".rstrip()))
        self._heading("Damage")
        if photograph.damage:
            header = [self._say(name) for name in ("Damage", *DAMAGE_COLUMNS)]
            self._table(header, [[row.name, *row.cells] for row in photograph.damage])
        else:
            self.file.add_paragraph(self._say("No damage was found."))
        if photograph.details:
            self._heading("Details")
        for detail in photograph.details:
            self.file.add_heading(_text(f"{detail.letter}  {detail.title}"), 3)
            self._pictures([detail.plain, detail.found])
            self._facts(detail.facts)
        for title, pairs in (
            ("What is unsure", photograph.unsure), ("What was not read", photograph.unread)
        ):  # fmt: skip
            if pairs:
                self._heading(title)
                self._facts(pairs)
        if photograph.changes:
            changes = photograph.changes
            self._heading("Changes by reviewers")
            self._facts(changes.facts)
            if changes.rows:
                self._table([self._say(name) for name in CHANGE_COLUMNS], changes.rows)
            if changes.more:
                more = f"{self._say('More changes, in changes.csv')}: {changes.more}"
                self.file.add_paragraph(more)
        self._heading("Photograph")
        self._facts(photograph.facts)

    def review(self) -> None:
        """Adds the fields for the reviewer."""
        self.file.add_heading(self._say("Review"), 1)
        self._facts([(self._say("Remarks"), f"{_LINE}\n{_LINE}\n{_LINE}"), *self._record.foot])

    def _heading(self, phrase: str) -> None:
        self.file.add_heading(self._say(phrase), 2)

    def _facts(self, pairs: Sequence[Pair]) -> None:
        for label, text in pairs:
            paragraph = self.file.add_paragraph()
            paragraph.paragraph_format.space_after = self._points(2)
            if label:
                paragraph.add_run(_text(f"{label}: ")).bold = True
            paragraph.add_run(_text(text or _LINE))

    def _pictures(self, pictures: Sequence[RecordPicture]) -> None:
        """Adds pictures beside each other."""
        paragraph = self.file.add_paragraph()
        paragraph.paragraph_format.keep_with_next = True
        for place, picture in enumerate(pictures):
            if place:
                paragraph.add_run(" ")
            width = min(_HALF, _TALLEST * picture.width / picture.height)
            paragraph.add_run().add_picture(io.BytesIO(picture.content), self._cm(width))

    def _table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = self.file.add_table(rows=0, cols=len(header), style="Table Grid")
        for number, cells in enumerate([header, *rows]):
            for cell, text in zip(table.add_row().cells, cells, strict=True):
                run = cell.paragraphs[0].add_run(_text(text))
                run.font.size, run.bold = self._points(_SMALL), number == 0
        self.file.add_paragraph()


def _text(text: str) -> str:
    """Returns text without what XML cannot hold."""
    return "\n".join(map(printable_part, text.split("\n")))
