"""What can be wrong with the files of a data set, as one list that people and programs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """What faults of one kind have in common.

    Attributes:
        title: What is wrong, for the head of their list.
        is_warning: Whether training can do without fixing it.
    """

    title: str
    is_warning: bool = False

    @property
    def severity(self) -> str:
        """Returns "fault" or "warning"."""
        return "warning" if self.is_warning else "fault"


KINDS: Mapping[str, Kind] = {
    "metadata": Kind("the metadata cannot be used"),
    "repeated id": Kind("two files have one id"),
    "name": Kind("names that are not UTF-8"),
    "unpaired": Kind("an image without annotation, or an annotation without image"),
    "no row": Kind("images that the metadata does not list"),
    "no image": Kind("rows of the metadata without image"),
    "source circle": Kind("copies of copies that lead in a circle"),
    "missing": Kind("links to files that are gone"),
    "unreadable": Kind("files that are no image"),
    "truncated": Kind("images that are cut off or damaged"),
    "too large": Kind("images of more pixels than allowed"),
    "mode": Kind("images or masks of a kind that cannot be used"),
    "size": Kind("masks of another size than their image"),
    "ids": Kind("masks with values that are no class id"),
    "duplicate": Kind("the same photograph under several ids"),
    "near-duplicate": Kind("photographs that look alike", is_warning=True),
    "no label": Kind("masks without a labeled pixel: all is 255", is_warning=True),
    "mask values": Kind("masks whose values may mean something else", is_warning=True),
    "orientation": Kind("masks that may lie on another side than their photo", is_warning=True),
    "unknown source": Kind("source_id of photographs that are not here", is_warning=True),
    "unknown column": Kind("columns of the metadata that nothing reads", is_warning=True),
    "unknown domain": Kind("materials or contents outside the data set's lists", is_warning=True),
    "color profile": Kind("color profiles that cannot be applied", is_warning=True),
    "other file": Kind("files and folders that are not read", is_warning=True),
}
"""Kind of fault -> what it means, in the order of reports."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data set.

    Attributes:
        kind: A key of :data:`KINDS`.
        file: The file that has it.
        message: What was expected, what was found, and what to do.
        line: Of a text file.
        others: Further files that share the fault.
        values: Where mask values are wrong: value -> number of pixels.
    """

    kind: str
    file: Path
    message: str
    line: int | None = None
    others: tuple[Path, ...] = ()
    values: Mapping[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}: {self.message}"
