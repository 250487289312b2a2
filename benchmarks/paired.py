"""Ratios of ours to a stock part: both do the same step in turn, in one process, on one thread.

In every round each candidate does the step once; the order is reversed in every other round. A
round gives one ratio per candidate, its time divided by ours, so that a slow moment of the machine
hits both. Time is CPU time of the process; a round before the first is not counted. Memory is how
far one step raises the peak resident size, in a process of its own for each candidate.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "mmsegmentation", "mmengine", "timm", "numpy", "opencv-python-headless",
            "segmentation-models-pytorch")  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One comparison.

    Attributes:
        title: What one step is.
        candidates: Name -> one step; the first is ours.
        check: Raises where the candidates' results are not equal, within what it states; returns
            that in words.
        per: By how many things a step's time is divided.
        time_goal: Ratio that is aimed at, for the first of the stock candidates; None for none.
        memory_goal: The same for memory; None where memory is not measured.
    """

    title: str
    candidates: Mapping[str, Callable[[], object]]
    check: Callable[[], str]
    per: int = 1
    time_goal: float | None = None
    memory_goal: float | None = None


def paired(part: Part, rounds: int) -> dict[str, list[float]]:
    """Returns CPU milliseconds of each candidate, one entry per round."""
    times: dict[str, list[float]] = {name: [] for name in part.candidates}
    for number in range(-1, rounds):
        for name in list(part.candidates)[:: -1 if number % 2 else 1]:
            start = time.process_time()
            part.candidates[name]()
            if number >= 0:
                times[name].append(1e3 * (time.process_time() - start) / part.per)
    return times


def raised_peak(step: Callable[[], object]) -> float:
    """Returns by how many MB one step raises the peak of this process, which must be fresh."""
    unit = 1 if sys.platform == "darwin" else 1024
    with contextlib.suppress(OSError):  # Linux: forgets the peak of making the inputs
        Path("/proc/self/clear_refs").write_text("5")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 1e6


def rows(times: Mapping[str, list[float]], memory: Mapping[str, float]) -> list[dict[str, Any]]:
    """Returns what was found of each candidate, ours first."""
    ours = next(iter(times))
    found = []
    for name, milliseconds in times.items():
        ratios = [a / b for a, b in zip(milliseconds, times[ours], strict=True)]
        found.append(
            {
                "name": name,
                "ms": statistics.median(milliseconds),
                "time_ratio": [statistics.median(ratios), min(ratios), max(ratios)],
                "mb": memory.get(name),
                "memory_ratio": memory[name] / max(memory[ours], 0.1) if memory else None,
            }
        )
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """Returns the table of a part."""
    lines = [f"### {result['title']}", "", f"{result['rounds']} rounds; {result['check']}.", ""]
    lines += ["| | CPU ms | time / ours (min..max) | MB | MB / ours |", "|---|---|---|---|---|"]
    for row in result["rows"]:
        middle, low, high = row["time_ratio"]
        memory = "" if row["mb"] is None else f"{row['mb']:.0f}"
        ratio = "" if row["mb"] is None else f"{row['memory_ratio']:.1f}"
        lines.append(
            f"| {row['name']} | {row['ms']:.3g} | {middle:.2f} ({low:.2f}..{high:.2f}) "
            f"| {memory} | {ratio} |"
        )
    goals = [f"{result[key]:g} in {word}" for key, word in
             (("time_goal", "time"), ("memory_goal", "memory")) if result[key]]  # fmt: skip
    return "\n".join([*lines, "", *([f"Goal: {', '.join(goals)}.", ""] if goals else [])])


def machine() -> dict[str, Any]:
    """Returns where and with what was measured."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": versions,
    }


def in_new_process(script: str, arguments: list[str]) -> Any:
    """Runs a measurement of a script in a process of its own, which prints JSON last.

    The asking process stays without torch, since a child's peak begins at its parent's size.
    """
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
