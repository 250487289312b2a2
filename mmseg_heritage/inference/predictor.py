"""From photographs to maps of damage, with a model that is already built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.dataset import pseudo_collate
from mmseg.datasets.transforms import PackSegInputs

from mmseg_heritage.datasets import LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.inputs import ImageInput, as_rgb, label_of
from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.photograph_rows import RowBlocks
from mmseg_heritage.inference.row_sources import RowsSource
from mmseg_heritage.inference.sources import PhotographSource
from mmseg_heritage.models.segmentors.connecting import image_channels
from mmseg_heritage.models.segmentors.heritage_encoder_decoder import (
    HeritageEncoderDecoder,
    class_ids,
)
from mmseg_heritage.taxonomy import FINE_LEVEL, Level

_LOADERS = (LoadImageFromFile, LoadAnnotations, LoadHeritageImage, LoadARTeFACTAnnotations)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found on a photograph.

    Attributes:
        image: The photograph as it was read, uint8 (H, W, 3), RGB; a smaller copy of one that was
            read in parts.
        class_map: Class of each pixel, uint8 (H, W): the position in :attr:`classes`.
        classes: Names of the classes.
        palette: Color of each class, sRGB in 0..255.
        mask_values: Value of each class in masks, which written class maps hold: such as 9 for
            Cracks, which a model of Clean and Cracks has at position 1.
        level_maps: Of a hierarchical model, name of each level above the classes -> its groups,
            uint8 (H, W): the position in ``groups[name].classes``, or 255 where the level does not
            apply. Empty for other models.
        groups: Name of each of these levels -> its groups.
        seen_at: Height and width of the photograph at each scale at which the network saw it.
    """

    image: np.ndarray
    class_map: np.ndarray
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mask_values: tuple[int, ...]
    level_maps: Mapping[str, np.ndarray]
    groups: Mapping[str, Level]
    seen_at: tuple[tuple[int, int], ...]

    @property
    def thinnest_line(self) -> float:
        """Width in pixels of the photograph that is one pixel of what the network saw, 1 or more.

        Thinner lines are likely to be lost.
        """
        height, width = self.class_map.shape
        return thinnest_line((height, width), self.seen_at)

    def shares(self, level: str = FINE_LEVEL) -> dict[str, float]:
        """Returns the share of each class in all pixels of the photograph, 0 to 1.

        Args:
            level: Name of a level above the classes, for the shares of its groups.

        Raises:
            InputError: If the model does not predict this level.
        """
        if level != FINE_LEVEL and level not in self.groups:
            known = ", ".join([FINE_LEVEL, *self.groups])
            raise InputError(f"this model predicts no level '{level}'; it predicts {known}")
        fine = level == FINE_LEVEL
        names = self.classes if fine else self.groups[level].classes
        ids = self.class_map if fine else self.level_maps[level]
        counts = value_counts(ids)[: len(names)]
        return {name: int(n) / ids.size for name, n in zip(names, counts, strict=True)}


def thinnest_line(size: tuple[int, int], seen_at: Sequence[tuple[int, int]]) -> float:
    """Returns :attr:`Prediction.thinnest_line` of a photograph of a size (H, W)."""
    return max(1.0, max(size) / max(max(seen) for seen in seen_at))


class BasePredictor:
    """Runs a segmentation model on photographs.

    Args:
        model: Segmentor of mmsegmentation, with its weights, in eval mode, on its device.
        steps: Steps of a test pipeline. Those that load images or annotations are left out:
            photographs are read by :func:`mmseg_heritage.images.inputs.as_rgb`.
        classes: Names of the classes; the position is the id in the maps.
        palette: One RGB color for each class.
        mask_values: Value of each class in masks; None for the position.

    Attributes:
        model: See above.
        classes: See above.
        palette: See above.
        mask_values: See above.
        levels: Name of each level above the classes that the model predicts -> its groups; empty
            for models that are not hierarchical.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        steps: Sequence[Callable[[dict[str, Any]], dict[str, Any] | None]],
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
        mask_values: Sequence[int] | None = None,
    ) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.palette = tuple((int(r), int(g), int(b)) for r, g, b in palette)
        values = range(len(self.classes)) if mask_values is None else mask_values
        self.mask_values = tuple(map(int, values))
        self.levels: dict[str, Level] = dict(getattr(model.decode_head, "levels", {}))
        self._steps = [step for step in steps if not isinstance(step, _LOADERS)]

    @overload
    def __call__(self, images: ImageInput, page: int = 1) -> Prediction: ...

    @overload
    def __call__(
        self, images: list[ImageInput] | tuple[ImageInput, ...], page: int = 1
    ) -> list[Prediction]: ...

    def __call__(
        self, images: ImageInput | list[ImageInput] | tuple[ImageInput, ...], page: int = 1
    ) -> Prediction | list[Prediction]:
        """Predicts a photograph, or a list of them one after the other.

        Args:
            images: A path, a Pillow image of any mode, a uint8 array of shape (H, W, 3) in the
                order red, green, blue, or one of shape (H, W) of gray levels; or a list of these.
            page: Of files: which of the pages of a TIFF that are no previews, from 1.

        Returns:
            The prediction at the photograph's own size; of a list, one for each photograph.

        Raises:
            InputError: If photographs cannot be used, with the problems of all of them, or if the
                model's scores are not numbers.
        """
        if not isinstance(images, (list, tuple)):
            return self._predict(as_rgb(images, page), images)
        predictions: list[Prediction] = []
        problems: list[str] = []
        for image in images:
            try:
                pixels = as_rgb(image, page)
                if not problems:  # else only the other problems are looked for
                    predictions.append(self._predict(pixels, image))
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError(
                f"{len(problems)} of {len(images)} photographs could not be predicted", problems
            )
        return predictions

    def bands(
        self, image: RowBlocks, label: str, first: int = 0
    ) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Predicts a photograph that is read a few rows at a time.

        Args:
            image: The photograph.
            label: What messages call it.
            first: The first row that is wanted.

        Yields:
            Some rows, and the ids of the classes and of each level there, uint8 (rows, W).

        Raises:
            InputError: If the model's test pipeline changes images, or its scores are no numbers.
        """
        if not self._takes_photographs():
            raise InputError(
                f"{label}: a photograph of this size is read in parts, which takes a model of this "
                "package for RGB images with a test pipeline that changes none; give a smaller copy"
            )
        inference = self.model.window_inference
        if inference.mode == "whole":
            raise InputError(
                f"{label}: a photograph of this size is read in parts, which takes mode=window"
            )
        try:
            bands = inference.bands(self.model, RowsSource(image), image.shape, first=first)
            for rows, found in bands:
                yield rows, {name: ids.cpu().numpy() for name, ids in found.ids.items()}
        except InputError as error:
            raise InputError(f"{label}: {error}") from error

    def seen_at(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Returns the sizes (H, W) at which the network sees what its test pipeline makes."""
        if isinstance(self.model, HeritageEncoderDecoder):
            return tuple(self.model.window_inference.sizes(height, width))
        return ((height, width),)

    def _takes_photographs(self) -> bool:
        """Whether windows can be cut from photographs themselves."""
        return (
            isinstance(self.model, HeritageEncoderDecoder)
            and len(self._steps) == 1
            and isinstance(self._steps[0], PackSegInputs)
            and image_channels(self.model.backbone) == 3
        )

    def batch(self, pixels: np.ndarray, path: str | None = None) -> dict[str, Any]:
        """Returns what the model takes for one photograph, as its test pipeline makes it.

        Args:
            pixels: uint8 (H, W, 3), RGB.
            path: Of the file, for steps that read it.

        Returns:
            'inputs' and 'data_samples', a list of one each.

        Raises:
            InputError: If the pipeline gives images of another number of channels than the model
                takes.
        """
        size = pixels.shape[:2]
        results: dict[str, Any] | None = {
            "img": pixels[..., ::-1],  # BGR, as all steps of mmcv expect it
            "img_path": path,
            "img_shape": size,
            "ori_shape": size,
            "seg_fields": [],
        }
        for step in self._steps:
            if results is not None:
                results = step(results)
        if results is None or "inputs" not in results:
            raise InputError("the config's test pipeline must end in PackSegInputs")
        found, expected = len(results["inputs"]), image_channels(self.model.backbone)
        if found != expected:
            raise InputError(
                f"this model takes images of {expected} channels, and its test pipeline gives "
                f"{found}; put a step that loads them into the pipeline"
            )
        return pseudo_collate([results])

    @torch.inference_mode()
    def _predict(self, pixels: np.ndarray, image: ImageInput) -> Prediction:
        """Runs the model on a photograph that was read."""
        if self._takes_photographs():
            maps, size = self._of_windows(pixels, image), pixels.shape[:2]
        else:
            maps, size = self._of_pipeline(pixels, image)
        return Prediction(
            pixels,
            maps.pop(FINE_LEVEL),
            self.classes,
            self.palette,
            self.mask_values,
            maps,
            self.levels,
            self.seen_at(*size),
        )

    def _of_windows(self, pixels: np.ndarray, image: ImageInput) -> dict[str, np.ndarray]:
        """Predicts windows that are cut from the photograph itself; no copy of it is made."""
        try:
            found = self.model.window_inference(self.model, PhotographSource(pixels))
        except InputError as error:
            raise InputError(f"{label_of(image)}: {error}") from error
        return {name: ids.numpy() for name, ids in found.ids.items()}

    def _of_pipeline(
        self, pixels: np.ndarray, image: ImageInput
    ) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
        """Predicts what the test pipeline makes of the photograph; returns its size too."""
        path = None if isinstance(image, np.ndarray) else label_of(image)
        sample = self.model.test_step(self.batch(pixels, path))[0]
        # The largest score is NaN if any is; our own segmentor sees to that itself.
        if "seg_logits" in sample and torch.isnan(sample.seg_logits.data.amax()):
            raise InputError(
                f"{label_of(image)}: the model's scores are not numbers (NaN); take another "
                "checkpoint of the run"
            )
        maps = {name: class_ids(sample.get(f"pred_sem_seg_{name}")) for name in self.levels}
        return {FINE_LEVEL: class_ids(sample.pred_sem_seg), **maps}, sample.img_shape[:2]


def find_device(name: str | None) -> torch.device:
    """Returns the device of that name, or of None a GPU where there is one, else the CPU.

    Raises:
        InputError: If there is no such device here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {name} is not available here ({reason}); try cpu") from error
    return device
