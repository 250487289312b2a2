"""What a test writes: metrics.json and per_class.csv, derived from the counts of its images.

Needs no torch, so that scores can be derived again, compared and drawn without a model.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.bootstrap import DEFINITIONS as INTERVAL_DEFINITIONS
from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.counts.boundary import TOLERANCE, boundary_scores
from mmseg_heritage.evaluation.counts.calibration import calibration_error
from mmseg_heritage.evaluation.counts.components import FOUND_SHARE
from mmseg_heritage.evaluation.counts.confusion import (
    all_clean,
    class_scores,
    level_counts,
    mean_over_present,
    pixel_accuracy,
)
from mmseg_heritage.evaluation.counts.skeleton import skeleton_scores
from mmseg_heritage.evaluation.means import (
    all_means,
    confidence_intervals,
    damage_classes,
    image_scores,
    pooled_means,
    support,
    worst_images,
)
from mmseg_heritage.evaluation.store import PARTS, Counts
from mmseg_heritage.taxonomy import CLEAN, FINE_LEVEL
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.json_reading import form_problems, parse_json

SCHEMA = "mmseg_heritage/metrics/3"
METRICS_FILE = "metrics.json"
COUNTS_FILE = "per_image.npz"
CLASSES_FILE = "per_class.csv"

SCORES = ("iou", "f1", "precision", "recall", "accuracy")
"""Of a class, as :func:`mmseg_heritage.evaluation.counts.confusion.class_scores` names them."""

DEFINITIONS = {
    "unit": "percent",
    "255": "pixels labeled 255 are left out of everything",
    "pooled": "TP, FP, FN, TN of a class are added up over all images before a score is taken",
    "iou": "TP / (TP + FP + FN)",
    "f1": "2 TP / (2 TP + FP + FN)",
    "precision": "TP / (TP + FP)",
    "recall": "TP / (TP + FN)",
    "accuracy": "(TP + TN) / (TP + TN + FP + FN)",
    "image_iou": "mean of the IoU in each image that has the class in its truth or its prediction",
    "mIoU": "mean IoU over the classes present in truth or prediction; a class that is never found "
    "counts 0, a class absent from both is left out (classes_in_mean)",
    "mF1, mPrecision, mRecall": "the same mean of F1, precision, recall; recall is undefined for a "
    "class without true pixels, which its mean leaves out",
    "aAcc": "share of right pixels",
    "damage_classes_mIoU": "mIoU over the classes other than Clean and Background",
    "supported_mIoU": f"mIoU over the classes that {MIN_GROUPS} source groups or more show in "
    "their truth",
    "damage_IoU": "IoU of Damage after merging all classes but Clean",
    "binary_mIoU": "mean IoU of Clean and Damage",
    "coarse_mIoU": "mean IoU of the groups of damage after merging classes, over pixels that are "
    "damaged; Clean predicted there is a miss",
    "<level>_head_mIoU": "the same means of the maps that a hierarchical model's own head of that "
    "level predicts, rather than of its classes",
    "image_mIoU": "of each image the mean IoU over the classes in its truth or its prediction; "
    "their mean over images",
    "worst_decile_mIoU": "of n images the mean over the ceil(n / 10) with the lowest of these",
    "boundary": "a boundary pixel has one of its four neighbors in another class, and none "
    "labeled 255; it is matched if a boundary pixel of its class in the other map is no farther "
    f"than the tolerance, a share of the image's diagonal ({TOLERANCE:g} unless said otherwise). "
    "precision: matched share of predicted ones; recall: of true ones; f1: 2 P R / (P + R)",
    "boundary_mF1": "mean boundary F1 over the classes that have a boundary in truth or prediction",
    "skeleton": "center lines one pixel wide of the regions of a class other than Clean (Lee et "
    "al. 1994, by scikit-image); precision: share of the predicted ones that is on the class in "
    "the truth; recall: of the true ones on the class in the prediction; cldice: 2 P R / (P + R) "
    "(Shit et al. 2021); width_px: true pixels of the class for each of its true center lines",
    "mclDice": "mean clDice over the classes other than Clean in truth or prediction",
    "components": "connected regions of a class in the truth (8 neighbors), by their size in "
    f"pixels; found: at least {100 * FOUND_SHARE:g} % of the pixels are predicted as the class",
    "ECE": "expected calibration error: over bins of equal width of the confidence (probability of "
    "the predicted class) the sum of |share right - mean confidence| times the share of pixels",
    "all_clean": "the same scores for predicting Clean everywhere",
    "intervals": INTERVAL_DEFINITIONS,
}


# What a test says of itself, see mmseg_heritage.runs.provenance.run_stamp.
_NUMBER = (float, None)
_RUN = {
    **dict.fromkeys(("config", "experiment", "checkpoint", "checkpoint_sha256", "data_root"),
                    (str, None)),
    **dict.fromkeys(("seed", "parameters", "processes"), (int, None)),
    "split": ({"name": str, "sha256": str, "part": str}, None),
    "model": ({str: (int, None)}, None),
    "inference": ({"mode": str, "crop": int, "overlap": float, "scales": [(str, float)],
                   "tta": [str]}, None),
    "device": ({"type": str, "name": str, "threads": int}, None),
    "git": ({"commit": str, "changed": bool}, None),
    "versions": ({str: str}, None),
    "seen_images": ({str: int}, None),
    "time": ({"protocol": str, **dict.fromkeys(
        ("images", "warm_up_images", "model_ms", "waiting_ms", "whole_ms", "model_ms_median",
         "images_per_second", "peak_memory_bytes"), _NUMBER)}, None),
}  # fmt: skip


def summarize(counts: Counts) -> dict[str, Any]:
    """Derives everything that ``metrics.json`` says of a test, but how it was run.

    Args:
        counts: Counts of one image or more.

    Returns:
        Content for JSON; scores in percent, None where undefined.
    """
    per_image = image_scores(counts.confusion)
    worst = worst_images(per_image)
    means = overall(counts)
    content = {
        "schema": SCHEMA,
        "definitions": DEFINITIONS,
        "images": len(counts.ids),
        "source_groups": len(set(counts.groups)),
        "classes": counts.classes,
        "overall": means,
        "all_clean": overall(_all_clean(counts)) if CLEAN in counts.classes else None,
        "levels": _levels(counts),
        "image_mean": {"mIoU": means["image_mIoU"], "images": int((~np.isnan(per_image)).sum())},
        "worst_decile": {
            "mIoU": means["worst_decile_mIoU"],
            "images": {counts.ids[i]: per_image[i] for i in worst},
        },
        "boundary": _boundary(counts) if counts.has("boundary") else None,
        "skeleton": _skeleton(counts) if counts.has("skeleton") else None,
        "components": _components(counts) if counts.has("components") else None,
        "calibration": _calibration(counts) if counts.has("calibration") else None,
        "by_material": _by(counts, counts.materials),
        "by_content": _by(counts, counts.contents),
        "intervals": confidence_intervals(counts),
    }
    return plain(content)


def overall(counts: Counts) -> dict[str, float]:
    """Returns every mean in percent, NaN where undefined, and how many classes mIoU is over."""
    means = {key: float(values[0]) for key, values in all_means(counts).items()}
    iou = class_scores(counts.confusion.sum(axis=0))["iou"]
    return {**means, "classes_in_mean": int(mean_over_present(iou)[1])}


def write_per_class(path: str | Path, content: Mapping[str, Any]) -> None:
    """Writes the scores of every class and group as a table, replacing ``path`` in one step.

    Args:
        path: CSV file in UTF-8.
        content: Content of ``metrics.json``.
    """
    support_of = ("support_pixels", "images", "source_groups")
    header = ["level", "class", *support_of, *SCORES, "image_iou", "iou_low", "iou_high",
              "boundary_f1", "cldice", "skeleton_recall"]  # fmt: skip
    boundary = (content["boundary"] or {}).get("per_class", {})
    lines = (content["skeleton"] or {}).get("per_class", {})
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for level, report in content["levels"].items():
            fine = level == FINE_LEVEL
            for name, row in report["per_class"].items():
                key = f"IoU.{name}" if fine else f"{level}.IoU.{name}"
                interval = content["intervals"].get(key, {})
                values = [row[key] for key in (*support_of, *SCORES, "image_iou")]
                values += [interval.get("low"), interval.get("high")]
                values.append(boundary.get(name, {}).get("f1") if fine else None)
                of_lines = lines.get(name, {}) if fine else {}
                values += [of_lines.get("cldice"), of_lines.get("recall")]
                writer.writerow([level, name, *("" if v is None else v for v in values)])


def load_metrics(path: str | Path) -> dict[str, Any]:
    """Reads a ``metrics.json``.

    What it says of the test (``run``) is verified in its form. Its scores follow from the counts
    beside it: who shows those of files from others derives them again, by :func:`summarize`.

    Raises:
        InputError: If there is no such file, if it was written by another version, or if it is
            damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; test.py writes it")
    again = "test the checkpoint again with --overwrite"
    try:
        content = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected scores in JSON ({error}); {again}") from error
    schema = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if schema != SCHEMA:
        raise InputError(f"{path}: expected the schema {SCHEMA}, found {schema}; {again}")
    if problems := list(form_problems(content.get("run"), (_RUN, None), "run")):
        raise InputError(f"{path}: is damaged; {again}", problems)
    return content


def plain(content: Any) -> Any:
    """Returns content for JSON: Python's own types, None for NaN."""
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple, np.ndarray)):
        return [plain(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    return None if isinstance(content, float) and np.isnan(content) else content


def _all_clean(counts: Counts) -> Counts:
    """Returns what predicting Clean everywhere would have counted, without boundaries and the like.

    What was not counted stays out of the means.
    """
    baseline = all_clean(counts.confusion, counts.classes.index(CLEAN))
    empty: dict[str, Any] = dict.fromkeys(PARTS, np.zeros(0))
    return replace(counts, confusion=baseline, own={}, **empty)


def _levels(counts: Counts) -> dict[str, Any]:
    """Returns the report of the classes, of the levels above, and of a model's own heads."""
    reports = {FINE_LEVEL: _report(counts.confusion, counts.classes, counts.groups)}
    for name, level in counts.levels.items():
        merged = level_counts(counts.confusion, level.fine_to_group, len(level.classes))
        reports[name] = _report(merged, level.classes, counts.groups)
    for name, level in counts.own_levels.items():
        reports[f"{name}_head"] = _report(counts.own[name], level.classes, counts.groups)
    return reports


def _report(confusion: np.ndarray, names: Sequence[str], groups: Sequence[str]) -> dict[str, Any]:
    """Returns the scores of each class, and their means.

    Args:
        confusion: int64 (N, C, C), or of a level (N, C + 1, C + 1), whose last column are misses.
        names: Of the C classes.
        groups: Source group of each image.
    """
    pooled = confusion.sum(axis=0)
    scores = {key: class_scores(pooled)[key][: len(names)] for key in SCORES}
    shown = support(confusion, groups)
    of_images = mean_over_present(class_scores(confusion)["iou"].T)[0]
    enough = shown["groups"][: len(names)] >= MIN_GROUPS
    per_class = {
        name: {
            "support_pixels": shown["support_pixels"][i],
            "images": shown["images"][i],
            "source_groups": shown["groups"][i],
            **{key: 100 * values[i] for key, values in scores.items()},
            "image_iou": 100 * of_images[i],
            "supported": bool(enough[i]),
        }
        for i, name in enumerate(names)
    }
    everything = np.ones(len(names), dtype=bool)
    chosen = {"present": everything, "damage": damage_classes(names), "supported": enough}
    return {
        "per_class": per_class,
        "means": {
            over: {
                **{key: 100 * mean_over_present(values[mask])[0] for key, values in scores.items()},
                "classes": mean_over_present(scores["iou"][mask])[1],
            }
            for over, mask in chosen.items()
        },
        "aAcc": 100 * pixel_accuracy(pooled),
    }


def _boundary(counts: Counts) -> dict[str, Any]:
    """Returns the scores of each class's boundary."""
    pooled = counts.boundary.sum(axis=0)
    scores = boundary_scores(pooled)
    return {
        "tolerance_of_diagonal": counts.boundary_tolerance,
        "mF1": 100 * mean_over_present(scores["f1"])[0],
        "classes": mean_over_present(scores["f1"])[1],
        "per_class": {
            name: {
                **{key: 100 * values[i] for key, values in scores.items()},
                "predicted_pixels": pooled[i, 0],
                "true_pixels": pooled[i, 2],
            }
            for i, name in enumerate(counts.classes)
        },
    }


def _skeleton(counts: Counts) -> dict[str, Any]:
    """Returns the scores of each class's center lines, and how wide it is."""
    pooled = counts.skeleton.sum(axis=0)
    scores = skeleton_scores(pooled)
    areas = counts.confusion.sum(axis=(0, 2))
    return {
        "mclDice": 100 * mean_over_present(scores["cldice"])[0],
        "classes": mean_over_present(scores["cldice"])[1],
        "per_class": {
            name: {
                **{key: 100 * values[i] for key, values in scores.items()},
                "width_px": areas[i] / pooled[i, 2] if pooled[i, 2] else None,
                "predicted_pixels": pooled[i, 0],
                "true_pixels": pooled[i, 2],
            }
            for i, name in enumerate(counts.classes)
            if name != CLEAN
        },
    }


def _components(counts: Counts) -> dict[str, Any]:
    """Returns how many components are found by size, of each class and of all damage."""
    pooled = counts.components.sum(axis=0)
    edges = counts.component_edges
    last = np.iinfo(np.int64).max

    def bins(found: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "from": edges[i],
                "below": None if edges[i + 1] == last else edges[i + 1],
                "components": number,
                "found": hits,
                "recall": 100 * hits / number if number else None,
            }
            for i, (number, hits) in enumerate(found)
        ]

    return {
        "found_share": FOUND_SHARE,
        "damage": bins(pooled[damage_classes(counts.classes)].sum(axis=0)),
        "per_class": {name: bins(pooled[i]) for i, name in enumerate(counts.classes)},
    }


def _calibration(counts: Counts) -> dict[str, Any]:
    """Returns the calibration error, and what a reliability diagram shows."""
    pooled = counts.calibration.sum(axis=0)
    bins = len(pooled)
    return {
        "ECE": 100 * calibration_error(pooled),
        "images": int(counts.calibration.any(axis=(1, 2)).sum()),
        "bins": [
            {
                "above": 100 * k / bins,
                "up_to": 100 * (k + 1) / bins,
                "pixels": int(pixels),
                "confidence": 100 * sure / pixels if pixels else None,
                "accuracy": 100 * right / pixels if pixels else None,
            }
            for k, (pixels, sure, right) in enumerate(pooled)
        ],
    }


def _by(counts: Counts, values: Sequence[str]) -> dict[str, Any]:
    """Returns the pooled scores of the images of each value; nothing where no value is known."""
    if not any(values):
        return {}
    found = {}
    for value in sorted(set(values)):
        chosen = counts.select(np.array([v == value for v in values]))
        pooled = chosen.confusion.sum(axis=0)
        iou = class_scores(pooled)["iou"]
        found[value or "unknown"] = {
            "images": len(chosen.ids),
            "source_groups": len(set(chosen.groups)),
            **pooled_means(pooled, counts.classes, counts.levels),
            "per_class_iou": {name: 100 * iou[i] for i, name in enumerate(counts.classes)},
        }
    return found
