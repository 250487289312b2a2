"""Which channels of the scores belong to which level of a tree of classes, and its maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmseg_heritage.scores.arrays import looked_up, where
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX, Level

MODES = ("independent", "marginal", "conditional")


class LevelChannels:
    """Channels of the probabilities of a hierarchical head: the classes, then each level's groups.

    Args:
        levels: Level name -> level, from the coarsest, as
            :func:`mmseg_heritage.hierarchy.read_levels` returns them.
        num_classes: Number of classes C.
        mode: One of :data:`MODES`, see
            :class:`mmseg_heritage.models.decode_heads.hierarchy_scores.HierarchyScores`.

    Attributes:
        levels: See above.
        mode: See above.
        slices: 'fine' and each level's name -> channels.
        num_scores: Number of channels of the head's own scores.
    """

    def __init__(self, levels: Mapping[str, Level], num_classes: int, mode: str) -> None:
        self.levels = dict(levels)
        self.mode = mode
        self.slices = {FINE_LEVEL: slice(0, num_classes)}
        start = num_classes
        for name, level in self.levels.items():
            self.slices[name] = slice(start, start + len(level.classes))
            start += len(level.classes)
        self.num_scores = num_classes if mode == "marginal" else start

    def is_partial(self, level: str) -> bool:
        """Whether a level leaves classes out."""
        return level != FINE_LEVEL and IGNORE_INDEX in self.levels[level].fine_to_group

    def restricted(self, maps: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the maps of all levels with 255 where a level does not apply.

        At a level that leaves classes out (Clean, at the level "coarse") that is where the map of
        the next coarser level, or where there is none the map of the classes, chooses one that has
        no part in it.

        Args:
            maps: Level name, and "fine" -> ids of the most probable group or class, uint8 of any
                shape.
        """
        maps = dict(maps)
        coarser: str | None = None
        for name, level in self.levels.items():
            if self.is_partial(name):
                chosen = maps[FINE_LEVEL if coarser is None else coarser]
                applies = looked_up(self._applies(level, coarser), chosen)
                maps[name] = where(applies, maps[name], IGNORE_INDEX)
            else:
                coarser = name
        return maps

    def _applies(self, level: Level, coarser: str | None) -> np.ndarray:
        """Returns, for each class or group of the coarser level, whether a level has part in it."""
        of_class = (
            self.levels[coarser].fine_to_group
            if coarser is not None
            else range(len(level.fine_to_group))
        )
        inside = {of_class[i] for i in level.members()}
        return np.array([group in inside for group in range(max(of_class) + 1)])
