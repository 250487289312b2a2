"""Holding a test against the run that its checkpoint comes from, as that run's folder tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import split_units
from mmseg_heritage.dataprep.splits.split import SPLIT_FILE, Split, load_split
from mmseg_heritage.engine.launch import without_sync_bn
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.resume import differences

# What only matters while a model is trained, at any depth of its config.
_OF_TRAINING = frozenset({
    "loss_decode", "level_losses", "level_weights", "consistency_weight", "dropout_ratio",
    "drop_path_rate", "drop_path", "init_cfg", "pretrained", "checkpoint_path", "with_cp",
    "frozen_stages", "norm_eval", "auxiliary_head", "train_cfg", "test_cfg", "inference", "size",
})  # fmt: skip


def check_same_model(cfg: Config, trained: Config, checkpoint: str | Path) -> None:
    """Refuses a config that describes another model than a checkpoint was trained as.

    Weights alone do not tell: the modes of a hierarchical head have the same ones.

    Args:
        cfg: The config to test or predict with.
        trained: The config inside the checkpoint.
        checkpoint: Checkpoint file.

    Raises:
        InputError: With every difference that changes predictions.
    """
    old, new = (
        without_sync_bn(json.loads(json.dumps(config.model.to_dict(), default=str)))
        for config in (trained, cfg)
    )
    problems = list(differences(old, new, "model", _OF_TRAINING))
    if problems:
        raise InputError(
            f"{checkpoint}: was trained as another model than the config describes. Give the "
            "checkpoint alone, which holds its config, or the options of the training",
            problems,
        )


def _copy_in(folder: Path) -> str:
    """Returns where a run has left its config, as an insertion; nothing where that is unclear."""
    copies = list(folder.glob("*.py"))
    return f", {copies[0]}" if len(copies) == 1 else ""


def seen_images(
    samples: Iterable[Sample], tested: Iterable[str], checkpoint: str | Path
) -> dict[str, list[str]] | None:
    """Returns which tested images the run of a checkpoint has seen, by its part.

    An image counts as seen if any image of the same source object or of its near-duplicates was.

    Args:
        samples: All samples of the data set.
        tested: Ids of those that are tested.
        checkpoint: Checkpoint file.

    Returns:
        Sorted ids for 'train' and 'val'; None where no ``split.json`` lies beside the checkpoint.

    Raises:
        InputError: If that file was changed by hand.
    """
    path = Path(checkpoint).expanduser().parent / SPLIT_FILE
    if not path.is_file():
        return None
    split, wanted = load_split(path), set(tested)
    seen: dict[str, list[str]] = {}
    units = [{s.id for s in u} for u in split_units(list(samples), split.near_duplicates)]
    for part in ("train", "val"):
        used = set(split.parts.get(part, ()))
        seen[part] = sorted(id for unit in units if unit & used for id in unit & wanted)
    return seen


def check_unseen(
    seen: Mapping[str, list[str]] | None, split: Split, checkpoint: str | Path
) -> None:
    """Refuses to score images that a model was trained on or chosen by.

    Args:
        seen: From :func:`seen_images`.
        split: Of the test.
        checkpoint: Checkpoint file.

    Raises:
        InputError: With the number of images and some ids for each part.
    """
    words = {"train": "trained on", "val": "used to choose the checkpoint"}
    problems = [
        f"{len(ids)} {words[part]}, such as {', '.join(ids[:3])}"
        for part, ids in (seen or {}).items()
        if ids
    ]
    if not problems:
        return
    folder = Path(checkpoint).expanduser().parent
    raise InputError(
        f"split '{split.name}' tests images that the run of {checkpoint} has seen "
        f"({folder / SPLIT_FILE}). Test with the split of the run: give the config as it was run"
        f"{_copy_in(folder)}, or split_file=FILE. If these are other images of the same names, or "
        "scores on seen images are wanted, add --allow-seen",
        problems,
    )


def check_same_classes(
    trained: Mapping[str, Any], classes: Sequence[str], checkpoint: str | Path
) -> None:
    """Refuses a checkpoint of as many classes, but other ones, than a data set has.

    Args:
        trained: What the training data said of itself (``dataset_meta`` of the checkpoint).
        classes: Of the data set.
        checkpoint: Checkpoint file.

    Raises:
        InputError: With every id that means another class.
    """
    of_run = trained.get("classes")
    if of_run is None or list(of_run) == list(classes):
        return
    problems = [
        f"id {i}: '{old}' in the checkpoint, '{new}' in the data set"
        for i, (old, new) in enumerate(zip_longest(of_run, classes))
        if old != new
    ]
    raise InputError(
        f"{checkpoint}: was trained on other classes than the data set has; give the checkpoint "
        "alone, which holds its config, or the data it was trained on",
        problems,
    )
