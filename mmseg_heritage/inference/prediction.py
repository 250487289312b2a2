"""What a model finds on photographs, and what all predictors do, whatever runs their network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.inputs import ImageInput, as_rgb
from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.photograph_rows import RowBlocks
from mmseg_heritage.images.resizing import fitted_size
from mmseg_heritage.inference.training_features import TrainingFeatures, Unlikeness
from mmseg_heritage.taxonomy import FINE_LEVEL, UNDECIDED, Level, default_kind

FEATURES_EDGE = 512
"""Long edge in pixels of the copy of a photograph whose features are compared."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found on a photograph.

    Attributes:
        image: The photograph as it was read, uint8 (H, W, 3), RGB; a smaller copy of one that was
            read in parts.
        class_map: Class of each pixel, uint8 (H, W): the position in :attr:`classes`, or 254 where
            the model abstains.
        classes: Names of the classes.
        palette: Color of each class, sRGB in 0..255.
        mask_values: Value of each class in masks, which written class maps hold: such as 9 for
            Cracks, which a model of Clean and Cracks has at position 1.
        level_maps: Of a hierarchical model, name of each level above the classes -> its groups,
            uint8 (H, W): the position in ``groups[name].classes``, or 255 where the level does not
            apply. Empty for other models.
        groups: Name of each of these levels -> its groups.
        seen_at: Height and width of the photograph at each scale at which the network saw it.
        kinds: What each class is measured by, see :data:`mmseg_heritage.taxonomy.KINDS`.
        confidence: Probability of the chosen class in steps of 1/255, uint8 (H, W); None unless it
            was asked for (:meth:`PhotographPredictor.keep_confidence`) and the model gives one.
        unlikeness: How far the photograph is from those that the model was trained on; None of a
            model that does not know (``calibrate`` tells it).
    """

    image: np.ndarray
    class_map: np.ndarray
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mask_values: tuple[int, ...]
    level_maps: Mapping[str, np.ndarray]
    groups: Mapping[str, Level]
    seen_at: tuple[tuple[int, int], ...]
    kinds: tuple[str, ...]
    confidence: np.ndarray | None = None
    unlikeness: Unlikeness | None = None

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


@dataclass(frozen=True, eq=False)
class BandMaps:
    """What a model found in some rows of a photograph.

    Attributes:
        ids: 'fine' and each level above the classes -> uint8 (rows, W).
        confidence: As in :class:`Prediction`, uint8 (rows, W) or None.
    """

    ids: dict[str, np.ndarray]
    confidence: np.ndarray | None


def thinnest_line(size: tuple[int, int], seen_at: Sequence[tuple[int, int]]) -> float:
    """Returns :attr:`Prediction.thinnest_line` of a photograph of a size (H, W)."""
    return max(1.0, max(size) / max(max(seen) for seen in seen_at))


class PhotographPredictor(ABC):
    """A model that turns photographs into maps of damage.

    Args:
        classes: Names of the classes; the position is the id in the maps.
        palette: One RGB color for each class.
        mask_values: Value of each class in masks; None for the position.
        kinds: What each class is measured by; None for what the names say.
        levels: Name of each level above the classes that the model predicts -> its groups; empty
            for models that are not hierarchical.
        training_features: What tells photographs from those of the training; None if not known.

    Attributes:
        classes: See above.
        palette: See above.
        mask_values: See above.
        kinds: See above.
        levels: See above.
        keeps_confidence: Whether predictions carry the probability of the chosen class.
        abstain_below: Where it is below, class maps hold 254, and no class; 0 for nowhere.
        training_features: See above.
    """

    keeps_confidence = False
    abstain_below = 0.0

    def __init__(
        self,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
        mask_values: Sequence[int] | None,
        kinds: Sequence[str] | None,
        levels: Mapping[str, Level],
        training_features: TrainingFeatures | None,
    ) -> None:
        self.classes = tuple(classes)
        self.palette = tuple((int(r), int(g), int(b)) for r, g, b in palette)
        values = range(len(self.classes)) if mask_values is None else mask_values
        self.mask_values = tuple(map(int, values))
        self.kinds = tuple(map(default_kind, self.classes) if kinds is None else kinds)
        self.levels: dict[str, Level] = dict(levels)
        self.training_features = training_features

    def _choose_nothing_below(self, probability: float) -> None:
        """Sets :attr:`abstain_below`.

        Raises:
            InputError: If a class has the value of what is not decided.
        """
        if probability and UNDECIDED in self.mask_values:
            raise InputError(
                f"abstain_below={probability:g}: class maps hold {UNDECIDED} where nothing is "
                f"decided, which is the mask value of a class of this model"
            )
        self.abstain_below = probability
        self.keeps_confidence |= probability > 0

    def _abstain(self, class_map: np.ndarray, confidence: np.ndarray | None) -> None:
        """Takes the class away where the model is too little sure."""
        if self.abstain_below and confidence is not None:
            unsure = np.arange(256) / 255 < self.abstain_below
            class_map[unsure[confidence]] = UNDECIDED

    @property
    @abstractmethod
    def device(self) -> str:
        """Name of the device on which the network runs."""

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

    def _predict(self, pixels: np.ndarray, image: ImageInput) -> Prediction:
        """Runs the model on a photograph that was read."""
        maps, confidence, size = self._maps(pixels, image)
        self._abstain(maps[FINE_LEVEL], confidence)
        return Prediction(
            pixels,
            maps.pop(FINE_LEVEL),
            self.classes,
            self.palette,
            self.mask_values,
            maps,
            self.levels,
            self.seen_at(*size),
            self.kinds,
            confidence,
            self.unlikeness(pixels),
        )

    @abstractmethod
    def _maps(
        self, pixels: np.ndarray, image: ImageInput
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None, tuple[int, int]]:
        """Returns the maps of a photograph, its confidence, and the size at which it is scaled."""

    @abstractmethod
    def keep_confidence(self) -> None:
        """Lets predictions carry the probability of the chosen class."""

    @abstractmethod
    def bands(
        self, image: RowBlocks, label: str, first: int = 0
    ) -> Iterator[tuple[slice, BandMaps]]:
        """Predicts a photograph that is read a few rows at a time.

        Args:
            image: The photograph.
            label: What messages call it.
            first: The first row that is wanted.

        Yields:
            Some rows, and what was found there.

        Raises:
            InputError: If the model's test pipeline changes images, or its scores are no numbers.
        """

    @abstractmethod
    def seen_at(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Returns the sizes (H, W) at which the network sees what its test pipeline makes."""

    @abstractmethod
    def features(self, pixels: np.ndarray) -> NDArray[np.float32]:
        """Returns the mean of each channel of the backbone's feature maps, float32 (D,).

        They are those of :func:`features_copy` of a photograph.

        Args:
            pixels: uint8 (H, W, 3), RGB.
        """

    def unlikeness(self, pixels: np.ndarray) -> Unlikeness | None:
        """Returns how far a photograph, uint8 (H, W, 3), is from those of the training."""
        if self.training_features is None:
            return None
        return self.training_features.unlikeness(self.features(pixels))


def features_copy(pixels: np.ndarray) -> np.ndarray:
    """Returns a copy (h, w, 3) with a long edge of at most :data:`FEATURES_EDGE` pixels."""
    height, width = pixels.shape[:2]
    size = fitted_size(width, height, FEATURES_EDGE)
    if size == (width, height):
        return pixels
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def refuse_whole(mode: str, label: str) -> None:
    """Refuses to read a photograph in parts for one window over all of it."""
    if mode == "whole":
        raise InputError(
            f"{label}: a photograph of this size is read in parts, and this model looks at whole "
            "ones (mode=whole); add --inference mode=window, and scales=native for thin damage"
        )
