"""Calling a segmentation network on windows: its input, its scores, its probabilities."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from mmengine.logging import print_log
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn
from torch.nn import functional

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.segmentors.predicted_samples import filled
from mmseg_heritage.scores.arrays import FLIPS, Array
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.utils.precision import dtype_of

Prepare = Callable[[Tensor], Tensor]
"""Makes what the network takes of a part of an image: (C, h, w) to float (C, h, w)."""


class RunNetwork:
    """Runs a segmentor on windows, and halves the batch where memory runs out.

    Args:
        segmentor: Any segmentor of mmsegmentation.
        prepare: Makes its input.
        batch: Windows in one call.
        tta: Keys of :data:`~mmseg_heritage.scores.arrays.FLIPS`.
        precision: See :func:`mmseg_heritage.utils.precision.dtype_of`.

    Raises:
        InputError: If the device cannot compute in it.
    """

    def __init__(
        self,
        segmentor: nn.Module,
        prepare: Prepare,
        batch: int,
        tta: Sequence[str],
        precision: str = "float32",
    ) -> None:
        self.segmentor, self.batch = segmentor, batch
        self._device = next(segmentor.parameters(), torch.empty(0)).device.type
        self._dtype = dtype_of(precision, self._device)
        self.unit = getattr(segmentor, "stride", 32)
        self.multiple = getattr(segmentor, "input_multiple", self.unit)
        head = segmentor.decode_head
        self.head = HeadScores(head[-1] if isinstance(head, nn.ModuleList) else head)
        self._prepare = prepare
        self._flips = [FLIPS[name] for name in tta]

    def __call__(self, parts: Sequence[Array], size: tuple[int, int]) -> Tensor:
        """Returns the probabilities of windows, see ``RunWindows``."""
        found = []
        done = 0
        while done < len(parts):
            some = parts[done : done + self.batch]
            try:
                found.append(self._probabilities(some, size))
                done += len(some)
            except torch.cuda.OutOfMemoryError as error:
                if self.batch == 1:
                    raise InputError(
                        f"the device has too little memory for a window of {size[1]}x{size[0]} px; "
                        "take smaller ones, such as --inference mode=window crop=256, or a CPU"
                    ) from error
                self.batch //= 2
                print_log(
                    f"out of memory: going on with {self.batch} windows a batch",
                    "current",
                    logging.WARNING,
                )
        return torch.cat(found)

    def _probabilities(self, parts: Sequence[Array], size: tuple[int, int]) -> Tensor:
        if len({part.shape for part in parts}) > 1:  # the last window of a row may be narrower
            return torch.cat([self._probabilities([part], size) for part in parts])
        # The last step of a window at the edge is filled up before the network: mirrored or
        # not, and in an exported graph, its steps then lie on the same pixels and see the same.
        inputs = torch.stack([self._prepare(torch.as_tensor(part)) for part in parts])
        inputs = filled(inputs, size)
        found = self.head.probabilities(self._scores(inputs, size))
        for dims in self._flips:
            mirrored = inputs.flip(dims)
            found = found + self.head.probabilities(self._scores(mirrored, size)).flip(dims)
        return found / (1 + len(self._flips)) if self._flips else found

    def _scores(self, inputs: Tensor, size: tuple[int, int]) -> Tensor:
        is_reduced = self._dtype != torch.float32
        with torch.autocast(self._device, self._dtype, enabled=is_reduced):
            return raw_scores(self.segmentor, inputs, size)


def raw_scores(segmentor: nn.Module, inputs: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns a segmentor's scores at the resolution of its output.

    Args:
        segmentor: Any segmentor of mmsegmentation.
        inputs: (N, C, h, w), as the backbone takes them.
        size: h and w, rounded up to whole steps of the coarsest feature map.

    Returns:
        (N, K, size[0] / s, size[1] / s) for a whole number s: at s = 1 where the head only gives
        scores of every pixel, or of another size.
    """
    head = segmentor.decode_head
    if isinstance(head, BaseDecodeHead) and type(head).predict is BaseDecodeHead.predict:
        scores: Tensor = head(segmentor.extract_feat(filled(inputs, size)))
    else:
        meta = {"img_shape": size, "ori_shape": size, "pad_shape": size}
        scores = segmentor.encode_decode(filled(inputs, size), [dict(meta) for _ in inputs])
    steps = [side / found for side, found in zip(size, scores.shape[2:], strict=True)]
    if steps[0] != steps[1] or steps[0] != int(steps[0]):
        scores = functional.interpolate(scores, size, mode="bilinear", align_corners=False)
    return scores


def preprocessing(segmentor: nn.Module) -> Prepare:
    """Returns what a segmentor's ``data_preprocessor`` does to a part of an image in tests."""

    def prepare(part: Tensor) -> Tensor:
        data = segmentor.data_preprocessor({"inputs": [part], "data_samples": []}, False)
        inputs: Tensor = data["inputs"][0][:, : part.shape[1], : part.shape[2]]
        return inputs

    return prepare
