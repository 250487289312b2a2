"""Dividing units into parts so that each part gets its share of every label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratify(
    labels: NDArray[np.int64], sizes: NDArray[np.int64], shares: Sequence[float]
) -> list[int]:
    """Divides units by iterative stratification, rarest label first.

    Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011,
    algorithm 1, with two changes. A unit is a set of samples that must stay together, so that it
    counts for a label as often as its samples have it, and units that have a label most often are
    placed first. And parts do not go without: the last units that have a label go to the parts
    that lack it, and the last units of all to parts that are empty. Ties are broken by the order
    of the units, which the caller shuffles, and of the parts.

    Args:
        labels: (N, L), how many samples of each unit have each label, from 0 upwards.
        sizes: (N,), samples in each unit, at least 1.
        shares: Share of the samples that each part is to get; above 0, sum 1.

    Returns:
        The part, 0 .. len(shares) - 1, of each unit. No part is empty where there are at least as
        many units as parts.
    """
    # Each unit has itself as a label, which all units share: its size.
    counts = np.column_stack([labels, sizes])
    wanted = counts.sum(axis=0)[:, None] * np.asarray(shares, dtype=np.float64)
    given = np.zeros(wanted.shape, dtype=np.int64)
    part_of = [-1] * len(sizes)
    left = set(range(len(sizes)))
    while left:
        label, holders = _rarest(counts, sorted(left))
        for done, unit in enumerate(holders):
            parts = _allowed(given, label, len(holders) - done, len(left))
            # Rounded, so that sums in another order do not decide between equal needs.
            lacks = (wanted - given).round(6)
            part = min(parts, key=lambda p: (-lacks[label, p], -lacks[-1, p], p))
            part_of[unit] = part
            given[:, part] += counts[unit]
            left.remove(unit)
    return part_of


def _rarest(counts: NDArray[np.int64], left: list[int]) -> tuple[int, list[int]]:
    """Returns the label that is rarest among the units left, and those of them that have it.

    The last label is the size, which decides only where there is no other.
    """
    totals = counts[left, :-1].sum(axis=0)
    present = np.flatnonzero(totals)
    label = int(present[totals[present].argmin()]) if present.size else counts.shape[1] - 1
    holders = [unit for unit in left if counts[unit, label]]
    return label, sorted(holders, key=lambda unit: -counts[unit, label])


def _allowed(given: NDArray[np.int64], label: int, holders: int, left: int) -> list[int]:
    """Returns the parts that the next unit may go to.

    Args:
        given: (L + 1, parts), what the parts have.
        label: The label that is being divided.
        holders: Units left that have it.
        left: Units left.
    """
    for row, remaining in ((-1, left), (label, holders)):
        lacking = np.flatnonzero(given[row] == 0)
        if lacking.size >= remaining:
            return lacking.tolist()
    return list(range(given.shape[1]))
