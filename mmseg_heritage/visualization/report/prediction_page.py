"""The page of a folder of predictions: what was found on each photograph, with its overlay.

It lies beside the results and links to them; nothing is loaded from elsewhere, and it has no
script. Names come from files and are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.report.page import environment


@dataclass(frozen=True)
class PageClass:
    """A class of damage on a photograph.

    Attributes:
        name: Of the class.
        color: As CSS.
        percent: Of the object.
        amount: Area, length or number, with its unit.
        regions: Number of regions.
    """

    name: str
    color: str
    percent: str
    amount: str
    regions: int


@dataclass(frozen=True)
class PagePhotograph:
    """A photograph with its results.

    Attributes:
        name: Of the photograph.
        folder: Where its files lie, below that of the page; empty beside the page.
        files: What -> name of a file, such as 'overlay' and 'preview'.
        size: In pixels, and in millimeters where these are known.
        scale: Millimeters for each pixel, or "unknown".
        scale_source: Where the scale was found; empty without one.
        remark: What is odd about the scale, or why there is none; empty if nothing.
        unsure: Percentage of the object.
        damage: Percentage of the object.
        shrunk_by: Factor by which the network saw the photograph smaller; None if it did not.
        unread: What could not be read.
        classes: What was found, the largest first.
        look_first: Regions to look at first, in words.
        unlike: Why the photograph is one of another kind than those of the training; empty if not.
        undecided: Percentage of the object for which the model chose no class; empty if none.
    """

    name: str
    folder: str
    files: Mapping[str, str]
    size: str
    scale: str
    scale_source: str
    remark: str
    unsure: str
    damage: str
    shrunk_by: float | None
    unread: Sequence[str]
    classes: Sequence[PageClass]
    look_first: Sequence[str] = ()
    unlike: str = ""
    undecided: str = ""

    def link(self, what: str) -> str:
        """Returns the relative address of one of the files; empty where there is none."""
        name = self.files.get(what)
        if not name:
            return ""
        # "./" keeps a name such as "a:b.png" from being taken for an address of its own.
        return "./" + quote(f"{self.folder}/{name}" if self.folder else name)


def prediction_page(
    photographs: Sequence[PagePhotograph],
    problems: Sequence[str],
    checkpoint: str,
    unsure_below: float,
    warning: str = "",
) -> str:
    """Returns the page as HTML.

    Args:
        photographs: In the order of the page.
        problems: What could not be predicted or read, and why.
        checkpoint: Name of the file of the model.
        unsure_below: Confidence below which a pixel is unsure, 0 to 1.
        warning: What speaks against the model, if anything does.
    """
    return (
        environment()
        .get_template("predictions.html")
        .render(
            photographs=photographs,
            problems=problems,
            checkpoint=checkpoint,
            unsure_below=f"{unsure_below:g}",
            warning=warning,
            version=__version__,
            date=date.today().isoformat(),
        )
    )
