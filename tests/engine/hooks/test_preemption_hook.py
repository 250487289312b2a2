"""Leaving in time, and going on as if nothing had happened."""

import os
import signal
import time

import pytest
import torch
from torch.utils.data import DataLoader

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine.hooks import EXIT_PREEMPTED, preemption_hook
from mmseg_heritage.errors import InputError


@HOOKS.register_module()
class SignalForPreemptionTests(Hook):
    """Sends this process a signal at one moment of the run."""

    def __init__(self, number, iteration=None, in_validation=False):
        self.number = number
        self.iteration = iteration
        self.in_validation = in_validation

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), self.number)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.in_validation:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def config(tiny_config, tmp_path):
    """Everything that has a state: accumulation, clipping, moving average, dropout, workers."""
    path = tmp_path / "all.py"
    path.write_text(
        f"_base_ = [{str(tiny_config)!r}]\n"
        "train_dataloader = dict(num_workers=2, persistent_workers=True)\n"
        "optim_wrapper = dict(accumulative_counts=3, clip_grad=dict(max_norm=0.5))\n"
        "custom_hooks = [dict(type='EMAHook', momentum=0.1)]\n"
        "model = dict(backbone=dict(drop_path_rate=0.2), decode_head=dict(dropout_ratio=0.2))\n"
        "default_hooks = dict(checkpoint=dict(interval=1))\n"
        "train_cfg = dict(val_interval=1)\n"
    )
    return path


FUSED = {"optim_wrapper.optimizer.fused": True}


def options_of(**moment):
    hooks = [{"type": "EMAHook", "momentum": 0.1}]
    hooks += [{"type": "SignalForPreemptionTests", **moment}] if moment else []
    fused = FUSED if _has_fused_on_cpu() else {}
    return {"max_epochs": 2, "custom_hooks": hooks, **fused}


def _has_fused_on_cpu():
    weight = torch.nn.Parameter(torch.ones(1))
    try:
        optimizer = torch.optim.AdamW([weight], fused=True)
        weight.sum().backward()
        optimizer.step()
    except RuntimeError:  # before torch 2.4
        return False
    return True


def assert_same_weights(one, other):
    for part in ("state_dict", "ema_state_dict"):
        a, b = (torch.load(path, weights_only=False)[part] for path in (one, other))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
def test_a_run_that_was_preempted_twice_ends_as_the_unbroken_one(config, tmp_path):
    before = [signal.getsignal(number) for number in preemption_hook.SIGNALS]
    unbroken = train(config, str(tmp_path / "a"), cfg_options=options_of(), skip_data_check=True)
    run = tmp_path / "b"
    # In the middle of an accumulation and of an epoch (4 batches each); in a validation.
    for number, moment, saved in (
        (signal.SIGUSR1, {"iteration": 2}, "iter_2.pth"),
        (signal.SIGTERM, {"in_validation": True}, "iter_4.pth"),
    ):
        with pytest.raises(SystemExit) as left:
            train(
                config, str(run), resume=_newest(run), skip_data_check=True,
                cfg_options=options_of(number=int(number), **moment),
            )  # fmt: skip
        assert left.value.code == EXIT_PREEMPTED
        assert [signal.getsignal(number) for number in preemption_hook.SIGNALS] == before
        assert (run / "last_checkpoint").read_text() == str(run / saved)
    train(config, str(run), resume=_newest(run), cfg_options=options_of(), skip_data_check=True)
    assert_same_weights(run / "epoch_2.pth", unbroken / "epoch_2.pth")
    best = [sorted(path.name for path in f.glob("best_*")) for f in (unbroken, run)]
    assert best[0] == best[1]


def _newest(run):
    """A file, not 'auto': the hook that sends the signal is a difference in the config."""
    mark = run / "last_checkpoint"
    return mark.read_text() if mark.is_file() else None


def test_it_asks_for_the_hook_that_it_saves_with(tiny_config, tmp_path):
    options = {"max_iters": 1, "default_hooks.checkpoint.type": "CheckpointHook"}
    with pytest.raises(InputError, match=r"saves with WholeCheckpointHook, found \['CheckpointH"):
        train(tiny_config, str(tmp_path / "run"), cfg_options=options, skip_data_check=True)


class _Slow:
    """Takes a moment for each sample."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        time.sleep(0.05)
        return index


@pytest.mark.parametrize("number", preemption_hook.SIGNALS)
def test_workers_ignore_the_signal(number):
    loader = DataLoader(
        _Slow(), num_workers=2, worker_init_fn=preemption_hook.ignore_preemption_signals
    )
    batches = iter(loader)
    found = [next(batches), next(batches)]  # one of each worker: both have begun
    for worker in batches._workers:
        os.kill(worker.pid, number)
    found += list(batches)
    assert [int(batch) for batch in found] == list(range(6))
