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
    level_counts,
    level_iou,
    mean_over_present,
    summary,
)
from mmseg_heritage.files import replacing, write_json
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX, LEVELS, Level

ImageCounts = tuple[str, dict[str, np.ndarray]]
"""Sample id, and its confusion counts by level."""

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
    "coarse_mIoU": "mean IoU of the groups of damage after merging classes, over pixels that are "
    "damaged; Clean predicted there is a miss",
    "<level>_head_mIoU": "the same means of the maps that a hierarchical model's own head of that "
    "level predicts, rather than of its classes",
    "all_clean": "the same scores for predicting Clean everywhere",
}


@METRICS.register_module()
class ConfusionMetric(BaseMetric):
    """Pooled segmentation scores from exact int64 confusion counts, kept for each image.

    Logged keys, in percent: mIoU, mF1, aAcc, damage_IoU, binary_mIoU, coarse_mIoU, ``IoU.<class>``
    for every class present, classes_in_mean, and ``<level>_head_mIoU`` for models that predict
    ``pred_sem_seg_<level>``. Definitions: :data:`DEFINITIONS`.

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
            counts = {FINE_LEVEL: confusion_counts(label, prediction, num_classes)}
            for name, level in sample.get("levels", {}).items():
                own = sample[f"pred_sem_seg_{name}"]["data"].squeeze().cpu().numpy()
                counts[name] = _own_counts(label, own, level)
            self.results.append((sample_id, counts))

    def compute_metrics(self, results: list[ImageCounts]) -> dict[str, float]:
        """Pools the counts of all images into scores."""
        classes = list(self.dataset_meta["classes"])
        pooled = {name: np.sum([image[name] for _, image in results], axis=0)
                  for name in results[0][1]}  # fmt: skip
        counts = pooled.pop(FINE_LEVEL)
        scores = class_scores(counts)
        overall = {**_means(counts, classes), **_own_means(pooled)}
        metrics = dict(overall)
        for name, iou in zip(classes, scores["iou"], strict=True):
            if not np.isnan(iou):
                metrics[log_key(name)] = 100 * float(iou)
        MMLogger.get_current_instance().info("per class results:\n" + _table(classes, scores))
        if self.output_dir is not None and is_main_process():
            self._write(Path(self.output_dir), results, counts, classes, overall)
        return metrics

    def _write(
        self,
        folder: Path,
        results: list[ImageCounts],
        counts: np.ndarray,
        classes: list[str],
        overall: dict[str, float],
    ) -> None:
        """Writes the scores as JSON and the counts of every image, from which all else follows."""
        scores = class_scores(counts)
        content = {
            "schema": SCHEMA,
            "definitions": DEFINITIONS,
            "images": len(results),
            "overall": _for_json(overall),
            "all_clean": _for_json(_means(all_clean(counts, classes.index("Clean")), classes))
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
        counts_of_level: dict[str, Any] = {
            "confusion" if name == FINE_LEVEL else f"confusion_{name}": np.stack(
                [image[name] for _, image in results]
            )
            for name in results[0][1]
        }
        with replacing(folder / "per_image.npz") as temporary:
            np.savez_compressed(
                temporary,
                ids=np.array([sample_id for sample_id, _ in results]),
                classes=np.array(classes),
                **counts_of_level,
            )


def log_key(class_name: str) -> str:
    """Returns the key under which the IoU of a class is logged.

    mmengine logs a running mean for every key that contains 'loss', so that the class Material loss
    needs another spelling: ``IoU.Material Loss``.
    """
    return "IoU." + class_name.replace("loss", "Loss")


def _for_json(scores: dict[str, float]) -> dict[str, float | None]:
    """Returns the means for JSON, which has no NaN."""
    return {key: None if np.isnan(value) else value for key, value in scores.items()}


def _means(counts: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Returns the means of the classes and of the levels above them, in percent.

    Levels need the class Clean; Background, where it is a class, is in no group.
    """
    means: dict[str, float] = dict(summary(counts))
    if "Clean" not in classes:
        return means
    groups = [{"Clean": 0, "Background": IGNORE_INDEX}.get(name, 1) for name in classes]
    iou = level_iou(level_counts(counts, groups, 2))
    means.update(damage_IoU=100 * float(iou[1]), binary_mIoU=100 * float(mean_over_present(iou)[0]))
    coarse = LEVELS["coarse"]
    group_of = dict(zip(LEVELS[FINE_LEVEL].classes, coarse.fine_to_group, strict=True))
    groups = [group_of.get(name, IGNORE_INDEX) for name in classes]
    if set(groups) != {IGNORE_INDEX}:
        iou = level_iou(level_counts(counts, groups, len(coarse.classes)))
        means["coarse_mIoU"] = 100 * float(mean_over_present(iou)[0])
    return means


def _own_counts(label: np.ndarray, prediction: np.ndarray, level: Level) -> np.ndarray:
    """Counts the map that a model predicted for a level, in the form of :func:`level_counts`."""
    number = len(level.classes)
    prediction = np.where(prediction == IGNORE_INDEX, number, prediction)
    return confusion_counts(np.array(level.lookup())[label], prediction, number + 1)


def _own_means(pooled: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns the mean IoU in percent of the maps that a model predicted for its levels."""
    return {
        f"{name}_head_mIoU": 100 * float(mean_over_present(level_iou(counts))[0])
        for name, counts in pooled.items()
    }


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
