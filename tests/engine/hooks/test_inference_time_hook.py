"""The timer: what it leaves out, what it adds up, and that it leaves the model as it was."""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmseg_heritage.engine.hooks import InferenceTimeHook
from mmseg_heritage.engine.hooks.inference_time_hook import WARM_UP


class _Sleeper(nn.Module):
    """A model that takes ten milliseconds, and a hundred at first."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        time.sleep(0.1 if self.calls == 1 else 0.01)
        return x


def _tested(images, batch=1, wrapped=False, per_image=1):
    """Runs the hooks as mmengine's test loop does, with five milliseconds of scoring."""
    model = _Sleeper()
    runner = SimpleNamespace(model=SimpleNamespace(module=model) if wrapped else model)
    hook = InferenceTimeHook()
    hook.before_test(runner)
    hook.before_test_epoch(runner)
    for index in range(0, images, batch):
        hook.before_test_iter(runner, index)
        for _ in range(per_image):
            model(torch.zeros(1))
        time.sleep(0.005)
        hook.after_test_iter(runner, index, outputs=[None] * min(batch, images - index))
    hook.after_test(runner)
    calls = model.calls
    model(torch.zeros(1))
    assert not model._forward_hooks
    assert model.calls == calls + 1
    return hook.summary()


@pytest.mark.parametrize("wrapped", [False, True])
def test_warm_up_and_scoring_are_left_out_of_the_model(wrapped):
    found = _tested(12, wrapped=wrapped)
    assert (found["images"], found["warm_up_images"]) == (12 - WARM_UP, WARM_UP)
    assert 10 <= found["model_ms"] < 60  # far below the first call's 100, on a busy machine too
    assert found["whole_ms"] >= found["model_ms"] + 5
    assert found["images_per_second"] == pytest.approx(1000 / found["model_ms"])
    assert found["peak_memory_bytes"] is None


@pytest.mark.parametrize(
    ("images", "batch", "left_out"),
    [(1, 1, 0), (2, 1, 1), (3, 1, 1), (7, 1, 3), (9, 4, 4), (4, 4, 0)],
)
def test_short_tests_leave_out_at_most_half_of_the_batches(images, batch, left_out):
    found = _tested(images, batch)
    assert found["warm_up_images"] == left_out
    assert found["images"] == images - left_out
    assert found["model_ms"] > 0


def test_several_passes_for_an_image_are_added_up():
    assert _tested(12, per_image=3)["model_ms"] >= 30


def test_without_images_there_is_no_time():
    found = _tested(0)
    assert found["model_ms"] is found["model_ms_median"] is found["images_per_second"] is None
