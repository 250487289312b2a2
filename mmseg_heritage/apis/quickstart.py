"""The main job in one go, on generated data: a first look, and a proof that the set-up works."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.utils import digit_version

from mmseg_heritage.apis.predicting import predict
from mmseg_heritage.apis.reporting import report as report_of
from mmseg_heritage.apis.testing import test
from mmseg_heritage.apis.training import train
from mmseg_heritage.dataprep.weights.weight_files import make_weight_files
from mmseg_heritage.dataprep.weights.weight_formulas import class_weights
from mmseg_heritage.evaluation.summary import load_metrics
from mmseg_heritage.models.backbones.packaged_weights import packaged_file, write_packaged_weights
from mmseg_heritage.runs.config.config_files import config_folder, load_config
from mmseg_heritage.runs.resume import best_checkpoint
from mmseg_heritage.sample_set import make_sample_set
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.visualization.report.report_text import console_summary

CONFIG = "quickstart_artefact.py"
NUM_IMAGES, SIZE = 320, 160  # many small pictures teach more in minutes than few large ones
NUM_NEW = 3


def quickstart(data_root: Path, work_dir: Path, verbose: bool = False) -> None:
    """Generates the sample set, trains, tests, reports, and maps the damage of new pictures.

    Training starts from packaged ImageNet weights, and weighs the classes in its cross entropy.

    Args:
        data_root: Folder of the sample set; made where it does not exist.
        work_dir: Folder of the run; an earlier quickstart there is replaced, it is always the same.
        verbose: Shows mmengine's log.

    Raises:
        InputError: If the package of the weights is absent.
    """
    start = time.monotonic()
    packaged_file()  # refuses before anything is drawn
    with progress_bar("drawing the sample set") as progress:
        make_sample_set(data_root, NUM_IMAGES, SIZE, progress=progress)
    config = config_folder() / CONFIG
    weights = data_root / "pretrained" / "efficientnet_lite0.pth"
    weights.parent.mkdir(exist_ok=True)
    write_packaged_weights(weights)
    split = load_config(config).train_dataloader.dataset.ann_file
    ((file, content),) = make_weight_files(
        data_root, split, formula="inverse_sqrt", overwrite=True
    ).items()
    # Dice gives rare classes weight by itself: with the same weights it finds too much of them.
    mild = class_weights(content["pixel_counts"], "inverse_sqrt_log_scaled")
    losses = "model.decode_head.loss_decode"
    options = {
        "data_root": str(data_root.resolve()),
        "pretrained": str(weights),
        f"{losses}.0.class_weight": mild,
        f"{losses}.1.class_weight": str(file),
        "default_hooks.preemption": None,  # a signal ends it: it always begins anew
        # For CPUs since torch 2.4: a step of AdamW takes 3 ms in place of 13.
        "optim_wrapper.optimizer.fused": digit_version(torch.__version__) >= digit_version("2.4"),
    }
    shared: dict[str, Any] = {"work_dir": str(work_dir), "overwrite": True, "verbose": verbose}
    train(config, cfg_options=options, **shared)
    pictures, page = work_dir / "pictures", work_dir / "report.html"
    best = best_checkpoint(work_dir)
    metrics = test(best, show_dir=str(pictures), **shared)
    report_of([str(work_dir)], page, [pictures], overwrite=True)
    new = make_sample_set(work_dir / "new_pictures", NUM_NEW, SIZE, seed=1)
    maps = work_dir / "damage_maps"
    predict(best, new / "images", maps, overwrite=True)
    print(_summary(metrics, [
        ("report", f"{page} (open it in a browser)"),
        ("pictures", f"{pictures} (test images: input, ground truth, prediction)"),
        ("maps", f"{maps} (of {NUM_NEW} new pictures, drawn by machine as all of this set)"),
        ("scores", str(metrics)),
        ("data", str(data_root)),
        ("time", f"{(time.monotonic() - start) / 60:.1f} minutes"),
    ]))  # fmt: skip


def _summary(metrics: Path, places: Sequence[tuple[str, str]]) -> str:
    """Sets the model's scores beside those of calling everything Clean, and lists what is where."""
    scores = load_metrics(metrics)
    return "\n".join(
        [
            "",
            console_summary(scores, "held-out test images, percent"),
            "It was trained on drawings: of real photographs it knows nothing.",
            "",
            *(f"{name + ':':<10} {place}" for name, place in places),
        ]
    )
