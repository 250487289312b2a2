"""The metric that mmengine's loops call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub, MMLogger
from mmseg.registry import METRICS

from mmseg_heritage.dataprep.ids import id_of
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.baseline import scores_beside_clean
from mmseg_heritage.evaluation.counts.boundary import TOLERANCE, boundary_counts, tolerance_pixels
from mmseg_heritage.evaluation.counts.calibration import BINS, calibration_counts
from mmseg_heritage.evaluation.counts.components import SIZE_EDGES, component_counts
from mmseg_heritage.evaluation.counts.confusion import class_scores, confusion_counts
from mmseg_heritage.evaluation.counts.levels import derived_levels
from mmseg_heritage.evaluation.counts.skeleton import skeleton_counts
from mmseg_heritage.evaluation.store import PARTS, Counts, save_counts
from mmseg_heritage.evaluation.summary import (
    CLASSES_FILE,
    COUNTS_FILE,
    METRICS_FILE,
    SCORES,
    overall,
    summarize,
    write_per_class,
)
from mmseg_heritage.images.writing import write_class_map
from mmseg_heritage.taxonomy import IGNORE_INDEX, Level, clean_id
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.utils.tables import plain_table

VALIDATION = "validation"
"""Where a message hub, and with it a checkpoint, keeps what ``scores_beside_clean`` gives."""
_ROWS = 1 << 20  # pixels whose confidence is computed at a time


@METRICS.register_module()
class ConfusionMetric(BaseMetric):
    """Segmentation scores from exact int64 counts, kept for each image.

    Returned, and with that logged, drawn by TensorBoard and known to ``save_best``: every mean
    (:data:`mmseg_heritage.evaluation.summary.DEFINITIONS`), and ``IoU.<class>``, ``F1.<class>``,
    ``Precision.<class>``, ``Recall.<class>`` and ``Accuracy.<class>``, all in percent, NaN where
    undefined. Needs ``sample_id``, ``group``, ``material`` and ``content`` among the ``meta_keys``
    of the pipeline for what is said by image, source group, material and content.

    Confidence, for the calibration error, is ``confidence`` of the sample, in steps of 1/255; where
    there is none, the softmax of ``seg_logits`` at the predicted class (of a head with one channel
    the sigmoid that mmsegmentation leaves there).

    Args:
        results_dir: Where to write ``metrics.json``, ``per_class.csv`` and ``per_image.npz``; None
            writes nothing.
        output_dir: Where to write the predicted class map of each image, as mmsegmentation's
            metrics do (``test.py --out``); None writes nothing.
        keep_results: Not used: mmsegmentation's ``test.py --out`` sets it.
        parts: Of :data:`mmseg_heritage.evaluation.store.PARTS`, what to count besides confusion.
            They take several times as long as the rest, which validation need not spend;
            ``test.py`` asks for all of them.
        per_class: Scores of each class to return, of
            :data:`mmseg_heritage.evaluation.summary.SCORES`. The table in the log has all.
        boundary_tolerance: Share of the image's diagonal within which a boundary is met.
        collect_device: See :class:`mmengine.evaluator.BaseMetric`.
        prefix: See :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        InputError: If a part or score is unknown, if a prediction does not fit its label, or if no
            image was tested.
    """

    default_prefix = ""  # bare keys; None would make mmengine warn

    def __init__(
        self,
        results_dir: str | None = None,
        output_dir: str | None = None,
        keep_results: bool = False,
        parts: Sequence[str] = (),
        per_class: Sequence[str] = SCORES,
        boundary_tolerance: float = TOLERANCE,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        problems = [f"parts: '{p}' is none of {', '.join(PARTS)}" for p in parts if p not in PARTS]
        problems += [
            f"per_class: '{s}' is none of {', '.join(SCORES)}" for s in per_class if s not in SCORES
        ]
        if not 0 < boundary_tolerance < 1:
            problems.append(
                f"boundary_tolerance={boundary_tolerance}: expected a share of the diagonal, "
                "between 0 and 1"
            )
        if problems:
            raise InputError("ConfusionMetric cannot be built", problems)
        self.results_dir = results_dir
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.parts = tuple(parts)
        self.per_class = tuple(per_class)
        self.boundary_tolerance = boundary_tolerance

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Counts one batch."""
        for sample in data_samples:
            self.results.append(self._count(sample))

    def _count(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Counts one image."""
        number = len(self.dataset_meta["classes"])
        name = sample.get("sample_id") or Path(sample["img_path"]).stem
        label, prediction = _ids(sample, "gt_sem_seg"), _ids(sample, "pred_sem_seg")
        found: dict[str, Any] = {
            "id": name,
            "path": sample.get("img_path", name),
            "group": sample.get("group"),
            "material": sample.get("material", ""),
            "content": sample.get("content", ""),
            "own_levels": dict(sample.get("levels", {})),
        }
        try:
            found["confusion"] = confusion_counts(label, prediction, number)
            found["own"] = {
                level: _own_counts(label, _ids(sample, f"pred_sem_seg_{level}"), grouping)
                for level, grouping in found["own_levels"].items()
            }
        except ValueError as error:
            raise InputError(
                f"image '{name}': the prediction cannot be compared with its label ({error}). The "
                "label must be loaded at the size of the photograph, and the model and the data "
                "set must have the same classes"
            ) from error
        # All ids are known to be below 256 now.
        label, prediction = (ids.astype(np.uint8, copy=False) for ids in (label, prediction))
        if self.output_dir is not None:
            file = self.output_dir / f"{id_of(Path(found['path']))}.png"
            palette = _palette(self.dataset_meta, number).tolist()
            write_class_map(file, prediction, palette, self.dataset_meta.get("mask_values"))
        if "boundary" in self.parts:
            tolerance = tolerance_pixels(label.shape, self.boundary_tolerance)
            found["boundary"] = boundary_counts(label, prediction, number, tolerance)
        if "skeleton" in self.parts:
            clean = clean_id(tuple(self.dataset_meta["classes"]))
            found["skeleton"] = skeleton_counts(label, prediction, number, clean)
        if "components" in self.parts:
            found["components"] = component_counts(label, prediction, number)
        if "calibration" in self.parts:
            found["calibration"] = _calibration(sample, label, prediction)
        return found

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Derives the scores from the counts of all images."""
        if not results:
            raise InputError("no image was tested, so that there is no score")
        counts = self._counts(results)
        metrics: dict[str, float] = dict(overall(counts))
        scores = class_scores(counts.confusion.sum(axis=0))
        for score in self.per_class:
            for name, value in zip(counts.classes, scores[score], strict=True):
                metrics[log_key(name, score)] = 100 * float(value)
        MMLogger.get_current_instance().info(
            "per class results:\n" + _table(counts.classes, scores)
        )
        MessageHub.get_current_instance().update_info(VALIDATION, scores_beside_clean(counts))
        if self.results_dir is not None and is_main_process():
            self._write(Path(self.results_dir), counts)
        return metrics

    def _counts(self, results: list[dict[str, Any]]) -> Counts:
        """Stacks the counts of the images, in order of their ids."""
        results = sorted(results, key=lambda image: image["id"])
        problems = [
            f"'{b['id']}': {a['path']} and {b['path']}"
            for a, b in pairwise(results)
            if a["id"] == b["id"]
        ]
        if problems:
            raise InputError(
                "two images have one id; give each its own 'sample_id' in the data set", problems
            )
        classes = tuple(self.dataset_meta["classes"])
        groups = [image["group"] for image in results]
        if None in groups:
            # An interval over images would be too narrow where a group has several.
            MMLogger.get_current_instance().warning(
                "the images do not say which source group they are of, and each counts as a group "
                "of its own; add 'group' to the meta_keys of PackSegInputs"
            )
        optional: dict[str, Any] = {
            part: np.stack([image[part] for image in results]) for part in self.parts
        }
        if "calibration" in self.parts and not optional["calibration"].any():
            MMLogger.get_current_instance().warning(
                "calibration is not counted: samples have neither 'confidence' nor 'seg_logits'; "
                "set model.inference.confidence=True"
            )
        if "boundary" in self.parts:
            optional["boundary_tolerance"] = self.boundary_tolerance
        if "components" in self.parts:
            optional["component_edges"] = np.array(SIZE_EDGES, dtype=np.int64)
        own_levels = results[0]["own_levels"]
        return Counts(
            classes=classes,
            palette=_palette(self.dataset_meta, len(classes)),
            ids=tuple(image["id"] for image in results),
            groups=tuple(image["group"] or image["id"] for image in results),
            materials=tuple(image["material"] for image in results),
            contents=tuple(image["content"] for image in results),
            confusion=np.stack([image["confusion"] for image in results]),
            levels=derived_levels(classes, self.dataset_meta.get("levels")),
            own_levels=own_levels,
            own={n: np.stack([image["own"][n] for image in results]) for n in own_levels},
            **optional,
        )

    def _write(self, folder: Path, counts: Counts) -> None:
        """Writes the counts, from which all else follows, and the scores."""
        save_counts(folder / COUNTS_FILE, counts)
        content = summarize(counts)
        write_per_class(folder / CLASSES_FILE, content)
        write_json(folder / METRICS_FILE, content)  # last: it says that the test is finished


def log_key(class_name: str, score: str = "iou") -> str:
    """Returns the key under which a score of a class is logged.

    mmengine logs a running mean for every key that contains 'loss', so that the class Material loss
    needs another spelling: ``IoU.Material Loss``.
    """
    prefix = "IoU" if score == "iou" else score.capitalize()
    return f"{prefix}.{class_name.replace('loss', 'Loss')}"


def _ids(sample: dict[str, Any], key: str) -> np.ndarray:
    """Returns a map of class ids, (H, W)."""
    data: torch.Tensor = sample[key]["data"]
    return data.reshape(data.shape[-2:]).cpu().numpy()


def _own_counts(label: np.ndarray, prediction: np.ndarray, level: Level) -> np.ndarray:
    """Counts the map that a model predicted for a level, in the form of a derived level's counts.

    See :func:`mmseg_heritage.evaluation.counts.confusion.level_counts`.
    """
    number = len(level.classes)
    prediction = np.where(prediction == IGNORE_INDEX, number, prediction)
    return confusion_counts(np.array(level.lookup())[label], prediction, number + 1)


def _calibration(sample: dict[str, Any], label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Counts the confidences of an image in strips of rows; zeros where the model gives none."""
    counts = np.zeros((BINS, 3))
    given = _ids(sample, "confidence") if "confidence" in sample else None
    if given is None and "seg_logits" not in sample:
        return counts
    rows = max(_ROWS // max(label.shape[1], 1), 1)
    for start in range(0, len(label), rows):
        strip = slice(start, start + rows)
        if given is not None:
            confidence = given[strip] / 255.0  # float32 would put bin edges into the next bin
        else:
            scores: torch.Tensor = sample["seg_logits"]["data"]
            chosen = torch.from_numpy(prediction[strip]).long()
            confidence = confidence_of(scores[:, strip], chosen.to(scores.device)).cpu().numpy()
        counts += calibration_counts(label[strip], prediction[strip], confidence)
    return counts


def confidence_of(scores: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Returns the probability of the chosen class.

    Args:
        scores: (C, H, W) logits; or (1, H, W) probabilities of class 1.
        chosen: int64 (H, W) class ids.

    Returns:
        float32 (H, W) in 0..1.
    """
    scores = scores.float()
    if len(scores) == 1:
        return torch.where(chosen == 1, scores[0], 1 - scores[0])
    return scores.softmax(dim=0).gather(0, chosen[None])[0].clamp(max=1)


def _palette(meta: dict[str, Any], number: int) -> np.ndarray:
    """Returns the colors of the classes, uint8 (C, 3); grays where the data set names none."""
    colors = meta.get("palette") or []
    if len(colors) != number:
        colors = [[round(255 * i / max(number - 1, 1))] * 3 for i in range(number)]
    return np.array(colors, dtype=np.uint8).reshape(number, 3)


def _table(classes: Sequence[str], scores: dict[str, np.ndarray]) -> str:
    """Lays the scores of each class out for the log, in percent."""
    header = ["class", "IoU", "F1", "precision", "recall", "accuracy", "true pixels"]
    rows = [
        [name, *(f"{100 * scores[key][i]:.2f}" for key in SCORES), int(scores["support"][i])]
        for i, name in enumerate(classes)
    ]
    return plain_table(header, rows)
