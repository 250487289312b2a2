"""Time and memory of a training step with each penalty on domains, beside plain training.

    python benchmarks/bench_penalties.py [--small]

The model is that of configs/segformer_mitb3_artefact-*.py; a batch has 4 domains with 2 images. One
step is forward and backward, one thread, on the CPU. Ratios are of CPU time within one round, see
README.md beside this file. Memory is the growth of the peak resident size during one step, each
method in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).resolve().parents[1] / "configs/segformer_mitb3_artefact-erm-balanced.py"
METHODS: dict[str, list[dict[str, Any]]] = {
    "plain": [],
    "CORAL, marginal": [{"type": "CORALPenalty"}],
    "CORAL, class": [{"type": "CORALPenalty", "mode": "class"}],
    "IRM": [{"type": "IRMPenalty"}],
    "V-REx": [{"type": "VRExPenalty"}],
    "GroupDRO": [{"type": "GroupDROPenalty"}],
    "Fishr, image": [{"type": "FishrPenalty"}],
    "Fishr, patch": [{"type": "FishrPenalty", "sample": "patch"}],
    "Fishr, pixel": [{"type": "FishrPenalty", "sample": "pixel"}],
}


def make_model(method: str, small: bool) -> Any:
    """Builds the model with the penalties of a method, at their last weight."""
    import torch
    from mmengine.config import Config

    from mmseg_heritage.runs.build import build_model

    torch.set_num_threads(1)
    cfg = Config.fromfile(CONFIG)
    cfg.model.dg = METHODS[method]
    cfg.model.decode_head.norm_cfg = {"type": "BN"}
    if small:
        cfg.model.backbone.update(embed_dims=8, num_layers=[1, 1, 1, 1])
    model = build_model(cfg).train()
    for penalty in model.penalties.penalties if model.penalties else ():
        penalty.current_weight = penalty.weight
    return model


def make_batch(side: int) -> tuple[Any, Any]:
    """Returns random images of 4 domains, and their samples."""
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(0)
    samples = []
    for number in range(8):
        sample = SegDataSample(metainfo={"domain": f"domain {number // 2}"})
        labels = torch.randint(0, 16, (1, side, side), generator=generator)
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return torch.randn(8, 3, side, side, generator=generator), samples


def step(model: Any, batch: tuple[Any, Any]) -> None:
    """Runs one forward and backward pass."""
    model.zero_grad()
    model.parse_losses(model.loss(*batch))[0].backward()


def measure_time(small: bool, side: int, rounds: int) -> dict[str, list[float]]:
    """Returns CPU milliseconds of each method, one entry per round."""
    models, batch = {name: make_model(name, small) for name in METHODS}, make_batch(side)
    for model in models.values():
        step(model, batch)
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    for number in range(rounds):
        names = list(METHODS)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.process_time()
            step(models[name], batch)
            times[name].append(1e3 * (time.process_time() - start))
    return times


def measure_memory(name: str, small: bool, side: int) -> float:
    """Returns by how many MB one step raises the peak of this process, which must be fresh."""
    model, batch = make_model(name, small), make_batch(side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(model, batch)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) * (1 if sys.platform == "darwin" else 1024) / 1e6


def main() -> None:
    """Parses the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="a tiny backbone, crops of 64 px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=["time", *METHODS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    side = 64 if options.small else 128
    if options.measure is not None:
        result = (
            measure_time(options.small, side, options.rounds)
            if options.measure == "time"
            else measure_memory(options.measure, options.small, side)
        )
        print(json.dumps(result))
        return

    def measured(what: str) -> Any:
        command = [sys.executable, __file__, "--measure", what, "--rounds", str(options.rounds)]
        command += ["--small"] * options.small
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    times = measured("time")
    print(f"{'method':18}{'CPU ms':>8}{'time / plain (min..max)':>26}{'MB':>8}")
    for name, found in times.items():
        ratios = [t / plain for t, plain in zip(found, times["plain"], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"{name:18}{statistics.median(found):8.0f}{spread:>26}{measured(name):8.0f}")


if __name__ == "__main__":
    main()
