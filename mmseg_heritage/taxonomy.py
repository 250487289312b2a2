"""The classes of a data set: mask values, names, colors and levels; those of ARTeFACT by default.

Ids, names and palette of :data:`ARTEFACT` are those of the data set's card (Ivanova et al.,
"ARTeFACT: Benchmarking Segmentation Models on Diverse Analogue Media Damage", WACV 2025,
arXiv:2412.04580). The grouping into levels is ours. Needs neither torch nor mmseg.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

IGNORE_INDEX = 255
"""Mask value outside the object (scanner bed, mount, padding): never trained, never scored."""

UNDECIDED = 254
"""Value in predicted class maps where the model was too little sure to choose a class
(``inference.abstain_below``): part of the object, of no class. Masks do not hold it."""
UNDECIDED_NAME = "Not decided"

FINE_LEVEL = "fine"
"""Name of the level of the classes themselves, below all groups."""
COARSE_LEVEL = "coarse"
"""Name of the level of the groups that the classes state."""
BINARY_LEVEL = "binary"
"""Name of the level of :data:`CLEAN` against all other classes, :data:`DAMAGE`."""

CLEAN, DAMAGE = "Clean", "Damage"

AREA, LINE, COUNT = "area", "line", "count"
KINDS = (AREA, LINE, COUNT)
"""What a class is measured by beside its area: nothing, its length and width, or its number."""

Color = tuple[int, int, int]
"""sRGB, each channel 0..255."""


def hex_color(color: Iterable[int]) -> str:
    """Returns an sRGB color of three numbers 0..255 as '#rrggbb'."""
    return "#{:02x}{:02x}{:02x}".format(*map(int, color))


def color_of_hex(text: str) -> Color:
    """Returns the color that '#rrggbb' stands for."""
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def clean_id(names: Sequence[str]) -> int | None:
    """Returns the position of :data:`CLEAN` among the names of classes; None without it."""
    return names.index(CLEAN) if CLEAN in names else None


@dataclass(frozen=True)
class DamageClass:
    """A class.

    Attributes:
        id: Its value in masks, 0..254.
        name: Unique in its list.
        color: In pictures and in the palette of class maps.
        group: Its group at the level "coarse"; empty where it has none.
        kind: What it is measured by, one of :data:`KINDS`.
    """

    id: int
    name: str
    color: Color
    group: str = ""
    kind: str = AREA


@dataclass(frozen=True)
class Level:
    """A grouping of the classes of a list.

    Attributes:
        classes: Names of the groups; the position is the group's id.
        colors: One color for each group.
        fine_to_group: Group id of each class, by its position in the list, or
            :data:`IGNORE_INDEX`.
    """

    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    fine_to_group: tuple[int, ...]

    def members(self) -> tuple[int, ...]:
        """Returns the positions of the classes that are in some group."""
        return tuple(i for i, group in enumerate(self.fine_to_group) if group != IGNORE_INDEX)

    def lookup(self) -> list[int]:
        """Returns the group of each training id 0..255; those that are no class stay."""
        return [*self.fine_to_group, *range(len(self.fine_to_group), IGNORE_INDEX + 1)]


@dataclass(frozen=True)
class ClassList:
    """The classes of a data set, or those that a model predicts. The position is the training id.

    Attributes:
        classes: In order of training ids; masks hold their :attr:`DamageClass.id`.
        groupings: Level name -> level above the classes.
    """

    classes: tuple[DamageClass, ...]
    groupings: Mapping[str, Level]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def colors(self) -> tuple[Color, ...]:
        """Colors of the classes."""
        return tuple(c.color for c in self.classes)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Mask values of the classes."""
        return tuple(c.id for c in self.classes)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """What each class is measured by."""
        return tuple(c.kind for c in self.classes)

    @cached_property
    def levels(self) -> dict[str, Level]:
        """Level name -> level: the classes themselves, "fine", and :attr:`groupings`."""
        fine = Level(self.names, self.colors, tuple(range(len(self.classes))))
        return {FINE_LEVEL: fine, **self.groupings}

    @cached_property
    def clean(self) -> int | None:
        """Training id of the class Clean; None without one."""
        return clean_id(self.names)

    def subset(self, names: Sequence[str]) -> ClassList:
        """Returns some of the classes, in the given order, with what is left of their levels.

        Args:
            names: Of classes, and of :data:`BACKGROUND`, which is in no group.
        """
        positions = {name: i for i, name in enumerate(self.names)}
        groupings = {}
        for level_name, level in self.groupings.items():
            of_class = {n: level.fine_to_group[i] for n, i in positions.items()}
            groups = tuple(of_class.get(name, IGNORE_INDEX) for name in names)
            # Without Clean, "binary" would have nothing to tell Damage from.
            if set(groups) - {IGNORE_INDEX} and (level_name != BINARY_LEVEL or CLEAN in names):
                groupings[level_name] = Level(level.classes, level.colors, groups)
        rows = {BACKGROUND.name: BACKGROUND} | {c.name: c for c in self.classes}
        return ClassList(tuple(rows[name] for name in names), groupings)


BACKGROUND = DamageClass(IGNORE_INDEX, "Background", (90, 0, 7))
"""What 255 becomes where the surround is wanted as a class (``with_background=True``)."""
UNDECIDED_COLOR: Color = (128, 128, 128)

# The color-blind safe set of Okabe and Ito, 2008, without black.
GROUP_COLORS: tuple[Color, ...] = (
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
)
_STEPS = range(0, 256, 42)
_GRID = tuple((red, green, blue) for red in _STEPS for green in _STEPS for blue in _STEPS)


def own_classes(classes: Sequence[DamageClass]) -> ClassList:
    """Returns classes with their levels: "coarse" of the groups that they state, and "binary".

    Args:
        classes: In order of training ids, with different ids and names. Without groups there is no
            level "coarse", and without the class Clean no level "binary".
    """
    groups = tuple(dict.fromkeys(c.group for c in classes if c.group))
    groupings = {COARSE_LEVEL: _coarse(classes, groups)} if groups else {}
    if len(classes) > 1 and any(c.name == CLEAN for c in classes):
        groupings[BINARY_LEVEL] = _binary(classes)
    return ClassList(tuple(classes), groupings)


def are_artefact(names: Iterable[str]) -> bool:
    """Whether all names are of ARTeFACT's classes, or Background."""
    return set(names) <= {*ARTEFACT.names, BACKGROUND.name}


def named_classes(names: Sequence[str]) -> ClassList:
    """Returns classes of which nothing but the names is known.

    Args:
        names: All of ARTeFACT, which brings their ids, colors and groups; or, where one is not,
            own classes, whose ids are their positions.
    """
    if are_artefact(names):
        return ARTEFACT.subset(names)
    colors = fill_colors([CLEAN_COLOR if name == CLEAN else None for name in names])
    rows = [
        DamageClass(i, name, colors[i], kind=default_kind(name)) for i, name in enumerate(names)
    ]
    return own_classes(rows)


def default_kind(name: str) -> str:
    """Returns what a class is measured by that says nothing: as ARTeFACT's of its name, or area."""
    kinds = {c.name.casefold(): c.kind for c in ARTEFACT.classes}
    return kinds.get(name.casefold(), AREA)


def fill_colors(colors: Sequence[Color | None]) -> list[Color]:
    """Returns colors with those that are missing: different from each other and from 255's.

    The first come from :data:`GROUP_COLORS`; then each is the one of a grid of 343 that is farthest
    from all others.
    """
    taken = [BACKGROUND.color, CLEAN_COLOR, (255, 255, 255), *(c for c in colors if c is not None)]
    distances = {c: min(_distance(c, other) for other in taken) for c in _GRID}
    filled = []
    for given in colors:
        free = [c for c in GROUP_COLORS if c not in taken]
        color = given or (free[0] if free else max(distances, key=lambda c: distances[c]))
        if given is None:
            taken.append(color)
            distances = {c: min(d, _distance(c, color)) for c, d in distances.items()}
        filled.append(color)
    return filled


def _distance(color: Color, other: Color) -> int:
    """Returns the squared distance of two colors."""
    return sum((a - b) ** 2 for a, b in zip(color, other, strict=True))


def _level(groups: Mapping[str, Sequence[int]], number: int, colors: Sequence[Color]) -> Level:
    """Builds a level of so many classes from group name -> their positions."""
    fine_to_group = [IGNORE_INDEX] * number
    for group_id, positions in enumerate(groups.values()):
        for position in positions:
            fine_to_group[position] = group_id
    return Level(tuple(groups), tuple(colors), tuple(fine_to_group))


def _coarse(classes: Sequence[DamageClass], groups: Sequence[str]) -> Level:
    """Returns the level of the groups that classes state."""
    members = {g: [i for i, c in enumerate(classes) if c.group == g] for g in groups}
    return _level(members, len(classes), group_colors(len(groups)))


def _binary(classes: Sequence[DamageClass]) -> Level:
    """Returns the level of Clean against all other classes; a class Background is in no group."""
    members: dict[str, list[int]] = {CLEAN: [], DAMAGE: []}
    for i, c in enumerate(classes):
        if c.name != BACKGROUND.name:
            members[CLEAN if c.name == CLEAN else DAMAGE].append(i)
    return _level(members, len(classes), (CLEAN_COLOR, GROUP_COLORS[0]))


def group_colors(number: int) -> tuple[Color, ...]:
    """Returns colors of groups, the same again where there are more than seven."""
    return tuple(GROUP_COLORS[i % len(GROUP_COLORS)] for i in range(number))


CLEAN_COLOR: Color = (0, 0, 0)

_ARTEFACT_CLASSES = (
    DamageClass(0, CLEAN, CLEAN_COLOR),
    DamageClass(1, "Material loss", (28, 230, 255), "Structural"),
    DamageClass(2, "Peel", (255, 52, 255), "Structural"),
    DamageClass(3, "Dust", (255, 74, 70), "Surface"),
    DamageClass(4, "Scratch", (0, 137, 65), "Structural", LINE),
    DamageClass(5, "Hair", (0, 111, 166), "Surface", LINE),
    DamageClass(6, "Dirt", (163, 0, 89), "Surface"),
    DamageClass(7, "Fold", (255, 165, 0), "Structural", LINE),
    DamageClass(8, "Writing", (122, 73, 0), "Addition"),
    DamageClass(9, "Cracks", (0, 0, 166), "Structural", LINE),
    DamageClass(10, "Staining", (99, 255, 172), "Colour"),
    DamageClass(11, "Stamp", (0, 77, 67), "Addition", COUNT),
    DamageClass(12, "Sticker", (143, 176, 255), "Addition", COUNT),
    DamageClass(13, "Puncture", (153, 125, 135), "Structural", COUNT),
    DamageClass(14, "Burn marks", (128, 150, 147), "Colour"),
    DamageClass(15, "Lightleak", (246, 255, 27), "Colour"),
)
ARTEFACT = ClassList(
    _ARTEFACT_CLASSES,
    {
        COARSE_LEVEL: _coarse(_ARTEFACT_CLASSES, ("Structural", "Surface", "Colour", "Addition")),
        # The grouping used by an earlier line of work, kept by id so that results can be compared.
        "coarse_by_id": _level(
            {
                "Group 0": (1, 2, 3, 4),
                "Group 1": (5, 6, 10, 11),
                "Group 2": (7, 9, 13),
                "Group 3": (8, 12, 14, 15),
            },
            len(_ARTEFACT_CLASSES),
            group_colors(4),
        ),
        BINARY_LEVEL: _binary(_ARTEFACT_CLASSES),
    },
)
"""The 16 classes of ARTeFACT: what masks hold where a data set does not list classes of its own."""

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
