"""The levels above a set of classes whose scores follow from the counts of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg_heritage.taxonomy import BINARY_LEVEL, COARSE_LEVEL, Level, named_classes

DERIVED_LEVELS = (COARSE_LEVEL, BINARY_LEVEL)
"""Names of the levels whose scores follow from the counts of the classes."""


def derived_levels(
    classes: Sequence[str], stated: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Level]:
    """Finds the levels whose counts follow from those of a data set's classes.

    Args:
        classes: Names of the classes; the position is the id.
        stated: Level name -> the fields of a :class:`mmseg_heritage.taxonomy.Level`, as
            :class:`mmseg_heritage.datasets.ARTeFACTDataset` has them in its metainfo. None, which
            other data sets give, takes what is known of the names.

    Returns:
        Of :data:`DERIVED_LEVELS` those that the classes have.
    """
    if stated is None:
        levels: Mapping[str, Level] = named_classes(classes).levels
    else:
        levels = {
            name: Level(
                tuple(level["classes"]),
                tuple(map(tuple, level["colors"])),
                tuple(level["fine_to_group"]),
            )
            for name, level in stated.items()
        }
    return {name: levels[name] for name in DERIVED_LEVELS if name in levels}
