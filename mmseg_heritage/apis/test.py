"""Scoring a trained model on the test part of its data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.config import load_config
from mmseg_heritage.apis.runner import build_datasets, build_runner, check_data, work_dir_of
from mmseg_heritage.engine.checkpoint import check_fits, trusting_checkpoints
from mmseg_heritage.errors import InputError

EVALUATION_FOLDER = "evaluation"


def test(
    config: str | Path,
    checkpoint: str | Path,
    work_dir: str | None = None,
    show_dir: str | None = None,
    out_dir: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    overwrite: bool = False,
    skip_data_check: bool = False,
    trust_checkpoint: bool = False,
) -> Path:
    """Tests a checkpoint and writes ``<work_dir>/evaluation/metrics.json`` and ``per_image.npz``.

    Args:
        config: Config file the checkpoint was trained with.
        checkpoint: Checkpoint file.
        work_dir: Folder of the run; ``work_dirs/<config name>`` if None.
        show_dir: Where to write a picture of each image: input, ground truth, prediction.
        out_dir: Where to write the predicted class map of each image.
        cfg_options: Dotted key -> value.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        overwrite: Allows replacing results that are already there.
        skip_data_check: Does not decode all images and masks first.
        trust_checkpoint: Lets the checkpoint run code.

    Returns:
        The file of scores.

    Raises:
        InputError: If the data, the config or the checkpoint cannot be used.
    """
    cfg = load_config(config, cfg_options)
    cfg.launcher = launcher
    folder = work_dir_of(cfg, config, work_dir)
    cfg.work_dir = str(folder)
    results = folder / EVALUATION_FOLDER
    # Relative folders are the user's, seen from where the command was given.
    outputs = {
        name: str(Path(value).expanduser().resolve())
        for name, value in (("show_dir", show_dir), ("out_dir", out_dir))
        if value
    }
    _guard(results, outputs, overwrite)
    if not Path(checkpoint).is_file():
        raise InputError(f"{checkpoint}: no such checkpoint")
    datasets = build_datasets(cfg, ("test",))
    if not skip_data_check:
        check_data(datasets)
    _write_results_to(cfg, results, outputs)
    with trusting_checkpoints(trust_checkpoint):
        runner = build_runner(cfg)
        check_fits(_unwrapped(runner.model), str(checkpoint))
        runner._load_from = str(checkpoint)
        runner.test()
    return results / "metrics.json"


def read_scores(path: str | Path) -> dict[str, Any]:
    """Reads a ``metrics.json``."""
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content


def _guard(results: Path, outputs: Mapping[str, str], overwrite: bool) -> None:
    """Refuses to replace results that nobody asked to replace."""
    if overwrite:
        return
    problems = [str(results / "metrics.json")] if (results / "metrics.json").exists() else []
    problems += [
        f"{value}: holds pictures"
        for value in outputs.values()
        if next(Path(value).glob("*.png"), None)
    ]
    if problems:
        raise InputError(
            "results are already there; choose other folders, or replace them with --overwrite",
            problems,
        )


def _write_results_to(cfg: Config, results: Path, outputs: Mapping[str, str]) -> None:
    """Tells the metric and the hook where to write."""
    evaluators = cfg.test_evaluator
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if evaluator.type == "ConfusionMetric":
            evaluator.output_dir = str(results)
    if outputs:
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), {"type": "PredictionHook", **outputs}]


def _unwrapped(model: Any) -> Any:
    """Returns the model inside a DistributedDataParallel wrapper."""
    return getattr(model, "module", model)
