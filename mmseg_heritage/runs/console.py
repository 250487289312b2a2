"""What the console says of a run: its plan, its warnings; the details are in the log file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from numpy.typing import NDArray

from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.engine.hooks.console_hook import ConsoleHook
from mmseg_heritage.engine.innermost_model import innermost_model
from mmseg_heritage.runs.config.iterations import as_list
from mmseg_heritage.runs.config.variables import VARIABLES
from mmseg_heritage.runs.machine import images_per_step
from mmseg_heritage.runs.model_stats import count_parameters
from mmseg_heritage.runs.prepare import Prepared
from mmseg_heritage.utils.text import counted


def training_console(
    prepared: Prepared, pixels: Mapping[Path, NDArray[np.int64]], options: Mapping[str, Any]
) -> ConsoleHook:
    """Returns the hook that shows a training.

    Args:
        prepared: The run.
        pixels: Of its masks, see :func:`mmseg_heritage.runs.prepare.check_data`.
        options: What the user has set: dotted key -> value.
    """
    cfg = prepared.cfg
    never_labeled = _never_labeled(prepared, pixels)

    def header(runner: Runner) -> str:
        data = ", ".join(f"{sum(map(len, d))} {part}" for part, d in prepared.datasets.items())
        lines = [
            ("model", _model(runner)),
            ("data", f"{_roots(prepared)}: {data} images"),
            ("", f"no training pixel of {', '.join(never_labeled)}" if never_labeled else ""),
            ("plan", _plan(runner)),
            ("set", ", ".join(f"{key}={value}" for key, value in options.items())),
            ("log", f"{_log_file(runner)} (--verbose shows it here)"),
        ]
        return _lines(lines)

    return ConsoleHook(_scores(cfg), header)


def test_console(prepared: Prepared, checkpoint: str | Path) -> ConsoleHook:
    """Returns the hook that shows a test."""

    def header(runner: Runner) -> str:
        number = sum(map(len, prepared.datasets["test"]))
        lines = [
            ("model", f"{checkpoint}: {_model(runner)}"),
            ("data", f"{_roots(prepared)}: {counted(number, 'test image')}"),
            ("log", f"{_log_file(runner)} (--verbose shows it here)"),
        ]
        return _lines(lines)

    return ConsoleHook((), header)


def _lines(lines: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<6} {text}" for name, text in lines if text)


def _model(runner: Runner) -> str:
    """Names the network, its size, and what it computes in and on."""
    model = innermost_model(runner.model)
    parts = [getattr(model, name, None) for name in ("decode_head", "backbone")]
    names = " on ".join(type(part).__name__ for part in parts if part is not None)
    device = next(model.parameters()).device.type
    dtype = getattr(runner.optim_wrapper, "cast_dtype", None)
    precision = str(dtype).removeprefix("torch.") if dtype is not None else "float32"
    size = f"{count_parameters(model) / 1e6:.1f} M parameters"
    processes = f", {get_world_size()} processes" if get_world_size() > 1 else ""
    return f"{names or type(model).__name__}, {size}, {precision} on {device}{processes}"


def _plan(runner: Runner) -> str:
    """Says how long and on what the run trains."""
    by_epoch = hasattr(runner.train_loop, "run_epoch")
    epochs = f"{runner.max_epochs} epochs x {len(runner.train_dataloader)}" if by_epoch else ""
    steps = f"{epochs or runner.max_iters} steps"
    if images := images_per_step(runner.cfg):
        steps += f" of {counted(images, 'image')}"
    sizes = {str(place[key]) for place, key in VARIABLES["crop_size"].places(runner.cfg)}
    crops = f"crops of {', '.join(sorted(sizes))} px" if sizes else ""
    rates = ""
    optimizer = getattr(runner.optim_wrapper, "optimizer", None)  # mmengine can have several
    if optimizer is not None:
        rate = max(_peak(group) for group in optimizer.param_groups)
        rates = f"{type(optimizer).__name__} at up to {rate:.3g}"
    resumed = f"going on after step {runner.iter}" if runner.iter else ""
    return ", ".join(filter(None, [steps, crops, rates, resumed]))


def _peak(group: Mapping[str, Any]) -> float:
    """Returns the highest learning rate of a group: that of a one-cycle, or where others begin."""
    return float(group.get("max_lr", group.get("initial_lr", group["lr"])))


def _roots(prepared: Prepared) -> str:
    roots = {
        str(getattr(d, "data_root", "")) for found in prepared.datasets.values() for d in found
    }
    return ", ".join(sorted(filter(None, roots))) or "data"


def _never_labeled(prepared: Prepared, pixels: Mapping[Path, NDArray[np.int64]]) -> list[str]:
    """Names the classes of the folder that no training image shows."""
    samples = [
        sample
        for dataset in prepared.datasets["train"]
        if isinstance(dataset, ARTeFACTDataset)
        for sample in dataset.read_samples()
        if sample.annotation in pixels
    ]
    if not samples:
        return []
    counts = np.sum([pixels[sample.annotation] for sample in samples], axis=0)
    names = samples[0].classes.names
    return [name for name, number in zip(names, counts, strict=False) if not number]


def _scores(cfg: Config) -> list[str]:
    """Returns which scores of the validation are shown, that of the best checkpoint first."""
    chosen = as_list((cfg.default_hooks.get("checkpoint") or {}).get("save_best") or "mIoU")
    first = "mIoU" if chosen[0] == "auto" else chosen[0]
    return list(dict.fromkeys([first, "mIoU", "damage_IoU"]))


def _log_file(runner: Runner) -> Path:
    return Path(runner.log_dir) / f"{runner.timestamp}.log"
