"""What a condition record says, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.visualization.condition.legend_file import Legend, Sign
from mmseg_heritage.visualization.condition.signs import swatch
from mmseg_heritage.visualization.report.report_pictures import data_uri

_QUALITY = 88  # of JPEG

Pair = tuple[str, str]
"""A label and what it is of; an empty text is to be filled in by hand."""


@dataclass(frozen=True)
class RecordPicture:
    """A picture in a record.

    Attributes:
        content: Of a JPEG or PNG file.
        width: In pixels.
        height: In pixels.
        alt: What it shows, for those who do not see it.
    """

    content: bytes
    width: int
    height: int
    alt: str

    @property
    def uri(self) -> str:
        """The picture as an address that holds it."""
        kind = "png" if self.content.startswith(b"\x89PNG") else "jpeg"
        return data_uri(self.content, kind)


def encoded(image: np.ndarray, alt: str, ending: str = ".jpg") -> RecordPicture:
    """Returns a picture of pixels, uint8 (h, w, 3), RGB, as '.jpg' or '.png'."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if ending == ".jpg" else []
    done, content = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise InputError(f"a picture of {image.shape[1]}x{image.shape[0]} pixels cannot be written")
    return RecordPicture(content.tobytes(), image.shape[1], image.shape[0], alt)


@dataclass(frozen=True)
class LegendRow:
    """A class in the legend of a photograph.

    Attributes:
        sign: How it is shown.
        picture: Its color, hatch and symbol.
    """

    sign: Sign
    picture: RecordPicture

    @classmethod
    def of(cls, sign: Sign) -> LegendRow:
        """Returns the row of a class."""
        return cls(sign, encoded(swatch(sign), "", ".png"))


@dataclass(frozen=True)
class DamageRow:
    """A class in the table of damage.

    Attributes:
        name: Of the class; all damage where there is no row of the legend for it.
        cells: Area, share, length, mean width, largest width, regions, confidence; empty if not
            known.
        first: Which of the cells the class is measured by.
        legend: Its row of the legend; None of the sum.
    """

    name: str
    cells: Sequence[str]
    first: int
    legend: LegendRow | None = None


@dataclass(frozen=True)
class Detail:
    """A region that is shown enlarged.

    Attributes:
        letter: What it is called in the record.
        title: Its class.
        facts: Label and text.
        plain: Part of the photograph around it.
        found: The same with what was found.
    """

    letter: str
    title: str
    facts: Sequence[Pair]
    plain: RecordPicture
    found: RecordPicture


@dataclass(frozen=True)
class ReviewerChanges:
    """What reviewers have changed on a photograph.

    Attributes:
        facts: Label and text.
        rows: Date, act, by, region, before, after, pixels and comment of each.
        more: Number of changes beside those.
    """

    facts: Sequence[Pair]
    rows: Sequence[Sequence[str]] = ()
    more: int = 0


@dataclass(frozen=True)
class RecordPhotograph:
    """A photograph in a record.

    Attributes:
        name: Of the photograph.
        facts: Label and text.
        plain: The photograph.
        found: The same with what was found.
        legend: The classes that are drawn.
        damage: The table; empty where nothing was found.
        details: Regions that are shown enlarged.
        unsure: Label and text.
        unread: Label and text.
        changes: By reviewers; None of a machine's suggestion.
    """

    name: str
    facts: Sequence[Pair]
    plain: RecordPicture
    found: RecordPicture
    legend: Sequence[LegendRow]
    damage: Sequence[DamageRow]
    details: Sequence[Detail]
    unsure: Sequence[Pair]
    unread: Sequence[Pair]
    changes: ReviewerChanges | None = None


@dataclass(frozen=True)
class ConditionRecord:
    """A record of an object.

    Attributes:
        title: What the object is called.
        remark: Who has found what is in it.
        head: Fields at the beginning.
        foot: Fields for the reviewer.
        photographs: Of the object.
        made_by: Program and day.
        legend: For the words.
    """

    title: str
    remark: str
    head: Sequence[Pair]
    foot: Sequence[Pair]
    photographs: Sequence[RecordPhotograph]
    made_by: str
    legend: Legend = field(default_factory=Legend)


DAMAGE_COLUMNS = (
    "Area", "Share of the object", "Length", "Mean width", "Largest width", "Regions",
    "Confidence",
)  # fmt: skip
"""Of :attr:`DamageRow.cells`, as phrases."""
CHANGE_COLUMNS = ("Date", "Act", "By", "Region", "Before", "After", "Pixels", "Comment")
"""Of :attr:`ReviewerChanges.rows`, as phrases."""
