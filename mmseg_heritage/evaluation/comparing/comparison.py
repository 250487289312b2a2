"""What runs score beside each other: intervals, paired differences, cost. Needs numpy only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.baseline import no_better_than_clean, scores_beside_clean
from mmseg_heritage.evaluation.comparing.bootstrap import DEFINITIONS as INTERVAL_DEFINITIONS
from mmseg_heritage.evaluation.comparing.bootstrap import RESAMPLES, Resamples, resample_groups
from mmseg_heritage.evaluation.comparing.comparable import common_images, require_comparable
from mmseg_heritage.evaluation.comparing.significance import ALPHA, paired_difference, with_holm
from mmseg_heritage.evaluation.comparing.significance import DEFINITIONS as DIFFERENCE_DEFINITIONS
from mmseg_heritage.evaluation.counts.confusion import mean_over_present
from mmseg_heritage.evaluation.means import all_means, class_images, class_ious
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.evaluation.summary import DEFINITIONS as SCORE_DEFINITIONS
from mmseg_heritage.evaluation.tested_runs import Entry

SCHEMA = "mmseg_heritage/comparison/1"
COST = {
    "parameters": ("parameters",),
    "flops": ("model", "flops"),
    "images_per_second": ("time", "images_per_second"),
    "model_ms": ("time", "model_ms"),
    "peak_memory_bytes": ("time", "peak_memory_bytes"),
}
"""Of size and speed, where each is in what a test says of itself."""

DEFINITIONS = {
    "scores": SCORE_DEFINITIONS,
    **INTERVAL_DEFINITIONS,
    **DIFFERENCE_DEFINITIONS,
    "value": "the score of a run; of several seeds the mean of theirs",
    "seeds": "mean and standard deviation (of a sample, divided by n - 1) of the score over seeds. "
    "It is the spread of training again, and no part of the interval, which is that of testing "
    "other objects; neither is it in p",
}

_MAX_RESAMPLES = 100_000


@dataclass(frozen=True, eq=False)
class _Scores:
    """All scores of an entry, in percent: key -> float64 (S,) of its S seeds, and drawn (R,)."""

    of_seeds: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]

    def value(self, key: str) -> float:
        """Returns the mean over the seeds that have the score, NaN where none has."""
        return float(mean_over_present(self.of_seeds[key])[0])


def compare_entries(
    entries: Sequence[Entry],
    reference: str | None = None,
    may_differ: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares runs with each other.

    Args:
        entries: One or more, with different labels.
        reference: Label of the run that the others are compared with; the first if None.
        may_differ: Of :data:`mmseg_heritage.evaluation.comparing.comparable.MAY_DIFFER` what is
            allowed to.
        resamples: Number of resamples of the source groups.
        seed: Of the draws.

    Returns:
        Content for JSON, schema :data:`SCHEMA`; scores in percent, None where undefined. Runs with
        different classes are given side by side, without differences.

    Raises:
        InputError: If there is no such label, if there are too few resamples, if ``may_differ``
            names something else, or with everything that keeps the runs from being compared.
    """
    by_label = {entry.label: entry for entry in entries}
    base = entries[0] if reference is None else by_label.get(reference)
    if base is None:
        raise InputError(f"no run is named '{reference}'; choose one of: {', '.join(by_label)}")
    if seed < 0:
        raise InputError(f"seed: expected a number from 0 on, found {seed}")
    _require_resamples(resamples, max(len(base.counts.classes), len(entries) - 1))
    allowed = require_comparable(base, entries, may_differ)
    drawn = {e.label: resample_groups(e.counts.groups, resamples, seed) for e in entries}
    scores = {entry.label: _scores(entry, drawn[entry.label]) for entry in entries}
    paired = {
        entry.label: _paired(base, entry, scores, drawn[base.label])
        for entry in entries
        if entry is not base and entry.counts.classes == base.counts.classes
    }
    return {
        "schema": SCHEMA,
        "definitions": DEFINITIONS,
        "reference": base.label,
        "classes": list(base.counts.classes),
        "notes": [*allowed, *_notes(entries)],
        "runs": {e.label: _described(e, scores[e.label], drawn[e.label]) for e in entries},
        "differences": _corrected(paired),
    }


def _require_resamples(resamples: int, questions: int) -> None:
    """Refuses so few resamples that the smallest p, corrected, would never be below the level."""
    needed = math.ceil(2 * questions / ALPHA)
    if resamples > _MAX_RESAMPLES:
        raise InputError(f"{resamples} resamples are more than the {_MAX_RESAMPLES} allowed")
    if resamples < needed:
        raise InputError(
            f"expected {needed} resamples or more, found {resamples}: fewer cannot tell "
            f"{questions} classes or runs apart; use --resamples {needed}"
        )


def _scores(entry: Entry, resamples: Resamples) -> _Scores:
    """Returns the scores of an entry on all images, and on the resamples."""
    seeds = [{**all_means(run.counts), **class_ious(run.counts)} for run in entry.runs]
    keys = [key for key in seeds[0] if all(key in seed for seed in seeds)]
    drawn = [
        {**all_means(run.counts, resamples), **class_ious(run.counts, resamples)}
        for run in entry.runs
    ]
    return _Scores(
        {key: np.array([float(seed[key][0]) for seed in seeds]) for key in keys},
        {key: mean_over_present(np.stack([d[key] for d in drawn], axis=1))[0] for key in keys},
    )


def _paired(
    base: Entry, entry: Entry, scores: Mapping[str, _Scores], drawn: Resamples
) -> dict[str, Any]:
    """Returns the differences of an entry to the reference, on the images that both have.

    Args:
        base: The reference.
        entry: What is compared with it.
        scores: Of both, on their own images.
        drawn: Resamples of the reference's images.
    """
    common = common_images(base.counts, entry.counts)[0]
    if not common.ids:
        return {"images": 0, "scores": {}}
    theirs, ours = scores[base.label], scores[entry.label]
    first, other = base.counts, entry.counts
    if (first.ids, first.groups) != (other.ids, other.groups):
        drawn = resample_groups(common.groups, len(drawn.drawn), drawn.seed)
        theirs, ours = (_scores(_narrowed(e, common), drawn) for e in (base, entry))
    images = class_images(common)
    return {
        "images": len(common.ids),
        "scores": {
            key: paired_difference(
                drawn,
                ours.value(key) - theirs.value(key),
                ours.drawn[key] - theirs.drawn[key],
                images.get(key),
            )
            for key in ours.drawn
            if key in theirs.drawn
        },
    }


def _narrowed(entry: Entry, common: Counts) -> Entry:
    """Returns an entry on some of its images, in the source groups of the reference."""
    runs = (
        replace(run, counts=replace(common_images(run.counts, common)[0], groups=common.groups))
        for run in entry.runs
    )
    return Entry(entry.label, tuple(runs))


def _corrected(paired: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Corrects p: of a mean over the runs, of a class over the classes of its level in a run."""
    found = {
        label: {"images": content["images"], "scores": dict(content["scores"])}
        for label, content in paired.items()
    }
    keys = {key: None for content in paired.values() for key in content["scores"]}
    families: list[list[tuple[str, str]]] = []
    for key in (key for key in keys if not is_class(key)):
        families.append([(label, key) for label in found if key in found[label]["scores"]])
    for label, content in found.items():
        for level in {key.rpartition("IoU.")[0]: None for key in keys if is_class(key)}:
            own = [k for k in content["scores"] if is_class(k) and k.startswith(f"{level}IoU.")]
            families.append([(label, key) for key in own])
    for family in families:
        entries = [found[label]["scores"][key] for label, key in family]
        for (label, key), entry in zip(family, with_holm(entries), strict=True):
            found[label]["scores"][key] = entry
    return found


def is_class(key: str) -> bool:
    """Whether a score is the IoU of one class or group, rather than a mean."""
    return "IoU." in key


def _described(entry: Entry, scores: _Scores, resamples: Resamples) -> dict[str, Any]:
    """Returns what is said of one entry."""
    images = class_images(entry.counts)
    stamps = [stamp for run in entry.runs for stamp in run.stamps]
    return {
        "folders": [str(run.folder) for run in entry.runs],
        "images": len(entry.counts.ids),
        "source_groups": len(set(entry.counts.groups)),
        "splits": sorted({str(stamp["split"]["name"]) for stamp in stamps}),
        "checkpoints": [stamp.get("checkpoint_sha256") for stamp in stamps],
        "seeds": [stamp.get("seed") for stamp in stamps],
        "scores": {
            key: {
                "value": None if np.isnan(value := scores.value(key)) else value,
                **resamples.interval(scores.drawn[key], images.get(key)),
                "seeds": _spread(scores.of_seeds[key]),
            }
            for key in scores.drawn
        },
        "cost": _cost(stamps),
    }


def _spread(values: np.ndarray) -> dict[str, Any] | None:
    """Returns mean and standard deviation over seeds; None for a single one."""
    if len(values) < 2:
        return None
    defined = [float(value) for value in values if not np.isnan(value)]
    return {
        "n": len(defined),
        "mean": statistics.fmean(defined) if defined else None,
        "std": statistics.stdev(defined) if len(defined) > 1 else None,
        "values": [None if np.isnan(value) else float(value) for value in values],
    }


def _cost(stamps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what the tests say of size and speed; means where there are several."""
    cost: dict[str, Any] = {}
    for key, path in COST.items():
        values = [value for stamp in stamps if (value := _number(stamp, path)) is not None]
        cost[key] = statistics.fmean(values) if values else None
    return {**cost, "device": " and ".join(_devices(stamps)) or None}


def _devices(stamps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names what the tests ran on."""
    names = set()
    for device in (stamp.get("device") for stamp in stamps):
        if isinstance(device, Mapping):
            threads = device.get("threads")
            on_cpu = device.get("type") == "cpu" and threads
            names.add(f"{device.get('name')}" + (f", threads: {threads}" if on_cpu else ""))
    return sorted(names)


def _number(stamp: Any, path: Sequence[str]) -> float | None:
    """Returns a number inside a stamp, None where it is not said."""
    for key in path:
        stamp = stamp.get(key) if isinstance(stamp, Mapping) else None
    return float(stamp) if isinstance(stamp, (int, float)) else None


def _notes(entries: Sequence[Entry]) -> Iterator[str]:
    """Yields what a reader of the scores should know."""
    for entry in entries:
        for run in entry.runs:
            if line := no_better_than_clean(scores_beside_clean(run.counts)):
                seed = f" (seed {run.stamps[0].get('seed')})" if len(entry.runs) > 1 else ""
                yield f"{entry.label}{seed}: {line}"
            if run.not_tested:
                yield f"{entry.label}: without the folds {', '.join(run.not_tested)}, not tested."
    devices = _devices([s for entry in entries for run in entry.runs for s in run.stamps])
    if len(devices) > 1:
        yield f"Speeds are not comparable: measured on {' and on '.join(devices)}."
    single = [entry.label for entry in entries if len(entry.runs) == 1]
    if single:
        yield (
            "One seed only, so that nothing is known of how much training again would change: "
            f"{', '.join(single)}."
        )
