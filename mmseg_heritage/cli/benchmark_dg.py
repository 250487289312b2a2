"""Compare methods on materials and contents they were not trained on, from a plan."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING

from mmseg_heritage.cli.common import require_stack
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.text import counted

if TYPE_CHECKING:
    from mmseg_heritage.domains.benchmark.benchmark_plan import Plan, PlannedRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", help="the plan, a JSON file")
    parser.add_argument("--out", metavar="DIR", default="work_dirs/benchmark-dg",
                        help="folder of all runs (default: %(default)s)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the runs and their GPU hours")
    parser.add_argument("--run", type=int, metavar="N", dest="number",
                        help="make the run of this number in --dry-run alone")  # fmt: skip
    parser.add_argument("--collect", action="store_true", help="run nothing; collect the results")


def run(args: argparse.Namespace) -> int:
    require_stack()
    from mmseg_heritage.apis.benchmarking import RESULTS, Benchmark
    from mmseg_heritage.domains.benchmark.benchmark_tables import benchmark_tables

    benchmark = Benchmark(args.plan, args.out)
    runs = benchmark.runs
    states = benchmark.states()
    left = [run for run, state in states.items() if state != "done"]
    if args.dry_run:
        lines = (f"{i:4}  {states[run]:5}  {run.name}" for i, run in enumerate(runs))
        print("\n".join(lines))
        print_hours(benchmark.plan, left)
        return 0
    benchmark.require_same(states)
    if hasattr(signal, "SIGUSR1"):  # of a preemption, to all processes: the training answers it
        signal.signal(signal.SIGUSR1, lambda *_: None)
    if args.number is not None:
        if not 0 <= args.number < len(runs):
            raise InputError(
                f"--run: expected a number from 0 to {len(runs) - 1}, found {args.number}"
            )
        status = benchmark.run_one(runs[args.number])
        return status if status >= 0 else 128 - status  # of a signal, as shells say it
    failed = []
    for place, planned in enumerate([] if args.collect else left, start=1):
        print(f"[{place}/{len(left)}] {planned.name}", flush=True)
        if status := benchmark.run_one(planned):
            if status in (75, 130, 143, -2, -15):  # stopped, not failed
                return status if status > 0 else 128 - status
            failed.append(planned.name)
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    content = benchmark.collect()
    print("\n\n".join(table.terminal() for table in benchmark_tables(content)))
    print(f"\nresults: {benchmark.out / RESULTS}")
    return 0


def print_hours(plan: Plan, left: list[PlannedRun]) -> None:
    """Prints how long what is left will take, by method, and what that assumes."""
    print(f"{counted(len(left), 'run')} to do, {plan.hours(left):.1f} GPU hours expected:")
    for name, method in plan.methods.items():
        own = [run for run in left if run.method == name]
        print(f"  {name}: {counted(len(own), 'run')}, {plan.hours(own):.1f} hours, "
              f"time of an iteration {method.relative_cost:g} x {plan.reference}'s")  # fmt: skip
    print(
        f"assumed by the plan, not measured: {plan.seconds_per_iteration:g} s for each of the "
        f"{plan.max_iters} iterations of {plan.reference}, {plan.test_seconds:g} s for the tests "
        "of a run"
    )
