"""Whether scores of runs may be set beside each other. Needs numpy only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.evaluation.tested_runs import Entry, Run

MAY_DIFFER = ("splits", "parts", "images", "masks", "classes")
"""What runs must have in common, unless told otherwise."""


def require_comparable(
    base: Entry, entries: Sequence[Entry], may_differ: Sequence[str] = ()
) -> list[str]:
    """Refuses runs whose scores would differ for other reasons than the models.

    Args:
        base: What the others are compared with.
        entries: All that are compared.
        may_differ: Of :data:`MAY_DIFFER` what is allowed to.

    Returns:
        What differs and is allowed to, in sentences.

    Raises:
        InputError: With all that differs and is not allowed to; if ``may_differ`` names something
            else.
    """
    unknown = sorted(set(may_differ) - set(MAY_DIFFER))
    if unknown:
        raise InputError(
            f"what may differ is one of {', '.join(MAY_DIFFER)}; found {', '.join(unknown)}"
        )
    differences = list(_differences(base, entries))
    refused = [(kind, text) for kind, text in differences if kind not in may_differ]
    if refused:
        kinds = " ".join(kind for kind in MAY_DIFFER if kind in dict(refused))
        raise InputError(
            "scores of different tests do not say which model is better. Test the runs alike, or "
            f"compare them all the same with --allow-different {kinds}",
            [text for _, text in refused],
        )
    return [f"{text}." for _, text in differences]


def common_images(a: Counts, b: Counts) -> tuple[Counts, Counts]:
    """Returns the counts of the images that both have."""
    if a.ids == b.ids:
        return a, b
    both = set(a.ids) & set(b.ids)
    first, second = (
        counts.select(np.array([i in both for i in counts.ids], dtype=bool)) for counts in (a, b)
    )
    return first, second


def _differences(base: Entry, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Yields in what runs differ that would make scores incomparable: kind, and a sentence."""
    first = base.runs[0]
    for entry in entries:
        for run in entry.runs:
            name = entry.label if len(entry.runs) == 1 else f"{entry.label} ({run.folder})"
            if run.splits() != first.splits():
                yield (
                    "splits",
                    f"{name}: split {run.split_names()} ({_short(run)}), but {base.label}: split "
                    f"{first.split_names()} ({_short(first)})",
                )
            if run.parts() != first.parts():
                yield (
                    "parts",
                    f"{name}: part {', '.join(run.parts())}, but {base.label}: part "
                    f"{', '.join(first.parts())}",
                )
            yield from _other_images(name, run.counts, base.label, first.counts)


def _short(run: Run) -> str:
    """Returns enough of the hashes of splits to tell them apart."""
    return " ".join(digest[:8] for digest in run.splits())


def _other_images(name: str, counts: Counts, base: str, first: Counts) -> Iterator[tuple[str, str]]:
    """Yields how the tested images, their masks or the classes differ."""
    added, lacking = set(counts.ids) - set(first.ids), set(first.ids) - set(counts.ids)
    if added or lacking:
        yield (
            "images",
            f"{name}: tested on {_listed_ids(added)} that {base} was not tested on, and not on "
            f"{_listed_ids(lacking)} that it was",
        )
    if counts.classes != first.classes:
        yield (
            "classes",
            f"{name}: {len(counts.classes)} classes ({', '.join(counts.classes)}), but {base}: "
            f"{len(first.classes)} ({', '.join(first.classes)})",
        )
        return
    own, other = common_images(counts, first)
    changed = (own.confusion.sum(axis=2) != other.confusion.sum(axis=2)).any(axis=1)
    if changed.any():
        ids = {own.ids[i] for i in np.flatnonzero(changed)}
        yield (
            "masks",
            f"{name}: true pixels other than those of {base} on {_listed_ids(ids)}: the masks were "
            "changed, or scored at another size",
        )


def _listed_ids(ids: set[str]) -> str:
    """Counts images and names a few."""
    shown = sorted(ids)[:3]
    more = ", ..." if len(ids) > len(shown) else ""
    return f"{len(ids)} images" + (f" ({', '.join(shown)}{more})" if shown else "")
