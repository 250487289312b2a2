"""Losses that stay on the device until they are read. A CPU's stand in for those of a device."""

import json

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine import device_scalars
from mmseg_heritage.errors import InputError

# SGD and no check of labels: on a CPU, AdamW and the check read numbers that are no device's there.
OPTIONS = {
    "max_iters": 7,
    "train_cfg.val_interval": 7,
    "default_hooks.logger.interval": 3,
    "default_hooks.checkpoint.interval": 4,
    "default_hooks.nan_loss.interval": 3,
    "optim_wrapper.optimizer": {"type": "SGD", "lr": 0.01, "_delete_": True},
    "model.decode_head.loss_decode.0.check_labels": False,
    "model.decode_head.loss_decode.1.check_labels": False,
}


class Reads(TorchDispatchMode):
    """Counts what makes a process wait for a device: numbers that are read, unknown sizes."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal")
        name = func.overloadpacket.__name__
        if name in waits and (name != "_local_scalar_dense" or args[0].dtype != torch.int64):
            self.count += 1  # int64: the signal of the scheduler, which is the CPU's
        return func(*args, **(kwargs or {}))


@HOOKS.register_module()
class CountReadsForTests(Hook):
    """Notes how often each iteration waits, from its batch to its last hook."""

    priority = "LOWEST"
    counts = []  # noqa: RUF012

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.reads = Reads()
        self.reads.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.reads.__exit__(None, None, None)
        self.counts.append(self.reads.count)


def run(tiny_config, folder, **options):
    train(tiny_config, str(folder), cfg_options={**OPTIONS, **options}, skip_data_check=True)
    hub = torch.load(folder / "iter_4.pth", weights_only=False)["message_hub"]
    saved = {name: buffer.data[0].tolist() for name, buffer in hub["log_scalars"].items()}
    (file,) = folder.glob("*/vis_data/scalars.json")
    logged = [json.loads(line) for line in file.read_text().splitlines()]
    losses = [(line["step"], line["loss"]) for line in logged if "loss" in line]
    return {name: values for name, values in saved.items() if "loss" in name}, losses


def test_log_and_checkpoint_are_those_of_mmengine(tiny_config, tmp_path, monkeypatch):
    counting = {"custom_hooks": [{"type": "CountReadsForTests"}]}
    stock = {"default_hooks.runtime_info": {"type": "RuntimeInfoHook"}}
    CountReadsForTests.counts.clear()
    expected = run(tiny_config, tmp_path / "stock", **stock, **counting)
    assert len(expected[0]["train/loss"]) == 4
    assert [step for step, _ in expected[1]] == [3, 6]
    assert all(CountReadsForTests.counts)
    assert run(tiny_config, tmp_path / "at_once") == expected
    monkeypatch.setattr(device_scalars, "_waits", torch.is_tensor)
    CountReadsForTests.counts.clear()
    assert run(tiny_config, tmp_path / "deferred", **counting) == expected
    ends = (3, 4, 6, 7)  # lines of the log, the checkpoint, the end
    between = [n for step, n in enumerate(CountReadsForTests.counts, 1) if step not in ends]
    assert between == [0, 0, 0]


def test_a_loss_that_is_not_finite_is_found_at_the_end_of_its_interval(
    tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(device_scalars, "_waits", torch.is_tensor)
    hooks = [{"type": "PoisonForDeferredTests"}]
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="the loss of iteration 2 is not finite"):
        run(tiny_config, folder, custom_hooks=hooks)
    content = json.loads((folder / "nan_loss_iter_2.json").read_text())
    assert content["images"] == PoisonForDeferredTests.batches[1]
    assert len(PoisonForDeferredTests.batches) == 3
    assert not list(folder.glob("iter_*.pth"))


@HOOKS.register_module()
class PoisonForDeferredTests(Hook):
    """Breaks a weight before the second iteration, and keeps the names of each batch."""

    batches = []  # noqa: RUF012

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append([str(sample.img_path) for sample in data_batch["data_samples"]])
        if runner.iter == 1:
            next(runner.model.parameters()).data.fill_(float("nan"))
