"""Compares ours with the stock parts, one after the other, and writes a table.

    python benchmarks/bench.py [--out FOLDER] [--parts NAME ...] [--small]

What is compared, and how, is in README.md beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from paired import Part, in_new_process, machine, markdown, paired, raised_peak, rows

PARTS = {
    "dice": "losses:dice",
    "counts-384": "counts:small",
    "counts-12mp": "counts:large",
    "sample": "loading:sample",
    "transport": "loading:transport",
    "accuracy": "training:accuracy",
    "attention-384": "training:attention_384",
    "attention-768": "training:attention_768",
    "iteration": "training:iteration",
    "iteration-smp": "training:iteration_smp",
    "crop-12mp": "loading:crop",
    "validation-12mp": "validation:validation_12mp",
    "windows-1500": "inference:windows_1500",
    "accumulation-3000": "inference:accumulation_3000",
    "windows-8000": "inference:windows_8000",
}
LONG = {"windows-8000": 1, "accumulation-3000": 3, "windows-1500": 3, "validation-12mp": 3}
"""Parts of minutes, and the rounds that they get at most."""


def build(name: str, small: bool) -> Part:
    """Returns a part with its inputs in place."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    module, function = PARTS[name].split(":")
    part: Part = getattr(importlib.import_module(f"parts.{module}"), function)(small)
    return part


def measured(name: str, small: bool, rounds: int) -> dict[str, object]:
    """Returns the times of a part, in this process."""
    part = build(name, small)
    said = part.check()
    return {
        "title": part.title, "check": said, "rounds": rounds, "times": paired(part, rounds),
        "time_goal": part.time_goal, "memory_goal": part.memory_goal,
    }  # fmt: skip


def memory_of(name: str, small: bool, candidate: str) -> float:
    """Returns how far a step of a candidate raises the peak, in this process."""
    part = build(name, small)
    return raised_peak(part.candidates[candidate])


def profile(name: str, small: bool) -> str:
    """Returns what the operators of torch take in one step of each candidate, the largest first."""
    import torch

    part = build(name, small)
    lines = [f"### {part.title}", "", "| | CPU ms | largest shares |", "|---|---|---|"]
    for candidate, step in part.candidates.items():
        step()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
            step()
        costs = sorted(seen.key_averages(), key=lambda cost: -cost.self_cpu_time_total)
        total = sum(cost.self_cpu_time_total for cost in costs)
        shares = [f"{cost.key} {cost.self_cpu_time_total / total:.0%}" for cost in costs[:6]]
        lines.append(f"| {candidate} | {total / 1e3:.0f} | {', '.join(shares)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measures every part in processes of its own, and writes results after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("work_dirs/bench"))
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=[name for name in PARTS if name != "windows-8000"],
        help="all but windows-8000, which takes half an hour",
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--small", action="store_true", help="small inputs, seconds: is it sound?")
    parser.add_argument("--profile", action="store_true", help="what takes the time, by operator")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        found: object = (
            memory_of(args.measure, args.small, args.memory)
            if args.memory
            else measured(args.measure, args.small, args.rounds)
        )
        print(json.dumps(found))
        return
    if args.profile:
        for name in args.parts:
            print(profile(name, args.small), flush=True)
        return
    small = ["--small"] if args.small else []
    args.out.mkdir(parents=True, exist_ok=True)
    results, text = {"machine": machine(), "parts": {}}, ["# Ours against the stock parts", ""]
    for name in args.parts:
        common = ["--rounds", str(min(args.rounds, LONG.get(name, args.rounds))), *small]
        result = in_new_process(__file__, [*common, "--measure", name])
        times = result.pop("times")
        memory = {}
        if result["memory_goal"]:
            for candidate in times:
                asked = [*common, "--measure", name, "--memory", candidate]
                memory[candidate] = in_new_process(__file__, asked)
        result["rows"] = rows(times, memory)
        results["parts"][name] = result
        text.append(markdown(result))
        print(text[-1], flush=True)
        (args.out / "bench.json").write_text(json.dumps(results, indent=2) + "\n")
        (args.out / "bench.md").write_text("\n".join(text))
    print(f"written: {args.out / 'bench.md'}, bench.json")


if __name__ == "__main__":
    main()
