"""The levels above a set of classes, found by name. Needs neither torch nor numpy."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg_heritage.taxonomy import BACKGROUND, FINE_LEVEL, IGNORE_INDEX, LEVELS, Level

DERIVED_LEVELS = ("coarse", "binary")
"""Names of the levels whose scores follow from the counts of the classes."""

CLEAN = LEVELS["binary"].classes[0]


def derived_levels(classes: Sequence[str]) -> dict[str, Level]:
    """Finds the levels whose counts follow from those of a set of classes.

    Binary merges all classes but Clean into Damage; Background, where it is a class, is in no
    group. Coarse groups the classes of ARTeFACT among them.

    Args:
        classes: Names of the classes; the position is the id.

    Returns:
        Of :data:`DERIVED_LEVELS` those that apply; none without the class Clean.
    """
    if CLEAN not in classes:
        return {}
    group_of = dict(zip(LEVELS[FINE_LEVEL].classes, LEVELS["coarse"].fine_to_group, strict=True))
    groups = {
        "coarse": [group_of.get(name, IGNORE_INDEX) for name in classes],
        "binary": [{CLEAN: 0, BACKGROUND.name: IGNORE_INDEX}.get(name, 1) for name in classes],
    }
    return {
        name: Level(LEVELS[name].classes, LEVELS[name].colors, tuple(groups[name]))
        for name in DERIVED_LEVELS
        if set(groups[name]) - {IGNORE_INDEX}
    }
