"""How long a test takes for each image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.engine.innermost_model import innermost_model

WARM_UP = 5
PROTOCOL = (
    "model: from the photograph as it was read (of other segmentors than ours: from the normalized "
    "one, on the device) to the class map at its own size (normalization, "
    "network, enlarging of its scores, choice of the classes), the device synchronized "
    "before and after. waiting: until the next image is read, which workers do meanwhile where "
    "there are some. whole: from one image to the next, with reading, scoring and pictures. "
    f"The batches of the first {WARM_UP} images, or of the first half where there are fewer than "
    f"{2 * WARM_UP}, are left out; measured on the main process"
)


@HOOKS.register_module()
class InferenceTimeHook(Hook):
    """Measures the test loop without changing it; :meth:`summary` says what it found.

    The model is measured by forward hooks of torch, so that scoring, which mmengine does between
    its own hooks, is not counted. The protocol is :data:`PROTOCOL`.
    """

    priority = "VERY_LOW"  # after the hooks that write pictures: the time of all is in "whole"

    def __init__(self) -> None:
        self._model: list[float] = []
        self._waiting: list[float] = []
        self._whole: list[float] = []
        self._images: list[int] = []
        self._device = torch.device("cpu")
        self._peak: int | None = None
        self._handles: list[Any] = []
        self._started = self._last = 0.0

    def before_test(self, runner: Runner) -> None:
        """Starts to listen to the model."""
        model = innermost_model(runner.model)
        self._device = next(model.parameters()).device
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._handles = [
            model.register_forward_pre_hook(self._before_forward),
            model.register_forward_hook(self._after_forward),
        ]

    def before_test_epoch(self, runner: Runner) -> None:
        """Starts the clock."""
        self._last = time.perf_counter()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Takes the time for which the loop waited for this batch."""
        self._waiting.append(time.perf_counter() - self._last)
        self._model.append(0.0)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Takes the time of the batch as a whole."""
        now = time.perf_counter()
        self._whole.append(now - self._last)
        self._images.append(len(outputs or ()))
        self._last = now

    def after_test(self, runner: Runner) -> None:
        """Stops listening."""
        for handle in self._handles:
            handle.remove()
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)

    def summary(self) -> dict[str, Any]:
        """Returns what was measured.

        Returns:
            'protocol'; 'images' measured and 'warm_up_images' left out; 'model_ms',
            'waiting_ms' and 'whole_ms', mean for one image, and 'model_ms_median', None where no
            image was tested; 'images_per_second' of the model alone; 'peak_memory_bytes' that torch
            held on the GPU, None on a CPU.
        """
        images = np.array(self._images, dtype=np.int64)
        total = int(images.sum())
        skipped = 0
        while images[:skipped].sum() < min(WARM_UP, total // 2) and skipped < len(images) - 1:
            skipped += 1
        measured = images[skipped:]
        number = int(measured.sum())

        def mean(seconds: list[float]) -> float | None:
            return 1000 * sum(seconds[skipped:]) / number if number else None

        of_model = np.array(self._model[skipped:]) / np.maximum(measured, 1)
        model = mean(self._model)
        return {
            "protocol": PROTOCOL,
            "images": number,
            "warm_up_images": total - number,
            "model_ms": model,
            "model_ms_median": 1000 * float(np.median(of_model)) if number else None,
            "waiting_ms": mean(self._waiting),
            "whole_ms": mean(self._whole),
            "images_per_second": 1000 / model if model else None,
            "peak_memory_bytes": self._peak,
        }

    def _synchronized(self) -> float:
        """Returns the time after the device has done what it was asked to do."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _before_forward(self, *_: Any) -> None:
        self._started = self._synchronized()

    def _after_forward(self, *_: Any) -> None:
        self._model[-1] += self._synchronized() - self._started
