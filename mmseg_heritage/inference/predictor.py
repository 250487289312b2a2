"""From photographs to maps of damage, with a model of torch that is already built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.dataset import pseudo_collate
from mmseg.datasets.transforms import PackSegInputs
from numpy.typing import NDArray

from mmseg_heritage.datasets import LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.metric import confidence_of
from mmseg_heritage.images.inputs import ImageInput, label_of
from mmseg_heritage.images.photograph_rows import RowBlocks
from mmseg_heritage.inference.prediction import (
    BandMaps,
    PhotographPredictor,
    features_copy,
    refuse_whole,
)
from mmseg_heritage.inference.row_sources import RowsSource
from mmseg_heritage.inference.sources import PhotographSource
from mmseg_heritage.inference.training_features import TrainingFeatures
from mmseg_heritage.models.segmentors.connecting import image_channels
from mmseg_heritage.models.segmentors.heritage_encoder_decoder import HeritageEncoderDecoder
from mmseg_heritage.models.segmentors.predicted_samples import class_ids, filled
from mmseg_heritage.scores.arrays import as_bytes
from mmseg_heritage.taxonomy import FINE_LEVEL

_PIXELS = 1 << 20  # whose confidence is computed at a time
_LOADERS = (LoadImageFromFile, LoadAnnotations, LoadHeritageImage, LoadARTeFACTAnnotations)


class BasePredictor(PhotographPredictor):
    """Runs a segmentation model on photographs.

    Args:
        model: Segmentor of mmsegmentation, with its weights, in eval mode, on its device.
        steps: Steps of a test pipeline. Those that load images or annotations are left out:
            photographs are read by :func:`mmseg_heritage.images.inputs.as_rgb`.
        classes: Names of the classes; the position is the id in the maps.
        palette: One RGB color for each class.
        mask_values: Value of each class in masks; None for the position.
        kinds: What each class is measured by; None for what the names say.
        training_features: What tells photographs from those of the training; None if not known.

    Attributes:
        model: See above.
        classes: See above.
        palette: See above.
        mask_values: See above.
        kinds: See above.
        levels: Name of each level above the classes that the model predicts -> its groups; empty
            for models that are not hierarchical.
        keeps_confidence: Whether predictions carry the probability of the chosen class.
        training_features: See above.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        steps: Sequence[Callable[[dict[str, Any]], dict[str, Any] | None]],
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
        mask_values: Sequence[int] | None = None,
        kinds: Sequence[str] | None = None,
        training_features: TrainingFeatures | None = None,
    ) -> None:
        levels = getattr(model.decode_head, "levels", {})
        super().__init__(classes, palette, mask_values, kinds, levels, training_features)
        self.model = model
        engine = getattr(model, "window_inference", None)
        self.keeps_confidence = bool(getattr(engine, "confidence", False))
        self._choose_nothing_below(getattr(engine, "abstain_below", 0.0))
        self._steps = [step for step in steps if not isinstance(step, _LOADERS)]

    @property
    def device(self) -> str:
        """Name of the device on which the network runs."""
        return str(next(self.model.parameters()).device)

    def keep_confidence(self) -> None:
        """See :class:`PhotographPredictor`."""
        self.keeps_confidence = True
        if isinstance(self.model, HeritageEncoderDecoder):
            self.model.window_inference.confidence = True

    def bands(
        self, image: RowBlocks, label: str, first: int = 0
    ) -> Iterator[tuple[slice, BandMaps]]:
        """See :class:`PhotographPredictor`."""
        if not self.takes_photographs():
            raise InputError(
                f"{label}: a photograph of this size is read in parts, which takes a model of this "
                "package for RGB images with a test pipeline that changes none; give a smaller copy"
            )
        inference = self.model.window_inference
        refuse_whole(inference.mode, label)
        try:
            bands = inference.bands(self.model, RowsSource(image), image.shape, first=first)
            for rows, found in bands:
                sure = None if found.confidence is None else found.confidence.cpu().numpy()
                ids = {name: ids.cpu().numpy() for name, ids in found.ids.items()}
                self._abstain(ids[FINE_LEVEL], sure)
                yield rows, BandMaps(ids, sure)
        except InputError as error:
            raise InputError(f"{label}: {error}") from error

    def seen_at(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Returns the sizes (H, W) at which the network sees what its test pipeline makes."""
        if isinstance(self.model, HeritageEncoderDecoder):
            return tuple(self.model.window_inference.sizes(height, width))
        return ((height, width),)

    @torch.inference_mode()
    def features(self, pixels: np.ndarray) -> NDArray[np.float32]:
        """See :class:`~mmseg_heritage.inference.prediction.PhotographPredictor`.

        Raises:
            InputError: See :meth:`batch`.
        """
        data = self.model.data_preprocessor(self.batch(features_copy(pixels)), False)
        inputs = data["inputs"]
        if isinstance(self.model, HeritageEncoderDecoder):
            inputs = filled(inputs, self.model.whole_size(inputs))  # as windows are
        maps = self.model.extract_feat(inputs)
        if getattr(self.model.decode_head, "uses_image", False):
            maps = maps[:-1]
        found: NDArray[np.float32] = (
            torch.cat([map_.float().mean(dim=(2, 3))[0] for map_ in maps]).cpu().numpy()
        )
        return found

    def takes_photographs(self) -> bool:
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
    def _maps(
        self, pixels: np.ndarray, image: ImageInput
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None, tuple[int, int]]:
        if self.takes_photographs():
            return (*self._of_windows(pixels, image), pixels.shape[:2])
        return self._of_pipeline(pixels, image)

    def _of_windows(
        self, pixels: np.ndarray, image: ImageInput
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Predicts windows that are cut from the photograph itself; no copy of it is made."""
        try:
            found = self.model.window_inference(self.model, PhotographSource(pixels))
        except InputError as error:
            raise InputError(f"{label_of(image)}: {error}") from error
        confidence = None if found.confidence is None else found.confidence.numpy()
        return {name: ids.numpy() for name, ids in found.ids.items()}, confidence

    def _of_pipeline(
        self, pixels: np.ndarray, image: ImageInput
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None, tuple[int, int]]:
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
        maps[FINE_LEVEL] = class_ids(sample.pred_sem_seg)
        confidence = None
        if "confidence" in sample:
            confidence = class_ids(sample.confidence)
        elif "seg_logits" in sample and self.keeps_confidence:
            confidence = _confidence(sample.seg_logits.data, maps[FINE_LEVEL])
        return maps, confidence, sample.img_shape[:2]


def _confidence(scores: torch.Tensor, chosen: np.ndarray) -> np.ndarray:
    """Returns the probability of the chosen class by scores (C, H, W), in steps of 1/255."""
    found = np.empty(chosen.shape, np.uint8)
    rows = max(_PIXELS // chosen.shape[1], 1)
    for start in range(0, len(chosen), rows):
        strip = slice(start, start + rows)
        ids = torch.from_numpy(chosen[strip]).long().to(scores.device)
        found[strip] = as_bytes(confidence_of(scores[:, strip], ids)).cpu().numpy()
    return found


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
