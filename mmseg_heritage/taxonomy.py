"""The one table of damage classes: ids, names, colours and levels of the ARTeFACT data set.

Ids, names and palette are those of the data set's card (Ivanova et al., "ARTeFACT: Benchmarking
Segmentation Models on Diverse Analogue Media Damage", WACV 2025, arXiv:2412.04580). The grouping
into levels is ours. Needs neither torch nor mmseg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

IGNORE_INDEX = 255
"""Mask value outside the object (scanner bed, mount, padding): never trained, never scored."""


FINE_LEVEL = "fine"
"""Name of the level of the classes themselves, below all groups."""


@dataclass(frozen=True)
class DamageClass:
    """One row of the table: mask value, name and official colour as sRGB in 0..255."""

    id: int
    name: str
    color: tuple[int, int, int]


FINE = (
    DamageClass(0, "Clean", (0, 0, 0)),
    DamageClass(1, "Material loss", (28, 230, 255)),
    DamageClass(2, "Peel", (255, 52, 255)),
    DamageClass(3, "Dust", (255, 74, 70)),
    DamageClass(4, "Scratch", (0, 137, 65)),
    DamageClass(5, "Hair", (0, 111, 166)),
    DamageClass(6, "Dirt", (163, 0, 89)),
    DamageClass(7, "Fold", (255, 165, 0)),
    DamageClass(8, "Writing", (122, 73, 0)),
    DamageClass(9, "Cracks", (0, 0, 166)),
    DamageClass(10, "Staining", (99, 255, 172)),
    DamageClass(11, "Stamp", (0, 77, 67)),
    DamageClass(12, "Sticker", (143, 176, 255)),
    DamageClass(13, "Puncture", (153, 125, 135)),
    DamageClass(14, "Burn marks", (128, 150, 147)),
    DamageClass(15, "Lightleak", (246, 255, 27)),
)
BACKGROUND = DamageClass(16, "Background", (90, 0, 7))
"""What 255 becomes where the surround is wanted as a 17th class (``with_background=True``)."""

MATERIALS = (
    "Paper",
    "Parchment",
    "Glass",
    "Tesserae",
    "Wood",
    "Canvas",
    "Lime plaster",
    "Film emulsion",
    "Textile",
    "Ceramic",
)
CONTENTS = ("Artistic depiction", "Geometric patterns", "Line art", "Photographic depiction")


@dataclass(frozen=True)
class Level:
    """A grouping of the fine classes.

    Attributes:
        classes: Names of the groups; the position is the group's id.
        colors: One sRGB colour in 0..255 for each group.
        fine_to_group: Group id of each of the 16 fine ids, or :data:`IGNORE_INDEX`.
    """

    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    fine_to_group: tuple[int, ...]

    def members(self) -> tuple[int, ...]:
        """Returns the fine ids that are in some group."""
        return tuple(i for i, group in enumerate(self.fine_to_group) if group != IGNORE_INDEX)

    def lookup(self) -> list[int]:
        """Returns the group of each mask value 0..255; those that are no class stay as they are."""
        return [*self.fine_to_group, *range(len(self.fine_to_group), IGNORE_INDEX + 1)]


def _level(groups: Mapping[str, Sequence[int]], colors: Sequence[tuple[int, int, int]]) -> Level:
    """Builds a level from group name -> fine ids; fine ids in no group are ignored."""
    fine_to_group = [IGNORE_INDEX] * len(FINE)
    for group_id, fine_ids in enumerate(groups.values()):
        for fine_id in fine_ids:
            fine_to_group[fine_id] = group_id
    return Level(tuple(groups), tuple(colors), tuple(fine_to_group))


# The colour-blind safe set of Okabe and Ito, 2008, without black.
GROUP_COLORS = (
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
)

LEVELS: Mapping[str, Level] = {
    "fine": Level(
        tuple(c.name for c in FINE), tuple(c.color for c in FINE), tuple(range(len(FINE)))
    ),
    "coarse": _level(
        {
            "Structural": (1, 2, 4, 7, 9, 13),
            "Surface": (3, 5, 6),
            "Colour": (10, 14, 15),
            "Addition": (8, 11, 12),
        },
        GROUP_COLORS[:4],
    ),
    # The grouping used by an earlier line of work, kept by id so that results can be compared.
    "coarse_by_id": _level(
        {
            "Group 0": (1, 2, 3, 4),
            "Group 1": (5, 6, 10, 11),
            "Group 2": (7, 9, 13),
            "Group 3": (8, 12, 14, 15),
        },
        GROUP_COLORS[:4],
    ),
    "binary": _level(
        {"Clean": (0,), "Damage": tuple(range(1, len(FINE)))}, ((0, 0, 0), (213, 94, 0))
    ),
}
"""Level name -> grouping, from the official classes ("fine") to Clean/Damage ("binary")."""
