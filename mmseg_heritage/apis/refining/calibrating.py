"""Making a checkpoint as sure as it is right, and letting it tell photographs of another kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS
from torch import Tensor

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.refining.new_checkpoint import (
    check_new_file,
    new_content,
    save_checkpoint,
)
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.confidence_scores import DEFINITIONS, confidence_scores
from mmseg_heritage.images.inputs import as_rgb
from mmseg_heritage.inference.fit_calibration import METHODS, TEMPERATURE, cross_fitted, fit
from mmseg_heritage.inference.held_out_pixels import HeldOutPixels, held_out_pixels
from mmseg_heritage.inference.predictor import BasePredictor
from mmseg_heritage.inference.training_features import (
    FALSE_ALARMS,
    FEW,
    KEY,
    TrainingFeatures,
    training_features,
)
from mmseg_heritage.models.segmentors import HeritageEncoderDecoder
from mmseg_heritage.runs.build import config_errors
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.runs.load_predictor import load_predictor
from mmseg_heritage.runs.origin import check_same_classes, seen_images
from mmseg_heritage.runs.prepare import check_data
from mmseg_heritage.runs.trained_run import TrainedRun, read_trained_run
from mmseg_heritage.scores.class_calibration import ClassCalibration
from mmseg_heritage.utils.files import sha256, write_json, writing_together
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.figures.calibration_figure import plot_calibration

SCHEMA = "mmseg_heritage/calibration/1"
HELD_OUT = "val"
_FOLDS = 5
_MOST_TRAINING_IMAGES = 500  # whose features are compared


@dataclass(frozen=True)
class Calibrated:
    """What :func:`calibrate` has written.

    Attributes:
        checkpoint: The new checkpoint.
        report: JSON file with all scores.
        figure: Picture of the calibration and of risk over coverage.
        content: Content of the JSON file.
    """

    checkpoint: Path
    report: Path
    figure: Path
    content: Mapping[str, Any]


def calibrate(
    checkpoint: str | Path,
    out: str | Path | None = None,
    method: str = TEMPERATURE,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    false_alarms: float = FALSE_ALARMS,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
) -> Calibrated:
    """Fits the probabilities of a model to its validation images, and writes a new checkpoint.

    The images are those of the part 'val' of the split that the checkpoint was trained with; they
    are predicted whole, as ``predict`` does. Beside the probabilities, the features of training and
    validation images are compared, by which ``predict`` tells photographs of another kind.

    Args:
        checkpoint: Checkpoint file of a :class:`HeritageEncoderDecoder`.
        out: The new file; ``<name>_calibrated.pth`` beside the checkpoint if None. A JSON file and
            a picture of the same name are written beside it.
        method: 'temperature', which changes no class, or 'vector', a weight and a bias for each
            class.
        device: As in :class:`mmseg_heritage.Predictor`.
        cfg_options: Dotted key -> value, such as ``{'data_root': FOLDER}`` where the data
            has moved.
        false_alarms: Share of photographs like the validation images that is to be flagged as
            unlike them, above 0 and below 1.
        overwrite: Allows replacing files that are there.
        trust_checkpoint: Lets the checkpoint run code.

    Raises:
        InputError: If the checkpoint or the data cannot be used, if the model was trained on
            validation images, or if files are already there.
    """
    if method not in METHODS:
        raise InputError(f"--method {method}: expected {' or '.join(METHODS)}")
    if not 0 < false_alarms < 1:
        raise InputError(f"--false-alarms {false_alarms}: expected a share above 0, below 1")
    old = Path(checkpoint).expanduser()
    new = Path(out).expanduser() if out else old.with_name(f"{old.stem}_calibrated.pth")
    report, figure = new.with_suffix(".json"), new.with_suffix(".png")
    check_new_file(old, [new, report, figure], overwrite)
    run = read_trained_run(checkpoint, None, cfg_options, trust_checkpoint)
    predictor = load_predictor(run, device)
    model = predictor.model
    if not isinstance(model, HeritageEncoderDecoder):
        raise InputError(f"{checkpoint}: only models of a HeritageEncoderDecoder are calibrated")
    held_out = _datasets(run, HELD_OUT)
    _check(run, held_out)
    labeled = sum(int(d.class_pixels().sum()) for d in held_out)
    with progress_bar("predicting held-out images") as shown:
        pixels = held_out_pixels(model, _Joined(held_out), labeled, shown)
    folds = _folds(held_out)[pixels.images]
    scores, fitted = _scores(pixels, folds, predictor.classes, _can_be_vector(model))
    if method not in fitted:
        raise InputError("--method vector: a head with one channel has a threshold for its class")
    features, remark = _features(predictor, run, held_out, false_alarms)
    content = {
        "schema": SCHEMA,
        "version": __version__,
        "parent": old.name,
        "parent_sha256": sha256(old),
        "method": method,
        "calibration": fitted[method],
        "inference": run.cfg.to_dict()["model"].get("inference") or {},
        "images": sum(map(len, held_out)),
        "pixels": len(pixels.labels),
        "labeled_pixels": labeled,
        "folds": len(folds.unique()),
        "definitions": DEFINITIONS,
        "scores": scores,
        "training_features": _without_arrays(features) if features else None,
        "remark": remark,
    }
    with writing_together(new.parent, [new, report, figure]):
        _save(old, new, trust_checkpoint, fitted[method], features, content)
        write_json(report, content)
        plot_calibration(figure, content)
    return Calibrated(new, report, figure, content)


class _Joined:
    """Samples of several data sets one after the other."""

    def __init__(self, datasets: Sequence[ARTeFACTDataset]) -> None:
        self._places = [(d, i) for d in datasets for i in range(len(d))]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Any:
        dataset, number = self._places[index]
        return dataset[number]


def _datasets(run: TrainedRun, part: str) -> list[ARTeFACTDataset]:
    """Returns a part of the data of a run, as its test loads images."""
    found = []
    for options in innermost_datasets(run.cfg, "test_dataloader"):
        if options.get("type") != "ARTeFACTDataset":
            raise InputError(
                f"{run.checkpoint}: its data is a {options.get('type')}; expected an "
                "ARTeFACTDataset, whose parts are known"
            )
        with config_errors("test_dataloader.dataset"):
            found.append(DATASETS.build({**options, "split": part}))
    return found


def _check(run: TrainedRun, held_out: Sequence[ARTeFACTDataset]) -> None:
    """Refuses images that the model was trained on, other classes, and files that are damaged."""
    for dataset in held_out:
        check_same_classes(run.dataset_meta, dataset.metainfo["classes"], run.checkpoint)
        ids = [dataset.get_data_info(i)["sample_id"] for i in range(len(dataset))]
        split, samples = dataset.read_split()
        seen = seen_images(samples, ids, run.checkpoint)
        if seen is None:
            print(
                f"warning: no split.json beside {run.checkpoint}, so that nobody can tell whether "
                "the validation images were trained on. Keep it beside the checkpoint"
            )
        elif trained := seen["train"]:
            raise InputError(
                f"{len(trained)} of the images in part '{HELD_OUT}' of split '{split.name}' were "
                f"trained on, such as {', '.join(trained[:3])}: a model is surer of these. Give "
                "the split of the run with --cfg-options split_file=FILE"
            )
    check_data(held_out)


def _folds(datasets: Sequence[ARTeFACTDataset]) -> Tensor:
    """Returns the fold of each image; images of one source object are in one."""
    groups = [d.get_data_info(i)["group"] for d in datasets for i in range(len(d))]
    numbers = {name: i % _FOLDS for i, name in enumerate(dict.fromkeys(groups))}
    return torch.tensor([numbers[name] for name in groups])


def _can_be_vector(model: HeritageEncoderDecoder) -> bool:
    return bool(model.out_channels > 1)


def _scores(
    pixels: HeldOutPixels, folds: Tensor, classes: Sequence[str], vector: bool
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Returns the scores before and after each method, and what each has found.

    Those after it are of pixels that were not fitted, where there are two source objects.
    """

    def calibrated(arguments: Mapping[str, Any], logs: Tensor) -> Tensor:
        return ClassCalibration(logs.shape[1], **arguments)(logs.T).T

    labels, predicted = pixels.labels.numpy(), pixels.predicted.numpy()
    scores = {"before": confidence_scores(pixels.logs.numpy(), labels, classes, predicted)}
    fitted = {}
    for method in METHODS if vector else (TEMPERATURE,):
        fitted[method] = fit(method, pixels.logs, pixels.labels)
        if len(folds.unique()) > 1:
            logs = cross_fitted(method, pixels.logs, pixels.labels, folds, calibrated)
        else:
            logs = calibrated(fitted[method], pixels.logs)
        chosen = predicted if method == TEMPERATURE else logs.argmax(dim=1).numpy()
        scores[method] = confidence_scores(logs.numpy(), labels, classes, chosen)
    return scores, fitted


def _features(
    predictor: BasePredictor,
    run: TrainedRun,
    held_out: Sequence[ARTeFACTDataset],
    false_alarms: float,
) -> tuple[TrainingFeatures | None, str]:
    """Compares the features of training and validation images; says why where it cannot."""
    try:
        training = _datasets(run, "train")
        places = [_places(training), _places(held_out)]
    except InputError as error:
        return None, f"no training images, so that no photograph is flagged: {error}"
    if len(places[0]) < FEW:
        return None, f"{len(places[0])} training images are too few to tell others from them"
    if len(places[0]) > _MOST_TRAINING_IMAGES:
        drawn = np.random.default_rng(0).permutation(len(places[0]))[:_MOST_TRAINING_IMAGES]
        places[0] = [places[0][i] for i in sorted(drawn)]
    found: list[list[Any]] = [[], []]
    done, total = 0, sum(map(len, places))
    with progress_bar("comparing features") as report:
        for kept, paths in zip(found, places, strict=True):
            for path in paths:
                kept.append(predictor.features(as_rgb(path)))
                done += 1
                report(done, total)
    return training_features(np.array(found[0]), np.array(found[1]), false_alarms), ""


def _places(datasets: Sequence[ARTeFACTDataset]) -> list[str]:
    return [d.get_data_info(i)["img_path"] for d in datasets for i in range(len(d))]


def _without_arrays(features: TrainingFeatures) -> dict[str, Any]:
    found = {k: v for k, v in features.content().items() if not isinstance(v, np.ndarray)}
    return {**found, "features": len(features.mean)}


def _save(
    old: Path,
    new: Path,
    trust_checkpoint: bool,
    arguments: Mapping[str, Any],
    features: TrainingFeatures | None,
    report: Mapping[str, Any],
) -> None:
    def change(cfg: Config) -> None:
        cfg.model.calibration = dict(arguments)

    content = new_content(old, trust_checkpoint, change)
    content["calibration_report"] = dict(report)
    content.pop(KEY, None)
    if features is not None:
        content[KEY] = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in features.content().items()
        }
    save_checkpoint(content, new)
