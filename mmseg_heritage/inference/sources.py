"""Images that are cut into windows and resized, held as they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from mmseg_heritage.images.resizing import interpolation
from mmseg_heritage.scores.arrays import Array, like

if TYPE_CHECKING:
    from torch import Tensor


class PixelSource(Protocol):
    """An image (C, H, W)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""

    def cut(self, rows: slice, columns: slice) -> Array:
        """Returns a part (C, h, w); what a slice asks for beyond the image is left out."""

    def resized(self, size: tuple[int, int]) -> PixelSource:
        """Returns the image at another height and width."""


class TensorSource:
    """An image as pipelines pack it.

    Args:
        image: (C, H, W), of any type.
    """

    def __init__(self, image: Tensor) -> None:
        self._image = image
        self.shape: tuple[int, int, int] = (image.shape[0], image.shape[1], image.shape[2])

    def cut(self, rows: slice, columns: slice) -> Tensor:
        """Returns a part, see :class:`PixelSource`."""
        return self._image[:, rows, columns]

    def resized(self, size: tuple[int, int]) -> TensorSource:
        """Returns the image at another size, see :class:`PixelSource`."""
        image = self._image.float() if self._image.is_floating_point() else self._image
        channels = [_resize(channel, size) for channel in image.cpu().numpy()]
        return TensorSource(like(np.stack(channels), self._image).to(self._image))


class PhotographSource:
    """A photograph, given out with the channels that mmcv's pipelines give: blue, green, red.

    Args:
        pixels: uint8 (H, W, 3), RGB; an array, or a file that is mapped into memory.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self.shape: tuple[int, int, int] = (3, pixels.shape[0], pixels.shape[1])

    def cut(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a part, see :class:`PixelSource`."""
        return np.ascontiguousarray(self._pixels[rows, columns, ::-1].transpose(2, 0, 1))

    def resized(self, size: tuple[int, int]) -> PhotographSource:
        """Returns the photograph at another size, see :class:`PixelSource`."""
        return PhotographSource(_resize(self._pixels, size))


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    way = interpolation(pixels.shape[0], size[0])
    return cv2.resize(pixels, (size[1], size[0]), interpolation=way)
