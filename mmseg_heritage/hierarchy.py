"""Trees of classes: groupings into ever coarser levels, read from a config and verified.

Needs neither torch nor mmseg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import (
    ARTEFACT,
    FINE_LEVEL,
    IGNORE_INDEX,
    ClassList,
    Level,
    group_colors,
)

Groups = Mapping[str, Sequence[str | int]]
"""Group name -> its members: class names, class ids, or names of groups of another level."""


def read_levels(
    levels: Mapping[str, str | Groups], classes: ClassList = ARTEFACT
) -> dict[str, Level]:
    """Reads the levels above the classes, from the coarsest to the finest, and verifies the tree.

    Every level groups the classes. A class may be in no group of a level, as Clean is at the level
    "coarse", but in at most one, and in at least one of some level; a group lies within one group
    of each coarser level, or outside all of them.

    Args:
        levels: Level name -> the name of one of the classes' own levels
            (:attr:`mmseg_heritage.taxonomy.ClassList.levels`), or its groups; None leaves the level
            out.
        classes: Those that are grouped.

    Returns:
        Level name -> level, in the given order.

    Raises:
        InputError: With everything that is wrong with the tree.
    """
    groups_of: dict[str, Groups] = {}
    problems: list[str] = []
    if not isinstance(levels, Mapping):
        raise InputError(f"levels: expected a dict of level name -> groups, found {levels!r}")
    # A config that inherits a level drops it by setting it to None.
    levels = {name: groups for name, groups in levels.items() if groups is not None}
    for name, groups in levels.items():
        wrong = _wrong_form(name, groups)
        if wrong:
            problems += wrong
        elif name == FINE_LEVEL:
            problems.append("fine: this is the name of the classes themselves")
        elif isinstance(groups, str):
            if groups not in classes.groupings:
                known = ", ".join(classes.groupings) or "none; give the classes groups"
                problems.append(f"{name}: the classes have no level '{groups}'; known: {known}")
            else:
                # Of some of a list's classes, a level may have groups that are empty.
                found = _groups(classes.groupings[groups])
                groups_of[name] = {group: ids for group, ids in found.items() if ids}
        else:
            groups_of[name] = {group: list(members) for group, members in groups.items()}
    resolver = _Resolver(groups_of, classes.names, problems)
    read: dict[str, Level] = {}
    for name, groups in groups_of.items():
        colors = group_colors(len(groups))
        if own_level := classes.groupings.get(str(levels[name])):
            colors = tuple(own_level.colors[own_level.classes.index(g)] for g in groups)
        read[name] = Level(tuple(groups), colors, resolver.class_to_group(name))
    if not problems:
        problems += _not_nested(read)
        covered = {i for level in read.values() for i in level.members()}
        problems += [
            f"class '{name}' is in no group of any level"
            for i, name in enumerate(classes.names)
            if i not in covered
        ]
    if problems:
        raise InputError(
            "levels must form a tree over the classes: name -> {group: [classes or groups]}, from "
            "the coarsest level to the finest",
            dict.fromkeys(problems),
        )
    return read


def parents(
    levels: Mapping[str, Level], num_classes: int
) -> dict[str, list[tuple[str, int] | None]]:
    """Finds the parent of every group and class of a verified tree.

    Args:
        levels: As :func:`read_levels` returns them.
        num_classes: Number of classes.

    Returns:
        Level name (and "fine" for the classes) -> for each group the (level, group) that it lies
        in at the nearest coarser level that has one, or None at the top.
    """
    found: dict[str, list[tuple[str, int] | None]] = {}
    coarser: list[str] = []
    fine = Level(("",) * num_classes, (), tuple(range(num_classes)))
    for name, level in {**levels, FINE_LEVEL: fine}.items():
        found[name] = []
        for group in range(len(level.classes)):
            member = level.fine_to_group.index(group)
            candidates = ((up, levels[up].fine_to_group[member]) for up in reversed(coarser))
            found[name].append(next((c for c in candidates if c[1] != IGNORE_INDEX), None))
        coarser.append(name)
    return found


class _Resolver:
    """Turns members that name classes, ids or other groups into class ids."""

    def __init__(
        self, groups_of: Mapping[str, Groups], classes: Sequence[str], problems: list[str]
    ) -> None:
        self.groups_of = groups_of
        self.ids = {name: i for i, name in enumerate(classes)}
        self.problems = problems

    def class_to_group(self, level: str) -> tuple[int, ...]:
        """Returns the group of each class at a level; 255 for none."""
        result = [IGNORE_INDEX] * len(self.ids)
        names = list(self.groups_of[level])
        if not names:
            self.problems.append(f"{level}: has no groups")
        for group, name in enumerate(names):
            members = self._members(level, name, ())
            if not members:
                self.problems.append(f"{level}: group '{name}' is empty")
            for i in members:
                if result[i] != IGNORE_INDEX:
                    self.problems.append(
                        f"{level}: class '{list(self.ids)[i]}' is in two groups or twice in one, "
                        f"'{names[result[i]]}' and '{name}'"
                    )
                result[i] = group
        return tuple(result)

    def _members(self, level: str, group: str, path: tuple[tuple[str, str], ...]) -> list[int]:
        """Returns the class ids of a group, following groups that it names."""
        here = (level, group)
        if here in path:
            loop = " -> ".join(name for _, name in (*path[path.index(here) :], here))
            self.problems.append(f"groups contain each other: {loop}")
            return []
        found: list[int] = []
        for member in self.groups_of[level][group]:
            if type(member) is int and 0 <= member < len(self.ids):  # True is an int, and no class
                found.append(member)
            elif isinstance(member, str) and member in self.ids:
                found.append(self.ids[member])
            else:
                owners = [name for name, groups in self.groups_of.items() if member in list(groups)]
                if len(owners) == 1:
                    found += self._members(owners[0], str(member), (*path, here))
                else:
                    what = "groups of several levels" if owners else "no class and no group"
                    self.problems.append(f"{level}: group '{group}' names '{member}': {what}")
        return found


def _wrong_form(name: object, groups: object) -> list[str]:
    """Lists what keeps a level from being read at all."""
    if not isinstance(name, str) or not name.isidentifier():
        return [f"level {name!r}: expected a name of letters, digits and underscores"]
    if isinstance(groups, str):
        return []
    if not isinstance(groups, Mapping):
        return [f"{name}: expected the name of a level or {{group: members}}, found {groups!r}"]
    return [
        f"{name}: group '{group}' expected a list of classes or groups, found {members!r}"
        for group, members in groups.items()
        if isinstance(members, str) or not isinstance(members, Sequence)
    ]


def _groups(level: Level) -> dict[str, list[int]]:
    """Returns the class ids of each group of a level."""
    return {
        name: [i for i, group in enumerate(level.fine_to_group) if group == position]
        for position, name in enumerate(level.classes)
    }


def _not_nested(levels: Mapping[str, Level]) -> list[str]:
    """Lists the groups that lie in more than one group of a coarser level."""
    problems = []
    names = list(levels)
    for position, fine in enumerate(names):
        for coarse in names[:position]:
            for group, members in _groups(levels[fine]).items():
                above = {levels[coarse].fine_to_group[i] for i in members}
                if len(above) > 1:
                    where = [
                        "none" if i == IGNORE_INDEX else f"'{levels[coarse].classes[i]}'"
                        for i in sorted(above)
                    ]
                    problems.append(
                        f"{fine}: group '{group}' is spread over {', '.join(where)} of {coarse}"
                    )
    return problems
