"""Applying a segmentor of mmsegmentation to an image of any size."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmseg.registry import TASK_UTILS
from torch import Tensor, nn

from mmseg_heritage.inference.run_network import Prepare, RunNetwork, preprocessing
from mmseg_heritage.inference.sources import PixelSource, TensorSource
from mmseg_heritage.inference.window_engine import ImageMaps, WindowEngine

_WINDOWS_ON_GPU = 8


@TASK_UTILS.register_module()
class WindowInference(WindowEngine):
    """Runs a segmentor in windows, see :class:`~mmseg_heritage.inference.window_engine`."""

    @torch.no_grad()
    def __call__(
        self,
        segmentor: nn.Module,
        image: Tensor | PixelSource,
        size: tuple[int, int] | None = None,
        prepare: Prepare | None = None,
    ) -> ImageMaps:
        """Predicts an image.

        Args:
            segmentor: Any segmentor of mmsegmentation, in eval mode.
            image: (C, H, W), as pipelines pack it; or where it can be cut from.
            size: Height and width of the maps; None for those of the image.
            prepare: Makes the network's input; None for the segmentor's ``data_preprocessor``.

        Raises:
            InputError: If the scores are not numbers, or memory is too small for one window.
        """
        source = TensorSource(image) if isinstance(image, Tensor) else image
        run = self._network(segmentor, prepare)
        return self.maps_of(run, source, size or source.shape[1:])

    @torch.no_grad()
    def bands(
        self,
        segmentor: nn.Module,
        source: PixelSource,
        size: tuple[int, int],
        prepare: Prepare | None = None,
        first: int = 0,
    ) -> Iterator[tuple[slice, ImageMaps]]:
        """Predicts an image from the top to the bottom.

        Args:
            segmentor: See :meth:`__call__`.
            source: Where the image is cut from.
            size: See :meth:`__call__`.
            prepare: See :meth:`__call__`.
            first: The first row of the maps that is wanted.

        Yields:
            Some rows of the maps, and what was found there.
        """
        yield from self.bands_of(self._network(segmentor, prepare), source, size, first)

    def _network(self, segmentor: nn.Module, prepare: Prepare | None) -> RunNetwork:
        on_gpu = next(segmentor.parameters(), torch.empty(0)).is_cuda
        batch = self.batch or (_WINDOWS_ON_GPU if on_gpu else 1)
        prepare = prepare or preprocessing(segmentor)
        return RunNetwork(segmentor, prepare, batch, self.tta, self.precision)
