"""Which samples must stay together: copies with their source, near-duplicates with each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmseg_heritage.dataprep.layout import Sample


def linked_groups(names: Iterable[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Joins names that are linked, directly or through others.

    Args:
        names: All names; those without a link are groups of one.
        links: Pairs of names.

    Returns:
        The groups, each sorted, in the order of their first names.
    """
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]  # halves the path for the next search
            name = parent[name]
        return name

    for a, b in links:
        parent[root(a)] = root(b)
    groups: dict[str, list[str]] = {}
    for name in sorted(parent):
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())


def split_units(
    samples: Sequence[Sample], near_duplicates: Iterable[Sequence[str]] = ()
) -> list[list[Sample]]:
    """Divides a data set into the smallest sets of samples that no split may divide.

    Samples belong together if they have one source object, or one ``group_id``, or if they are
    near-duplicates of each other; also through a third one.

    Args:
        samples: All samples of the data set.
        near_duplicates: Groups of sample ids that look alike; ids that the data set lacks are left
            out.

    Returns:
        The sets, each in order of id, in the order of their smallest source id.
    """
    # The kind before each name keeps a source and a group of one name apart.
    source_of = {s.id: f"source {s.source_id}" for s in samples}
    links = [(source_of[s.id], f"group {s.group_id}") for s in samples if s.group_id]
    for group in near_duplicates:
        known = [source_of[i] for i in group if i in source_of]
        links += [(known[0], other) for other in known[1:]]
    names = {*source_of.values(), *(group for _, group in links)}
    members: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda s: s.id):
        members.setdefault(source_of[sample.id], []).append(sample)
    units = [
        [sample for name in group for sample in members.get(name, ())]
        for group in linked_groups(names, links)
    ]
    units = [sorted(unit, key=lambda s: s.id) for unit in units]
    return sorted(units, key=unit_name)


def unit_name(unit: Sequence[Sample]) -> str:
    """Returns the smallest id of a source object in a unit, by which it is known."""
    return min(sample.source_id for sample in unit)
