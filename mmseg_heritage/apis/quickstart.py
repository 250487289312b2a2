"""The main job in one go, on generated data: a first look, and a proof that the set-up works."""

from __future__ import annotations

import time
from pathlib import Path

from mmseg_heritage.apis.testing import test
from mmseg_heritage.apis.training import train
from mmseg_heritage.evaluation.summary import load_metrics
from mmseg_heritage.runs.config.config_files import config_folder
from mmseg_heritage.runs.resume import best_checkpoint
from mmseg_heritage.sample_set import make_sample_set
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.visualization.report.report_text import console_summary

CONFIG = "quickstart_artefact.py"
NUM_IMAGES, SIZE = 320, 160  # many small pictures teach more in minutes than few large ones


def quickstart(data_root: Path, work_dir: Path) -> None:
    """Generates the sample set, trains, tests with pictures, and prints scores and places.

    Args:
        data_root: Folder of the sample set; made where it does not exist.
        work_dir: Folder of the run; an earlier quickstart there is replaced, it is always the same.
    """
    start = time.monotonic()
    with progress_bar("drawing the sample set") as report:
        make_sample_set(data_root, NUM_IMAGES, SIZE, progress=report)
    config = config_folder() / CONFIG
    options = {"data_root": str(data_root.resolve())}
    train(config, work_dir=str(work_dir), cfg_options=options, overwrite=True)
    pictures = work_dir / "pictures"
    metrics = test(
        best_checkpoint(work_dir), work_dir=str(work_dir), show_dir=str(pictures), overwrite=True
    )
    print(_report(metrics, pictures, data_root, time.monotonic() - start))


def _report(metrics: Path, pictures: Path, data_root: Path, seconds: float) -> str:
    """Sets the model's scores beside those of calling everything Clean."""
    scores = load_metrics(metrics)
    return "\n".join(
        [
            "",
            console_summary(scores, "held-out test images, percent"),
            "",
            f"scores:    {metrics}",
            f"pictures:  {pictures} ({scores['images']} images: input, ground truth, prediction)",
            f"data:      {data_root}",
            f"time:      {seconds / 60:.1f} minutes",
        ]
    )
