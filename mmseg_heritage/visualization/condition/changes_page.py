"""The page on which two photographs of one object are laid over each other, by swipe or blink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmseg_heritage.registration.changes import KINDS, UNCHANGED
from mmseg_heritage.taxonomy import Color
from mmseg_heritage.visualization.report.page import render_template


@dataclass(frozen=True)
class ClassRow:
    """A class on the page.

    Attributes:
        name: Of the class.
        color: In which it is drawn.
        before: Its area before, with unit.
        after: Its area after.
        difference: With tolerance.
        numbers: Of regions of each kind of change.
    """

    name: str
    color: Color
    before: str
    after: str
    difference: str
    numbers: Sequence[int]


@dataclass(frozen=True)
class ChangeRow:
    """A change on the page.

    Attributes:
        number: As in changes.csv.
        kind: Of :data:`mmseg_heritage.registration.changes.KINDS`.
        name: Of the class.
        color: In which it is drawn.
        box: Left, top, width and height as shares of BEFORE, 0 to 1; None where it is not on it.
        place: In words.
        before: Area before.
        after: Area after.
        difference: With tolerance; empty where only one photograph shows the region.
        gained: Area.
        lost: Area.
        remark: What else is to be said.
    """

    number: int
    kind: str
    name: str
    color: Color
    box: tuple[float, float, float, float] | None
    place: str
    before: str
    after: str
    difference: str
    gained: str
    lost: str
    remark: str


@dataclass(frozen=True)
class ChangesPage:
    """What the page shows.

    Attributes:
        before: Name of the photograph.
        after: Name of the later one.
        size: Width and height of BEFORE in pixels.
        facts: Label and text.
        classes: Of damage that was found.
        changes: The list.
        more: Number of those that are in the tables only.
    """

    before: str
    after: str
    size: tuple[int, int]
    facts: Sequence[tuple[str, str]]
    classes: Sequence[ClassRow]
    changes: Sequence[ChangeRow]
    more: int


def changes_page(page: ChangesPage) -> str:
    """Returns the page as HTML; its pictures lie beside it, and its own script alone may run."""
    return render_template(
        "changes.html",
        "changes.js",
        page=page,
        kinds=KINDS,
        unchanged=UNCHANGED,
        counts={kind: sum(c.kind == kind for c in page.changes) for kind in KINDS},
    )
