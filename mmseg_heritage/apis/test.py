"""Scoring a trained model on the test part of its data set."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.config import as_list, load_config
from mmseg_heritage.apis.runner import (
    build_datasets,
    build_runner,
    check_data,
    check_parts,
    output_folder,
)
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.engine.checkpoint import check_fits, trusting_checkpoints
from mmseg_heritage.engine.launch import (
    is_main_process,
    prepare_distributed,
    watching_processes,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.files import sha256, write_json
from mmseg_heritage.ranks import alone
from mmseg_heritage.version import __version__

EVALUATION_FOLDER = "evaluation"


@watching_processes()
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
        work_dir: Folder of the run; that of the checkpoint if None.
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
    # Beside the checkpoint: that is the folder of the run it came from.
    results = output_folder(work_dir or Path(checkpoint).parent) / EVALUATION_FOLDER
    # Logs and the config of a test go beside its scores; those of the training are left alone.
    cfg.work_dir = str(results)
    # Relative folders are the user's, seen from where the command was given.
    outputs = {
        name: output_folder(value)
        for name, value in (("show_dir", show_dir), ("out_dir", out_dir))
        if value
    }
    _guard(results, outputs, overwrite)
    prepare_distributed(cfg)
    datasets = build_datasets(cfg, ("test",))
    _spare_the_data(outputs, datasets[0])
    _write_results_to(cfg, results, outputs)
    with trusting_checkpoints(trust_checkpoint):
        check_fits(check_parts(cfg, ("test",)), checkpoint)
        if not skip_data_check:
            check_data(datasets)
        cfg.load_from, cfg.resume = str(Path(checkpoint).expanduser().resolve()), False
        runner = build_runner(cfg)
        with alone():
            runner.test()
    metrics = results / "metrics.json"
    if is_main_process() and metrics.exists():  # a config may name other metrics, which only log
        _stamp(metrics, cfg, config, datasets[0])
    return metrics


def read_scores(path: str | Path) -> dict[str, Any]:
    """Reads a ``metrics.json``."""
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content


def _guard(results: Path, outputs: Mapping[str, Path], overwrite: bool) -> None:
    """Refuses to replace results that nobody asked to replace."""
    if len(set(outputs.values())) < len(outputs):
        raise InputError(
            f"{outputs['out_dir']}: --show-dir and --out name their files alike; give two folders"
        )
    if overwrite:
        return
    problems = [str(results / "metrics.json")] if (results / "metrics.json").exists() else []
    problems += [
        f"{folder}: holds pictures"
        for folder in outputs.values()
        if next(folder.glob("*.png"), None)
    ]
    if problems:
        raise InputError(
            "results are already there; choose other folders, or replace them with --overwrite",
            problems,
        )


def _spare_the_data(outputs: Mapping[str, Path], dataset: ARTeFACTDataset) -> None:
    """Refuses to write files named after the images over the images or their masks."""
    sources = {
        Path(entry[key]).resolve().parent
        for entry in map(dataset.get_data_info, range(len(dataset)))
        for key in ("img_path", "seg_map_path")
    }
    problems = [str(folder) for folder in outputs.values() if folder in sources]
    if problems:
        raise InputError("results cannot be written into the folders of the data set", problems)


def _stamp(metrics: Path, cfg: Config, config: str | Path, dataset: ARTeFACTDataset) -> None:
    """Adds to the scores what they were made from, so that a number can be traced."""
    split = dataset.read_split()[0]
    stack = ("mmengine", "mmcv", "mmseg", "timm", "torch", "numpy")
    content = read_scores(metrics)
    content["run"] = {
        "config": str(config),
        "checkpoint": cfg.load_from,
        "checkpoint_sha256": sha256(cfg.load_from),
        "seed": cfg.get("randomness", {}).get("seed"),
        "split": {"name": split.name, "sha256": split.digest(), "part": dataset.split},
        "versions": {
            "mmseg_heritage": __version__,
            "python": platform.python_version(),
            **{name: str(import_module(name).__version__) for name in stack},
        },
    }
    write_json(metrics, content)


def _write_results_to(cfg: Config, results: Path, outputs: Mapping[str, Path]) -> None:
    """Tells the metric and the hook where to write."""
    for evaluator in as_list(cfg.test_evaluator):
        if evaluator.type == "ConfusionMetric":
            evaluator.output_dir = str(results)
    if outputs:
        folders = {name: str(folder) for name, folder in outputs.items()}
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), {"type": "PredictionHook", **folders}]
