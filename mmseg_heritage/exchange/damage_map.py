"""A class map with what formats say about it; and the legend by which names become ids again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import BACKGROUND, CLEAN, IGNORE_INDEX, ClassList, DamageClass
from mmseg_heritage.utils.text import did_you_mean

SCHEMA = "mmseg_heritage/exchange/1"
"""Of what files say about themselves, where the format has room for it."""
FACTS = "mmseg_heritage"
"""Key of that."""
IGNORE = "ignore"
"""What 255 is called where nothing is drawn."""
PHOTOGRAPH = "Photograph"
"""Name of the layer below all others."""


@dataclass(frozen=True)
class DamageMap:
    """A damage map to be written.

    Attributes:
        name: What its files are called, without ending.
        class_map: uint8 (H, W), ids of classes or 255.
        classes: What the ids mean.
        photograph: File name or path of the photograph, as formats link to it; empty if unknown.
        mm_per_pixel: Side of a pixel on the object in mm; None if unknown.
    """

    name: str
    class_map: np.ndarray
    classes: ClassList
    photograph: str = ""
    mm_per_pixel: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.class_map.shape
        return width, height

    @property
    def photograph_name(self) -> str:
        """File name of the photograph, as on any system; one like it where none is known."""
        return PurePosixPath(self.photograph.replace("\\", "/")).name or f"{self.name}.png"

    @property
    def rest(self) -> int:
        """What is not drawn: the id of Clean, or 255 where the classes have no Clean."""
        clean = self.classes.clean
        return IGNORE_INDEX if clean is None else self.classes.ids[clean]

    @property
    def drawn(self) -> list[DamageClass]:
        """Classes that are drawn: all but Clean; and what is outside the object, where it is."""
        drawn = [c for c in self.classes.classes if c.id != self.rest]
        has_outside = IGNORE_INDEX not in (self.rest, *(c.id for c in drawn))
        if has_outside and (self.class_map == IGNORE_INDEX).any():
            drawn.append(BACKGROUND)
        return drawn

    def class_of(self, class_id: int) -> DamageClass:
        """Returns the class that has an id."""
        return next(c for c in (*self.classes.classes, BACKGROUND) if c.id == class_id)

    def facts(self) -> dict[str, Any]:
        """Returns what a file says about itself, for JSON."""
        width, height = self.size
        rest = IGNORE if self.rest == IGNORE_INDEX else CLEAN
        return {
            "schema": SCHEMA,
            "image": self.photograph,
            "width": width,
            "height": height,
            "rest": rest,
            **({"mm_per_pixel": self.mm_per_pixel} if self.mm_per_pixel else {}),
        }


@dataclass(frozen=True)
class Reading:
    """What was read of a file.

    Attributes:
        class_map: uint8 (H, W), ids of classes or 255.
        notes: What the person should know, such as pixels that were painted over.
    """

    class_map: NDArray[np.uint8]
    notes: list[str] = field(default_factory=list)


class Legend:
    """Names in files -> ids of classes.

    A class is found by its name; upper and lower case, and what is neither letter nor digit, do not
    count where no name is equal.

    Args:
        classes: That the names can mean.
        labels: Other names -> name of a class, :data:`IGNORE` for 255, or None for what is not
            read.
        rest: What is not drawn, a name as in ``labels``; None leaves it to the file.

    Attributes:
        problems: Names that were looked for in vain, a line each.
    """

    def __init__(
        self,
        classes: ClassList,
        labels: Mapping[str, str | None] | None = None,
        rest: str | None = None,
    ) -> None:
        self._ids: dict[str, int | None] = {BACKGROUND.name: IGNORE_INDEX, IGNORE: IGNORE_INDEX}
        self._ids |= dict(zip(classes.names, classes.ids, strict=True))
        of_class = dict(self._ids)
        for label, meaning in (labels or {}).items():
            self._ids[label] = None if meaning is None else of_class[meaning]
        self._plain = {plain_name(name): value for name, value in self._ids.items()}
        self._rest = rest
        self.problems: list[str] = []

    def knows(self, name: str) -> bool:
        """Whether a name is in the legend."""
        return name in self._ids or plain_name(name) in self._plain

    def find(self, name: str, place: str) -> int | None:
        """Returns the id of a name; None where it is not to be read, or unknown.

        Args:
            name: As the file has it.
            place: Where, for the message.
        """
        if name in self._ids:
            return self._ids[name]
        if (plain := plain_name(name)) in self._plain:
            return self._plain[plain]
        near = did_you_mean(name, self._ids) or f"; known: {', '.join(self._ids)}"
        problem = f"{place}: '{name}' is no class{near}"
        if problem not in self.problems:
            self.problems.append(problem)
        return None

    def rest(self, facts: object) -> int:
        """Returns the id of what is not drawn.

        Args:
            facts: What the file says about itself, see :meth:`DamageMap.facts`.
        """
        said = facts.get("rest") if isinstance(facts, Mapping) else None
        name = self._rest or (said if isinstance(said, str) else None)
        if name is None:
            self.problems.append(
                "the file does not say what pixels are on which nothing is drawn; add to the "
                f'mapping "rest": "{CLEAN}", or "rest": "{IGNORE}" where only part was looked at'
            )
            return IGNORE_INDEX
        found = self.find(name, "rest")
        return IGNORE_INDEX if found is None else found

    def check(self, path: Path, others: Sequence[str] = ()) -> None:
        """Refuses a file with names that are unknown, or with other problems.

        Raises:
            InputError: With all of them.
        """
        if found := [*self.problems, *others]:
            raise InputError(f"{path}: cannot be read", found)


def plain_name(name: str) -> str:
    """Returns a name without what programs change in it: 'Burn_marks' and 'burn marks' are one."""
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def file_name_of(name: str) -> str:
    """Returns the name of a class as part of a file name, or an XML id, on every system."""
    return re.sub(r"[^\w-]+", "_", name)


def check_stated_size(path: Path, found: tuple[float, float], size: tuple[int, int]) -> None:
    """Refuses a file that was drawn on an image of another size than the photograph.

    Raises:
        InputError: With both sizes, (width, height).
    """
    if tuple(found) != tuple(size):
        raise InputError(
            f"{path}: was drawn on {found[0]:g}x{found[1]:g} pixels, and the photograph has "
            f"{size[0]}x{size[1]}; give the photograph on which it was drawn"
        )
