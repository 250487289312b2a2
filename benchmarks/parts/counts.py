"""Confusion counts beside ``IoUMetric.intersect_and_union`` of mmsegmentation."""

from __future__ import annotations

import numpy as np
import torch
from paired import Part

CLASSES = 16


def small(_: bool) -> Part:
    """A map of 384 x 384 px."""
    return _part((384, 384), 25, 20)


def large(small: bool) -> Part:
    """A map of 12 megapixels."""
    return _part((1000, 1000) if small else (3000, 4000), 55, 1)


def _part(size: tuple[int, int], goal: float, repeats: int) -> Part:
    import mmseg_heritage.plugin  # noqa: F401  lets mmseg load with mmcv-lite

    # isort: split
    from mmseg.evaluation.metrics import IoUMetric

    from mmseg_heritage.evaluation.counts.confusion import confusion_counts

    generator = np.random.default_rng(0)
    label, prediction = generator.integers(0, CLASSES, (2, *size), dtype=np.uint8)
    label[: size[0] // 10] = 255
    tensors = torch.from_numpy(prediction).long(), torch.from_numpy(label).long()

    def ours() -> list[np.ndarray]:
        return [confusion_counts(label, prediction, CLASSES) for _ in range(repeats)]

    def stock() -> list[tuple[torch.Tensor, ...]]:
        count = IoUMetric.intersect_and_union
        return [count(*tensors, CLASSES, 255) for _ in range(repeats)]

    def check() -> str:
        counts, (intersect, union, _, labels) = ours()[0], stock()[0]
        assert np.array_equal(np.diagonal(counts), intersect.numpy())
        assert np.array_equal(counts.sum(1), labels.numpy())
        every = counts.sum(0) + counts.sum(1) - np.diagonal(counts)
        assert np.array_equal(every, union.numpy())
        return "the same counts"

    return Part(
        f"Confusion counts of {size[1]} x {size[0]} px",
        {"confusion_counts": ours, "mmseg intersect_and_union": stock}, check, repeats, goal,
    )  # fmt: skip
