"""What an exported model says of itself: all that a prediction needs beside the network.

It stands as JSON in the file's ``metadata_props``. The file may come from anyone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.baseline import read_scores
from mmseg_heritage.inference.training_features import TrainingFeatures, read_training_features
from mmseg_heritage.inference.window_engine import WindowEngine
from mmseg_heritage.scores.class_calibration import ClassCalibration
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.scores.level_channels import MODES, LevelChannels
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX, KINDS, Level
from mmseg_heritage.utils.json_reading import form_problems, parse_json_text

KEY = "mmseg_heritage"
"""Key of the JSON in ``metadata_props``."""
SCHEMA = "mmseg_heritage/exported_model/2"
INPUT, OUTPUT, FEATURES = "windows", "probabilities", "features"
MOST_FEATURES = 2048
"""Features of which the spread is written: 21 MB."""
MOST_SIDE = 4096
"""Of a window in pixels, where a graph takes one size."""
_MOST_CLASSES = 254
_SETTINGS = ("mode", "crop", "overlap", "batch", "scales", "tta", "abstain_below")
_COLOR = [int]
_FORM: dict[str, Any] = {
    "schema": str, "version": str,
    "exported_from": {"name": str, "sha256": str},
    "classes": [str], "palette": [_COLOR], "mask_values": [int], "kinds": [str],
    "levels": {str: {"classes": [str], "colors": [_COLOR], "fine_to_group": [int]}},
    "level_mode": (None, str), "threshold": (None, float), "unit": int,
    "fixed_window": (None, {"side": int, "color": [int]}),
    "inference": {"mode": str, "crop": int, "overlap": float, "batch": (None, int),
                  "scales": [(str, float)], "tta": [str], "abstain_below": float},
    "calibration": (None, {"temperature": float, "scale": [float], "bias": [float]}),
    "training_features": (None, {"mean": [float], "precision": str, "threshold": float,
                                 "false_alarm_rate": float, "images": int, "held_out": int}),
    "validation": {"overall": {str: float}, "all_clean": {str: float}, "never_found": [str]},
    "licenses": {"weights": (None, str), "data": (None, str)},
}  # fmt: skip


@dataclass(frozen=True)
class FixedWindow:
    """The only size of windows that a graph takes.

    Attributes:
        side: Its height and width in pixels.
        color: Red, green and blue that smaller windows are filled up with, at the bottom and the
            right: what the network takes for 0.
    """

    side: int
    color: tuple[int, ...]


@dataclass(frozen=True)
class ExportedModel:
    """What is known of an exported network.

    Attributes:
        classes: Names of the classes.
        palette: Color of each.
        mask_values: Value of each in masks.
        kinds: What each is measured by.
        levels: Name of each level above the classes -> its groups.
        level_mode: See :class:`~mmseg_heritage.scores.level_channels.LevelChannels`; None without
            levels.
        threshold: Of a head with one channel; None of others.
        unit: Sides of windows are multiples of it.
        fixed_window: Where the graph takes windows of one size only; None if of any.
        engine: How the network is applied.
        calibration: Arguments of :class:`ClassCalibration`, or None.
        training_features: What tells photographs from those of the training, or None.
        validation: See :func:`mmseg_heritage.evaluation.baseline.scores_beside_clean`.
        origin: Name and SHA-256 of the checkpoint.
        licenses: Of the 'weights' and the 'data', as whoever exported has stated them, or None.
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, ...], ...]
    mask_values: tuple[int, ...]
    kinds: tuple[str, ...]
    levels: Mapping[str, Level]
    level_mode: str | None
    threshold: float | None
    unit: int
    fixed_window: FixedWindow | None
    engine: WindowEngine
    calibration: Mapping[str, Any] | None
    training_features: TrainingFeatures | None
    validation: Mapping[str, Any]
    origin: Mapping[str, str]
    licenses: Mapping[str, str | None]

    def head(self) -> HeadScores:
        """Returns what reads the network's probabilities."""
        found = SimpleNamespace(out_channels=2)
        if self.level_mode is not None:
            found.scores = LevelChannels(self.levels, len(self.classes), self.level_mode)
        if self.threshold is not None:
            found.out_channels, found.threshold = 1, self.threshold
        if self.calibration is not None:
            found.calibration = ClassCalibration(len(self.classes), **self.calibration)
        return HeadScores(found)

    @property
    def channels(self) -> int:
        """Number of channels of the probabilities."""
        return len(self.classes) + sum(len(level.classes) for level in self.levels.values())

    def with_inference(self, options: Mapping[str, Any]) -> ExportedModel:
        """Returns the model with other arguments of :class:`WindowEngine`.

        Raises:
            InputError: If they, or the graph, do not allow them.
        """
        engine = WindowEngine(**{**_settings(self.engine), **options})
        cut, exported = ((e.mode, e.crop) for e in (engine, self.engine))
        if self.fixed_window is not None and cut != exported:
            side = self.fixed_window.side
            raise InputError(
                f"inference.mode={engine.mode}, crop={engine.crop}: this network takes windows of "
                f"{side} x {side} px, and no others; export the checkpoint with another "
                "--inference crop="
            )
        return replace(self, engine=engine)

    def content(self, version: str) -> dict[str, Any]:
        """Returns the content of the JSON, see :func:`read_exported`."""
        return {
            "schema": SCHEMA,
            "version": version,
            "exported_from": dict(self.origin),
            "classes": list(self.classes),
            "palette": [list(color) for color in self.palette],
            "mask_values": list(self.mask_values),
            "kinds": list(self.kinds),
            "levels": {
                name: {"classes": list(level.classes), "colors": [list(c) for c in level.colors],
                       "fine_to_group": list(level.fine_to_group)}
                for name, level in self.levels.items()
            },
            "level_mode": self.level_mode,
            "threshold": self.threshold,
            "unit": self.unit,
            "fixed_window": None if self.fixed_window is None else {
                "side": self.fixed_window.side, "color": list(self.fixed_window.color),
            },
            "inference": _settings(self.engine),
            "calibration": None if self.calibration is None else dict(self.calibration),
            "training_features": _packed(self.training_features),
            "validation": dict(self.validation),
            "licenses": dict(self.licenses),
        }  # fmt: skip


def _settings(engine: WindowEngine) -> dict[str, Any]:
    values = {name: getattr(engine, name) for name in _SETTINGS}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def _packed(features: TrainingFeatures | None) -> dict[str, Any] | None:
    """Returns training features for JSON; of the symmetric matrix its upper half, float64."""
    if features is None:
        return None
    upper = features.precision[np.triu_indices(len(features.mean))].astype("<f8")
    packed = base64.b64encode(upper.tobytes()).decode("ascii")
    return {**features.content(), "mean": features.mean.tolist(), "precision": packed}


def _unpacked(content: Mapping[str, Any] | None, origin: str) -> TrainingFeatures | None:
    if content is None:
        return None
    size = len(content.get("mean", ()))
    try:
        data = base64.b64decode(content["precision"], validate=True)
        if size > MOST_FEATURES or len(data) != 8 * (size * (size + 1) // 2):
            raise ValueError
    except (KeyError, ValueError) as error:
        raise InputError(f"{origin}: what it says of its training images is damaged") from error
    precision = np.zeros((size, size))
    precision[np.triu_indices(size)] = np.frombuffer(data, "<f8")
    precision += np.triu(precision, 1).T
    return read_training_features({**content, "precision": precision}, origin)


def read_exported(text: str, origin: str) -> ExportedModel:
    """Reads what :meth:`ExportedModel.content` gave, as JSON.

    Args:
        text: The JSON.
        origin: Where it was read from, for messages.

    Raises:
        InputError: With all that is wrong with it.
    """
    try:
        content = parse_json_text(text)
    except ValueError as error:
        raise InputError(f"{origin}: what it says of itself is no JSON ({error})") from error
    problems = list(form_problems(content, _FORM, "metadata"))
    if not problems:
        problems = [f"metadata.{name} is missing" for name in _FORM if name not in content]
    if not problems and content["schema"] != SCHEMA:
        problems = [f"metadata.schema: expected {SCHEMA}, found {content['schema'][:80]!r}"]
    if not problems:
        problems = [*_class_problems(content), *_level_problems(content), *_other_problems(content)]
    if problems:
        raise InputError(f"{origin}: cannot be used; export the checkpoint again", problems)
    threshold, fixed = content["threshold"], content["fixed_window"]
    return ExportedModel(
        tuple(content["classes"]),
        tuple(tuple(color) for color in content["palette"]),
        tuple(content["mask_values"]),
        tuple(content["kinds"]),
        {
            name: Level(
                tuple(level["classes"]),
                tuple(tuple(color) for color in level["colors"]),
                tuple(level["fine_to_group"]),
            )
            for name, level in content["levels"].items()
        },
        content["level_mode"],
        None if threshold is None else float(threshold),
        content["unit"],
        None if fixed is None else FixedWindow(fixed["side"], tuple(fixed["color"])),
        WindowEngine(**content["inference"]),
        content["calibration"],
        _unpacked(content["training_features"], origin),
        read_scores(content["validation"]),
        content["exported_from"],
        content["licenses"],
    )


def _class_problems(content: Mapping[str, Any]) -> list[str]:
    classes, values = content["classes"], content["mask_values"]
    count, problems = len(classes), []
    if not 2 <= count <= _MOST_CLASSES or len(set(classes)) != count or not all(classes):
        problems.append(f"classes: expected 2 to {_MOST_CLASSES} different names")
    if not _are_colors(content["palette"], count):
        problems.append("palette: expected [red, green, blue], 0 to 255, for each class")
    if len(values) != count or len(set(values)) != count or not all(0 <= v <= 255 for v in values):
        problems.append("mask_values: expected a number from 0 to 255 for each class, each once")
    if len(content["kinds"]) != count or not set(content["kinds"]) <= set(KINDS):
        problems.append(f"kinds: expected one of {', '.join(KINDS)} for each class")
    return problems


def _level_problems(content: Mapping[str, Any]) -> list[str]:
    problems = []
    if bool(content["levels"]) != (content["level_mode"] in MODES):
        problems.append(f"level_mode: expected one of {', '.join(MODES)} where there are levels")
    for name, level in content["levels"].items():
        groups, of_class = level.get("classes", []), level.get("fine_to_group", [])
        fits = name.isidentifier() and name != FINE_LEVEL and 0 < len(groups) <= _MOST_CLASSES
        fits = fits and len(of_class) == len(content["classes"])
        if not fits or set(of_class) - {IGNORE_INDEX} != set(range(len(groups))):
            problems.append(f"levels.{name[:40]!r}: expected the group of each class, or 255")
        elif not _are_colors(level.get("colors", []), len(groups)):
            problems.append(f"levels.{name}: expected a color for each group")
    return problems


def _other_problems(content: Mapping[str, Any]) -> list[str]:
    problems = []
    threshold = content["threshold"]
    if threshold is not None and (not 0 < threshold < 1 or len(content["classes"]) != 2):
        problems.append("threshold: expected a number between 0 and 1, of two classes")
    if not 1 <= content["unit"] <= 256:
        problems.append("unit: expected 1 to 256")
    problems += _window_problems(content)
    if {"name", "sha256"} - content["exported_from"].keys():
        problems.append("exported_from: expected name and sha256")
    if set(_SETTINGS) != content["inference"].keys():
        problems.append(f"inference: expected {', '.join(_SETTINGS)}")
    else:
        problems += _refused(lambda: WindowEngine(**content["inference"]))
    if (calibration := content["calibration"]) is not None:
        problems += _refused(lambda: ClassCalibration(len(content["classes"]), **calibration))
    return problems


def _window_problems(content: Mapping[str, Any]) -> list[str]:
    fixed = content["fixed_window"]
    if fixed is None:
        return []
    if {"side", "color"} - fixed.keys() or not _are_colors([fixed["color"]], 1):
        return ["fixed_window: expected side and color, [red, green, blue], 0 to 255"]
    side, inference = fixed["side"], content["inference"]
    if not 1 <= side <= MOST_SIDE or side % max(content["unit"], 1):
        return [f"fixed_window.side: expected a multiple of unit, up to {MOST_SIDE}"]
    if inference.get("mode") != "window" or inference.get("crop", 0) > side:
        return ["fixed_window: expected inference.mode=window, and a crop of at most its side"]
    if content["training_features"] is not None:
        return ["training_features: are of whole photographs, so not beside a fixed_window"]
    return []


def _refused(make: Any) -> list[str]:
    try:
        make()
    except InputError as error:
        return [error.summary, *error.problems]
    except TypeError as error:
        return [str(error)]
    return []


def _are_colors(colors: Any, count: int) -> bool:
    return len(colors) == count and all(
        len(color) == 3 and all(0 <= part <= 255 for part in color) for color in colors
    )
