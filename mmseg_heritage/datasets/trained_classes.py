"""Which classes of a data set are trained, and what becomes of the values in its masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mmseg_heritage.dataprep.class_file import parse_classes
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import (
    ARTEFACT,
    BACKGROUND,
    FINE_LEVEL,
    IGNORE_INDEX,
    ClassList,
    DamageClass,
    Level,
    own_classes,
)


@dataclass(frozen=True)
class TrainedClasses:
    """The classes of masks and of a model.

    Attributes:
        in_masks: What the values of the masks mean.
        trained: What a model predicts, in order of training ids. The ids are what class maps hold:
            mask values, or for the groups of a level their positions.
        label_map: Mask value -> training id, 255 where it is ignored; None where nothing changes.
    """

    in_masks: ClassList
    trained: ClassList
    label_map: dict[int, int] | None

    def metainfo(self) -> dict[str, Any]:
        """Returns what a data set says of its classes, in plain types.

        Returns:
            ``classes`` (names in order of training ids), ``palette`` (their colors),
            ``mask_values`` (what class maps hold for each), ``kinds`` (what each is measured by)
            and ``levels`` (level name -> fields of a :class:`mmseg_heritage.taxonomy.Level`).
        """
        return {
            "classes": self.trained.names,
            "palette": [list(color) for color in self.trained.colors],
            "mask_values": list(self.trained.ids),
            "kinds": list(self.trained.kinds),
            "levels": {name: asdict(level) for name, level in self.trained.levels.items()},
        }


def all_classes(in_masks: ClassList) -> TrainedClasses:
    """Trains every class of the masks."""
    label_map = {c.id: position for position, c in enumerate(in_masks.classes)}
    return TrainedClasses(in_masks, in_masks, None if in_masks == ARTEFACT else label_map)


def classes_of_level(in_masks: ClassList, level: str, with_background: bool) -> TrainedClasses:
    """Trains the groups of a level, or with "fine" the classes.

    Args:
        in_masks: What the values of the masks mean.
        level: Name of a level of these classes.
        with_background: Makes 255 a class, after the others.

    Raises:
        InputError: If there is no such level, or 255 cannot be a class beside the others.
    """
    if level not in in_masks.levels:
        raise InputError(f"level must be one of {', '.join(in_masks.levels)}, found '{level}'")
    if with_background and level != FINE_LEVEL:
        raise InputError("with_background needs level='fine': the other levels ignore 255")
    if with_background and BACKGROUND.name in in_masks.names:
        raise InputError(
            f"with_background adds a class '{BACKGROUND.name}' for 255, but the data set has one "
            "already; rename it in classes.json"
        )
    if with_background:
        return _some_classes(in_masks, (*in_masks.names, BACKGROUND.name))
    if level == FINE_LEVEL:
        return all_classes(in_masks)
    return _groups(in_masks, in_masks.levels[level])


def classes_of_metainfo(in_masks: ClassList, metainfo: Mapping[str, Any]) -> TrainedClasses:
    """Trains the classes that a config names.

    Args:
        in_masks: What the values of the masks mean, as the folder says it.
        metainfo: ``classes``, if given, are names: the groups of a level; or classes of the masks
            and "Background" (255) in any order, the others being ignored; or, where none is a class
            of the masks, an own list, in which the position is the mask value. ``palette``, if
            given, has a color for each.

    Raises:
        InputError: If names are unknown beside known ones or come twice, if there is none, or if a
            color cannot be used.
    """
    names = metainfo.get("classes", in_masks.names)
    if isinstance(names, str):
        raise InputError(f"metainfo.classes must be a list of class names, found '{names}'")
    names = tuple(names)
    if not names or len(set(names)) != len(names):
        found = ", ".join(map(str, names)) or "none"
        raise InputError(f"classes must be named, each once; found: {found}")
    chosen = _named(in_masks, names)
    if not metainfo.get("palette"):
        return chosen
    colors = _own_list(names, metainfo["palette"]).colors
    rows = zip(chosen.trained.classes, colors, strict=True)
    recolored = tuple(replace(row, color=color) for row, color in rows)
    return replace(chosen, trained=replace(chosen.trained, classes=recolored))


def _named(in_masks: ClassList, names: Sequence[str]) -> TrainedClasses:
    """Finds out what names mean."""
    for level in in_masks.groupings.values():
        if names == level.classes:
            return _groups(in_masks, level)
    known = [*in_masks.names, *({BACKGROUND.name} - set(in_masks.names))]
    unknown = [f"'{name}'" for name in names if name not in known]
    if names == in_masks.names:
        return all_classes(in_masks)
    if not unknown:
        return _some_classes(in_masks, names)
    if not set(names) & set(in_masks.names):
        return all_classes(_own_list(names, None))
    raise InputError(
        f"classes must be some of {', '.join(known)}; unknown: {', '.join(unknown)}. A data set "
        "with other classes lists all of them in classes.json"
    )


def _own_list(names: Sequence[str], palette: Sequence[Sequence[int]] | None) -> ClassList:
    """Returns classes by position, with the colors that are given."""
    if palette is not None and len(palette) != len(names):
        raise InputError(
            f"metainfo.palette must have one color for each class: {len(names)}, "
            f"found {len(palette)}"
        )
    entries = [
        {"name": name, **({} if palette is None else {"color": list(palette[i])})}
        for i, name in enumerate(names)
    ]
    classes, problems = parse_classes(entries)
    if problems:
        raise InputError("metainfo.classes and metainfo.palette cannot be used", problems)
    return classes


def _some_classes(in_masks: ClassList, names: Sequence[str]) -> TrainedClasses:
    """Trains classes of the masks and, if it is named, Background; the others are ignored."""
    trained = in_masks.subset(names)
    label_map = dict.fromkeys(in_masks.ids, IGNORE_INDEX)
    label_map.update({c.id: position for position, c in enumerate(trained.classes)})
    return TrainedClasses(in_masks, trained, label_map)


def _groups(in_masks: ClassList, level: Level) -> TrainedClasses:
    """Trains the groups of a level."""
    rows = enumerate(zip(level.classes, level.colors, strict=True))
    trained = own_classes([DamageClass(i, name, color) for i, (name, color) in rows])
    label_map = dict(zip(in_masks.ids, level.fine_to_group, strict=True))
    return TrainedClasses(in_masks, trained, label_map)
