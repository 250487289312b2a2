"""Stopping at a loss that is not finite."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine.hooks import nan_loss_hook
from mmseg_heritage.errors import InputError


@HOOKS.register_module()
class PoisonForNanLossTests(Hook):
    """Breaks a weight before the second iteration, and keeps the names of each batch."""

    batches = []  # noqa: RUF012

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append([sample.img_path for sample in data_batch["data_samples"]])
        if runner.iter == 1:
            next(runner.model.parameters()).data.fill_(float("nan"))


def test_the_run_stops_and_names_the_images(tiny_config, tmp_path):
    options = {"max_iters": 3, "custom_hooks": [{"type": "PoisonForNanLossTests"}]}
    with pytest.raises(InputError) as stopped:
        train(tiny_config, str(tmp_path / "run"), cfg_options=options, skip_data_check=True)
    path = tmp_path / "run" / "nan_loss_iter_2.json"
    assert "the loss of iteration 2 is not finite" in str(stopped.value)
    assert str(path) in str(stopped.value)
    assert "loss: nan" in str(stopped.value)
    content = json.loads(path.read_text())
    assert content["images"] == PoisonForNanLossTests.batches[-1]
    assert len(content["images"]) == 2
    assert all(Path(image).is_file() for image in content["images"])
    assert (content["iteration"], content["losses"]["loss"]) == (2, "nan")
    assert (tmp_path / "run" / "iter_1.pth").is_file()
    assert not (tmp_path / "run" / "iter_2.pth").exists()
    weights = torch.load(tmp_path / "run" / "iter_1.pth", weights_only=False)["state_dict"]
    assert all(w.isfinite().all() for w in weights.values() if w.is_floating_point())


def test_weights_that_are_not_finite_are_not_saved():
    model = torch.nn.Linear(2, 1)
    runner = SimpleNamespace(model=model, iter=4)
    hook = nan_loss_hook.NanLossHook()
    hook.before_save_checkpoint(runner, {})
    model.bias.data[0] = float("inf")
    with pytest.raises(InputError, match="a gradient has overflowed") as stopped:
        hook.before_save_checkpoint(runner, {})
    assert stopped.value.problems == ["bias"]


def test_skipped_steps_are_logged_where_there_can_be_any():
    messages, scalars = [], []
    runner = SimpleNamespace(
        iter=9,
        logger=SimpleNamespace(info=messages.append),
        visualizer=SimpleNamespace(add_scalars=lambda s, step: scalars.append((step, s))),
        optim_wrapper=SimpleNamespace(
            skipped_steps=3,
            loss_scaler=SimpleNamespace(is_enabled=lambda: True, get_scale=lambda: 8192.0),
        ),
    )
    nan_loss_hook._log_skipped_steps(runner)
    assert messages == ["float16: 3 optimizer steps skipped so far, loss scale 8192"]
    assert scalars == [(10, {"skipped_steps": 3, "loss_scale": 8192.0})]
    runner.optim_wrapper.loss_scaler.is_enabled = lambda: False
    nan_loss_hook._log_skipped_steps(runner)
    runner.optim_wrapper = object()
    nan_loss_hook._log_skipped_steps(runner)
    assert len(messages) == len(scalars) == 1
