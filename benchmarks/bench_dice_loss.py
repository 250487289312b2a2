"""Time and memory of ClassWeightedDiceLoss beside the Dice losses of mmsegmentation and SMP.

    python benchmarks/bench_dice_loss.py [--small]

One step is forward and backward on the same logits and labels, one thread, on the CPU. Ratios are
of CPU time within one round, in which the losses run one after the other; printed are the median
over rounds and the range. Memory is the growth of the peak resident size during one step, each loss
in a process of its own. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

OURS = "ours"
LABELS = {
    OURS: "ClassWeightedDiceLoss",
    "smp": "SMP DiceLoss('multiclass')",
    "mmseg": "mmseg DiceLoss(use_sigmoid=False)",
}
IGNORE = 255


def build_losses(num_classes: int) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Returns the losses by name; every measuring process imports all of them."""
    import segmentation_models_pytorch as smp
    from mmseg.registry import MODELS

    import mmseg_heritage.plugin  # noqa: F401  lets mmseg.models load with mmcv-lite
    from mmseg_heritage.models.losses import ClassWeightedDiceLoss

    weights = [1.0 + c for c in range(num_classes)]
    return {
        OURS: ClassWeightedDiceLoss(weights, ignore_index=IGNORE),
        "smp": smp.losses.DiceLoss(
            "multiclass", smooth=0.5, ignore_index=IGNORE, class_weights=weights
        ),
        "mmseg": MODELS.build({"type": "DiceLoss", "use_sigmoid": False, "ignore_index": IGNORE}),
    }


def make_batch(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Makes logits (N, C, S, S) and labels of which the first tenth of the rows is ignored."""
    import torch

    n, num_classes, size = shape
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, num_classes, size, size, generator=generator, requires_grad=True)
    labels = torch.randint(0, num_classes, (n, size, size), generator=generator)
    labels[:, : size // 10] = IGNORE
    return logits, labels


def step(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor) -> None:
    """Runs one forward and backward pass."""
    logits.grad = None
    loss(logits, labels).backward()


def measure_time(shape: tuple[int, int, int], rounds: int) -> dict[str, list[float]]:
    """Returns CPU milliseconds of each loss, one entry per round."""
    losses = build_losses(shape[1])
    logits, labels = make_batch(shape)
    for loss in losses.values():
        step(loss, logits, labels)
    times: dict[str, list[float]] = {name: [] for name in losses}
    for round_ in range(rounds):
        # Each round begins with another loss, so that none always runs after the same one.
        names = list(losses)
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            start = time.process_time()
            step(losses[name], logits, labels)
            times[name].append(1e3 * (time.process_time() - start))
    return times


def measure_memory(shape: tuple[int, int, int], name: str) -> float:
    """Returns by how many MB one step raises the peak of this process, which must be fresh."""
    loss = build_losses(shape[1])[name]
    step(loss, *make_batch((1, shape[1], 16)))
    logits, labels = make_batch(shape)
    before = _peak()
    step(loss, logits, labels)
    return _peak() - before


def _peak() -> float:
    """Peak resident size of this process in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def in_new_process(arguments: list[str]) -> Any:
    """Runs a measurement of this script in a process of its own.

    This process stays without torch, since a child's peak begins at its parent's size.
    """
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_table(times: dict[str, list[float]], memory: dict[str, float]) -> None:
    """Prints medians, paired ratios with their range, and memory."""
    print(f"{'loss':36}{'CPU ms':>8}{'time / ours (min..max)':>26}{'MB':>8}{'MB / ours':>11}")
    for name, label in LABELS.items():
        ratios = [t / ours for t, ours in zip(times[name], times[OURS], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(
            f"{label:36}{statistics.median(times[name]):8.0f}{spread:>26}"
            f"{memory[name]:8.0f}{memory[name] / memory[OURS]:11.2f}"
        )


def main() -> None:
    """Parses the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="a batch of 2 with 128 x 128 pixels")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--measure", choices=["time", *LABELS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = (2, 16, 128) if options.small else (8, 16, 384)
    if options.measure is not None:
        import torch

        torch.set_num_threads(1)
        result = (
            measure_time(shape, options.rounds)
            if options.measure == "time"
            else measure_memory(shape, options.measure)
        )
        print(json.dumps(result))
        return
    arguments = ["--rounds", str(options.rounds), *(["--small"] if options.small else [])]
    times = in_new_process([*arguments, "--measure", "time"])
    memory = {name: in_new_process([*arguments, "--measure", name]) for name in LABELS}
    print(
        f"N={shape[0]} C={shape[1]} {shape[2]}x{shape[2]}, {options.rounds} rounds, 1 thread, CPU"
    )
    print_table(times, memory)


if __name__ == "__main__":
    main()
