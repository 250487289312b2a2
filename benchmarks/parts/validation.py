"""Validation of large photographs, from files to confusion counts, beside mmsegmentation's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from paired import Part
from shared import write_pair

from parts.inference import segmentors

_FOLDER = tempfile.TemporaryDirectory()
LONG_EDGE = 1024  # at which both see a photograph


def validation_12mp(small: bool) -> Part:
    """Photographs of 12 megapixels: ours in windows, mmsegmentation in its mode 'whole'."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope
    from mmseg.evaluation.metrics import IoUMetric
    from mmseg.registry import DATASETS

    from mmseg_heritage.evaluation.metric import ConfusionMetric
    from mmseg_heritage.runs.config.config_files import load_config

    init_default_scope("mmseg")
    size = (1200, 900) if small else (4000, 3000)
    root = Path(_FOLDER.name) / f"{size[0]}"
    for number in range(3):
        write_pair(root, str(number), size, number)
    config = Path(__file__).resolve().parents[2] / "configs" / "segformer_mitb3_artefact.py"
    cfg = load_config(config, {"data_root": str(root), "cache": "none"}).val_dataloader.dataset
    shrink = {"type": "Resize", "scale": (LONG_EDGE, LONG_EDGE), "keep_ratio": True}
    stock_pipeline = [{"type": "LoadImageFromFile"}, shrink, {"type": "LoadAnnotations"},
                      {"type": "PackSegInputs"}]  # fmt: skip
    datasets = {
        "ours": DATASETS.build({**cfg, "split": "all"}),
        "mmseg whole": DATASETS.build({**cfg, "split": "all", "pipeline": stock_pipeline}),
    }
    models = dict(zip(datasets, segmentors().values(), strict=True))
    models["mmseg whole"].test_cfg["mode"] = "whole"

    def epoch(name: str) -> Any:
        metric = ConfusionMetric() if name == "ours" else IoUMetric()
        metric.dataset_meta = datasets[name].metainfo
        for number in range(len(datasets[name])):
            batch = pseudo_collate([datasets[name][number]])
            with torch.inference_mode():
                found = models[name].val_step(batch)
            metric.process(batch, [sample.to_dict() for sample in found])
        return metric

    def check() -> str:
        labeled = [int(sum(r[3].sum() for r in epoch("mmseg whole").results))]
        labeled.append(int(sum(r["confusion"].sum() for r in epoch("ours").results)))
        assert labeled[0] == labeled[1], labeled
        return "as many labeled pixels; mmseg stretches its maps"

    return Part(
        f"Validation of a photograph of {size[0]} x {size[1]} px, SegFormer-B0",
        {name: lambda name=name: epoch(name) for name in datasets}, check, 3, 5, 10,
    )  # fmt: skip
