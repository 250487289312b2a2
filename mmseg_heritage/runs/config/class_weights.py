"""Class weights in a config: numbers, whatever they were given as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from mmseg_heritage.dataprep.splits.split import Split
from mmseg_heritage.dataprep.weights.weight_formulas import WeightFile, read_weight_file
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.variables import find_dicts, heads

FIELD = "class_weights_file"
"""Top-level field that says where the weights of the losses came from."""


def weights_as_numbers(cfg: Any) -> None:
    """Puts the numbers of weight files in the place of their paths.

    A checkpoint holds its config, and a training that is resumed compares it: both need what was
    trained with, not a file that may be edited or gone. The file is recorded in :data:`FIELD` with
    its SHA-256 and the split it was counted on.

    Args:
        cfg: The config, changed in place.

    Raises:
        InputError: If a file is missing or holds no weights.
    """
    read: dict[str, list[float]] = {}
    for head in heads(cfg).values():
        for loss in find_dicts(head, has="class_weight"):
            source = loss["class_weight"]
            if not isinstance(source, str):
                continue
            if source not in read:
                file = read_weight_file(source)
                read[source] = file.weights
                cfg[FIELD] = _record(Path(source).expanduser(), file)
            loss["class_weight"] = list(read[source])
    if len(read) > 1:
        raise InputError(
            "the losses of this config take their class weights from different files; give one",
            sorted(read),
        )


def check_weights(cfg: Any, split: Split) -> None:
    """Refuses weights of a file that says it was counted on another split.

    It may have counted what is now tested. Lists, and files that do not say it, are the user's.

    Args:
        cfg: A config that :func:`weights_as_numbers` has seen.
        split: What is trained on.

    Raises:
        InputError: If the file's hash of the split is not that of ``split``.
    """
    record = cfg.get(FIELD) or {}
    counted = record.get("split") or {}
    if not counted or counted.get("sha256") == split.digest():
        return
    name = counted.get("name")
    now = (
        "but the run's split of this name has other parts: made again, or of other folds"
        if name == split.name
        else f"but the run uses split '{split.name}', whose parts are others"
    )
    raise InputError(
        f"{record['path']}: these class weights were counted on the training part of split "
        f"'{name}', {now}. Count them again: class_weights.py --split-file with the run's "
        "split_file"
    )


def _record(path: Path, file: WeightFile) -> ConfigDict:
    """Returns what a config keeps of a file of weights."""
    counted = file.details.get("split")
    split = None
    if isinstance(counted, dict):
        split = {key: counted.get(key) for key in ("name", "sha256")}
    return ConfigDict(path=str(path.resolve()), sha256=file.sha256, split=split)
