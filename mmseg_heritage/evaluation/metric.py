"""The metric that mmengine's loops call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmseg.registry import METRICS
from prettytable import PrettyTable

from mmseg_heritage.evaluation.confusion import (
    all_clean,
    class_scores,
    confusion_counts,
    mean_over_present,
    merge_classes,
    summary,
)
from mmseg_heritage.files import replacing, write_json

SCHEMA = "mmseg_heritage/metrics/1"
DEFINITIONS = {
    "unit": "percent",
    "IoU": "TP / (TP + FP + FN) of a class, pixels pooled over all images; 255 is left out",
    "mIoU": "mean IoU over the classes present in truth or prediction; a class that is never found "
    "counts 0, a class absent from both is left out (classes_in_mean)",
    "mF1": "the same mean of 2 TP / (2 TP + FP + FN)",
    "aAcc": "share of right pixels",
    "damage_IoU": "IoU of Damage after merging all classes but Clean",
    "binary_mIoU": "mean IoU of Clean and Damage",
    "all_clean": "the same scores for predicting Clean everywhere",
}


@METRICS.register_module()
class ConfusionMetric(BaseMetric):
    """Pooled segmentation scores from exact int64 confusion counts, kept for each image.

    Logged keys, in percent: mIoU, mF1, aAcc, damage_IoU, binary_mIoU, ``IoU.<class>`` for every
    class present, and classes_in_mean. Definitions: :data:`DEFINITIONS`.

    Args:
        output_dir: Where to write ``metrics.json`` and ``per_image.npz``; None writes nothing.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: See :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = ""  # bare keys; None would make mmengine warn

    def __init__(
        self,
        output_dir: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.output_dir = output_dir

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Counts one batch."""
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            label = sample["gt_sem_seg"]["data"].squeeze().cpu().numpy()
            prediction = sample["pred_sem_seg"]["data"].squeeze().cpu().numpy()
            sample_id = sample.get("sample_id") or Path(sample["img_path"]).stem
            self.results.append((sample_id, confusion_counts(label, prediction, num_classes)))

    def compute_metrics(self, results: list[tuple[str, np.ndarray]]) -> dict[str, float]:
        """Pools the counts of all images into scores."""
        classes = list(self.dataset_meta["classes"])
        counts = np.sum([image_counts for _, image_counts in results], axis=0)
        scores = class_scores(counts)
        metrics: dict[str, float] = {**summary(counts), **_binary(counts, classes)}
        for name, iou in zip(classes, scores["iou"], strict=True):
            if not np.isnan(iou):
                metrics[log_key(name)] = 100 * float(iou)
        MMLogger.get_current_instance().info("per class results:\n" + _table(classes, scores))
        if self.output_dir is not None and is_main_process():
            self._write(Path(self.output_dir), results, counts, classes, scores)
        return metrics

    def _write(
        self,
        folder: Path,
        results: list[tuple[str, np.ndarray]],
        counts: np.ndarray,
        classes: list[str],
        scores: dict[str, np.ndarray],
    ) -> None:
        """Writes the scores as JSON and the counts of every image, from which all else follows."""
        content = {
            "schema": SCHEMA,
            "definitions": DEFINITIONS,
            "images": len(results),
            "overall": _pooled(counts, classes),
            "all_clean": _pooled(all_clean(counts, classes.index("Clean")), classes)
            if "Clean" in classes
            else None,
            "per_class": {
                name: {
                    "support_pixels": int(scores["support"][i]),
                    **{
                        key: _percent(scores[key][i])
                        for key in ("iou", "f1", "precision", "recall")
                    },
                }
                for i, name in enumerate(classes)
            },
        }
        write_json(folder / "metrics.json", content)
        with replacing(folder / "per_image.npz") as temporary:
            np.savez_compressed(
                temporary,
                ids=np.array([sample_id for sample_id, _ in results]),
                classes=np.array(classes),
                confusion=np.stack([image_counts for _, image_counts in results]),
            )


def log_key(class_name: str) -> str:
    """Returns the key under which the IoU of a class is logged.

    mmengine logs a running mean for every key that contains 'loss', so that the class Material loss
    needs another spelling: ``IoU.Material Loss``.
    """
    return "IoU." + class_name.replace("loss", "Loss")


def _pooled(counts: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    """Returns the pooled means for JSON, which has no NaN."""
    scores = {**summary(counts), **_binary(counts, classes)}
    return {key: None if np.isnan(value) else value for key, value in scores.items()}


def _binary(counts: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Returns the scores of Clean against everything else, where there is a class Clean.

    Background, where it is a class, is neither.
    """
    if "Clean" not in classes:
        return {}
    groups = [{"Clean": 0, "Background": 2}.get(name, 1) for name in classes]
    merged = merge_classes(counts, groups, 3)
    merged[2] = 0  # pixels outside the object are not scored; damage taken for outside is a miss
    iou = class_scores(merged)["iou"][:2]
    return {"damage_IoU": 100 * float(iou[1]), "binary_mIoU": 100 * mean_over_present(iou)[0]}


def _percent(value: float) -> float | None:
    """Returns a share as a percentage, and None (JSON's null) for an undefined one."""
    return None if np.isnan(value) else 100 * float(value)


def _table(classes: Sequence[str], scores: dict[str, np.ndarray]) -> str:
    """Lays the scores of each class out for the log, in percent."""
    table = PrettyTable(["class", "IoU", "F1", "precision", "recall", "true pixels"])
    for i, name in enumerate(classes):
        cells = [f"{100 * scores[key][i]:.2f}" for key in ("iou", "f1", "precision", "recall")]
        table.add_row([name, *cells, int(scores["support"][i])])
    table.align = "r"
    table.align["class"] = "l"
    return table.get_string()
