"""Time and memory of the trainings of each method, against those of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

_PEAKS = ("peak_allocated_mib", "peak_rss_mib")
"""Of a GPU, or of the process without one."""


def training_costs(
    summaries: Mapping[str, Mapping[Any, Mapping[str, Any]]], reference: str
) -> dict[str, dict[str, Any]]:
    """Compares what the trainings took.

    Args:
        summaries: Method -> fold and seed -> content of the run's ``throughput.json``.
        reference: Method that the others are compared with.

    Returns:
        Method -> 'seconds_per_iteration', 'relative_time', 'peak_mib', 'relative_memory' and
        'devices'. Numbers are medians over runs, None where nothing was measured: the first
        iterations of a process are left out, and so a short training.
    """
    return {
        name: {
            "seconds_per_iteration": _median(map(_seconds, runs.values())),
            "relative_time": _relative(runs, summaries[reference], _seconds),
            "peak_mib": _median(map(_peak, runs.values())),
            "relative_memory": _relative(runs, summaries[reference], _peak),
            "devices": sorted({str(found["device"]) for found in runs.values()}),
        }
        for name, runs in summaries.items()
    }


def _seconds(summary: Mapping[str, Any]) -> float | None:
    return summary.get("seconds_per_iteration")


def _peak(summary: Mapping[str, Any]) -> float | None:
    return next((summary[key] for key in _PEAKS if key in summary), None)


def _median(values: Any) -> float | None:
    found = [value for value in values if value is not None]
    return median(found) if found else None


def _relative(runs: Mapping[Any, Any], others: Mapping[Any, Any], value: Any) -> float | None:
    """Returns the median ratio of runs of the same fold and seed."""
    pairs = [(value(runs[key]), value(others[key])) for key in runs.keys() & others.keys()]
    return _median(a / b if a is not None and b else None for a, b in pairs)
