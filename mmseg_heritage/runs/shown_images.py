"""The images of a test as pictures show them: photograph, truth and prediction, shrunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.datasets.transforms import LoadARTeFACTAnnotations
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.counts.confusion import class_scores, confusion_counts
from mmseg_heritage.evaluation.means import image_scores
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.images.masks import position_table, value_counts
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.inference.predictor import BasePredictor
from mmseg_heritage.runs.load_predictor import load_predictor
from mmseg_heritage.runs.prepare import build_datasets
from mmseg_heritage.runs.trained_run import TrainedRun
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX
from mmseg_heritage.visualization.figures.samples import Choice
from mmseg_heritage.visualization.figures.sheets import Shown, shrunk


class ShownImages:
    """Reads what is shown of an image when it is first asked for, and keeps it shrunk.

    One photograph at a time is in memory at its full size. The truth is held against the counts of
    the test, and so are predictions that were saved, so that pictures show what was scored.

    Args:
        read_run: Reads the checkpoint; called when the data or the model is first needed.
        counts: Counts of the test; None where images are shown without scores.
        maps: Folder that ``test --out`` wrote; None runs the model.
        device: As in :class:`mmseg_heritage.Predictor`.
    """

    def __init__(
        self,
        read_run: Callable[[], TrainedRun],
        counts: Counts | None = None,
        maps: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        self._read_run, self._device = read_run, device
        self._counts = counts
        self._maps = None if maps is None else Path(maps).expanduser()
        self._shown: dict[str, Shown] = {}

    @property
    def ids(self) -> list[str]:
        """Ids of the images of the test part."""
        return list(self._entries)

    @property
    def classes(self) -> list[str]:
        """Names of the classes; the position is the id."""
        return list(self._dataset.metainfo["classes"])

    def get(self, choice: Choice, index: int | None = None) -> Shown:
        """Returns what is shown of an image.

        Args:
            choice: The image, and why it is shown.
            index: Id of the class whose score is shown; None shows that of the image.

        Raises:
            InputError: If the image is missing, or if truth or prediction are not what was scored.
        """
        if choice.id not in self._shown:
            self._shown[choice.id] = self._read(choice.id)
        told = [choice.reason] if choice.reason else []
        if self._counts is not None:
            confusion = self._counts.confusion[[self._counts.ids.index(choice.id)]]
            if index is None:
                score, name = image_scores(confusion)[0], "mIoU"
            else:
                score, name = 100 * class_scores(confusion)["iou"][0, index], "IoU"
            value = "undefined" if np.isnan(score) else f"{score:.1f}"
            told.append(f"{name} {value} in this image")
        return replace(self._shown[choice.id], reason="; ".join(told))

    def activations(self, image_id: str, index: int) -> tuple[list[np.ndarray], str]:
        """Computes the class-activation maps of an image.

        Returns:
            What :func:`mmseg_heritage.visualization.figures.activation.class_activations` returns,
            and how it was made, for below the picture.

        Raises:
            InputError: If captum is missing, or neither prediction nor truth has the class.
        """
        from mmseg_heritage.visualization.figures.activation import (
            class_activations,
            require_captum,
        )

        require_captum()
        path, name = self._entry(image_id)["img_path"], self.classes[index]
        found, truth = self._predictor(path), self._truth(image_id)
        prediction = found.class_map
        mask, pixels = (prediction == index) & (truth != IGNORE_INDEX), "predicted as"
        if not mask.any():
            mask, pixels = truth == index, "labeled as (none is predicted as)"
        if not mask.any():
            there = np.flatnonzero(value_counts(prediction, truth))
            present = ", ".join(self.classes[i] for i in there if i != IGNORE_INDEX)
            raise InputError(
                f"--class {name}: neither prediction nor truth of {image_id} has it; present: "
                f"{present}"
            )
        model = self._predictor.model
        batch = model.data_preprocessor(self._predictor.batch(found.image, path), False)
        height, width = batch["data_samples"][0].img_shape[:2]
        image = batch["inputs"][..., :height, :width]  # without what fills up the batch
        activations = class_activations(model, image, index, mask)
        note = (
            f"Seg-Grad-CAM: what raises the score of {name} over the {int(mask.sum())} pixels "
            f"{pixels} it, in each feature map that the decoder takes from the backbone. Each map "
            "is scaled to its own strongest place. They show what the model looks at, not where "
            "the damage ends."
        )
        return activations, note

    @cached_property
    def _run(self) -> TrainedRun:
        """What the checkpoint tells of its run."""
        return self._read_run()

    @cached_property
    def _dataset(self) -> ARTeFACTDataset:
        """The test part, without its pipeline."""
        dataset = build_datasets(self._run.cfg, ("test",))["test"][0]
        classes = list(dataset.metainfo["classes"])
        if self._counts is not None and classes != list(self._counts.classes):
            raise InputError(
                f"{self._run.checkpoint}: has other classes than the test: {', '.join(classes)}; "
                f"expected {', '.join(self._counts.classes)}. Give the config that was tested"
            )
        return dataset

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        """What the data set says of each image, by its id."""
        entries = map(self._dataset.get_data_info, range(len(self._dataset)))
        return {entry["sample_id"]: entry for entry in entries}

    @cached_property
    def _predictor(self) -> BasePredictor:
        """The model, built when first needed."""
        return load_predictor(self._run, self._device)

    def _entry(self, image_id: str) -> dict[str, Any]:
        if image_id not in self._entries:
            raise InputError(
                f"{self._dataset.data_root}: image {image_id} was tested, but is not in the test "
                "part here; give the data that was tested, with --cfg-options data_root=FOLDER"
            )
        return self._entries[image_id]

    def _read(self, image_id: str) -> Shown:
        """Reads an image, its truth and its predictions, and verifies both maps."""
        entry = self._entry(image_id)
        truth = self._truth(image_id)
        if self._maps is None:
            found = self._predictor(entry["img_path"])
            image, prediction, levels = found.image, found.class_map, dict(found.level_maps)
        else:
            image, levels = read_image(entry["img_path"]), self._saved(self._maps, image_id)
            prediction = levels.pop(FINE_LEVEL)
        if self._counts is not None:
            self._require_as_tested(image_id, truth, prediction)
        return shrunk(image_id, "", image, truth, prediction, levels)

    def _truth(self, image_id: str) -> np.ndarray:
        """Returns the ids of the trained classes, uint8 (H, W)."""
        entry = {**self._entry(image_id), "seg_fields": []}
        return LoadARTeFACTAnnotations().transform(entry)["gt_seg_map"]

    def _saved(self, folder: Path, image_id: str) -> dict[str, np.ndarray]:
        """Reads the maps that a test saved, as training ids and positions of groups."""
        own = {} if self._counts is None else self._counts.own_levels
        names = {FINE_LEVEL: folder, **{name: folder / name for name in own}}
        maps = {name: _read_map(place / f"{image_id}.png") for name, place in names.items()}
        training_ids = position_table(self._dataset.metainfo["mask_values"])
        return {**maps, FINE_LEVEL: training_ids[maps[FINE_LEVEL]]}

    def _require_as_tested(self, image_id: str, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Refuses maps that are not those of the test.

        A prediction made again may differ by the rounding of another device; its truth may not.
        """
        counts = self._counts
        if counts is None:
            return
        tested = counts.confusion[counts.ids.index(image_id)]
        mask = self._entry(image_id)["seg_map_path"]
        if prediction.shape != truth.shape:
            raise InputError(
                f"{self._maps}: the map of {image_id} is {prediction.shape[1]}x"
                f"{prediction.shape[0]}, its mask {truth.shape[1]}x{truth.shape[0]}; give the "
                "folder that test --out wrote"
            )
        pixels = value_counts(truth)[: len(tested)]
        if not np.array_equal(pixels, tested.sum(axis=1)):
            raise InputError(f"{mask}: is another mask than the one that was tested; test again")
        if self._maps is None:
            return
        legal = prediction.max(initial=0) < len(tested)
        if not legal or (confusion_counts(truth, prediction, len(tested)) != tested).any():
            raise InputError(
                f"{self._maps}: the map of {image_id} is not the prediction that was scored; give "
                "the folder that test --out wrote with these scores"
            )


def _read_map(path: Path) -> np.ndarray:
    """Reads a class map that a test saved, uint8 (H, W).

    Raises:
        InputError: If there is none, or it is no class map.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such class map; give the folder that test --out wrote")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode not in ("P", "L"):
                raise ValueError(f"mode {image.mode}, expected ids with a palette")
            return np.array(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as a class map ({error})") from error
