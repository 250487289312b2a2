"""The lines of a run on the console: their columns, their marks, and where there is no bar."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from mmseg_heritage.engine.hooks.console_hook import ConsoleHook


def runner(by_epoch=True, steps=12):
    """What the hook reads of a Runner, of epochs of 4 steps."""
    hub = MessageHub.get_instance(f"console {by_epoch} {steps}")
    hub.log_scalars.clear()
    hub.runtime_info.clear()
    loop = SimpleNamespace(run_epoch=None) if by_epoch else SimpleNamespace()
    return SimpleNamespace(
        iter=0, epoch=0, max_iters=steps, max_epochs=steps // 4, train_loop=loop, message_hub=hub,
        train_dataloader=range(4), val_dataloader=range(3),
    )  # fmt: skip


def train_epoch(hook, run, losses):
    """Calls the hook as mmengine's loop over epochs does."""
    hook.before_train_epoch(run)
    for index, loss in enumerate(losses):
        run.message_hub.update_scalar("train/loss", loss)
        hook.after_train_iter(run, index)
        run.iter += 1
    hook.after_train_epoch(run)
    run.epoch += 1


def validate(hook, run, **metrics):
    """Does so for a validation, of which the highest mIoU is the best."""
    hook.before_val_epoch(run)
    hook.after_val_iter(run, 0)
    best = max(metrics["mIoU"], run.message_hub.runtime_info.get("best_score", -1))
    run.message_hub.update_info("best_score", best)
    hook.after_val_epoch(run, metrics)


@pytest.fixture
def hook():
    return ConsoleHook(["mIoU", "damage_IoU"], lambda runner: "the plan")


def printed(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_one_line_for_each_epoch_with_the_mean_of_its_losses(hook, capsys):
    run = runner()
    hook.before_train(run)
    train_epoch(hook, run, [4, 2, 2, 0])
    validate(hook, run, mIoU=10.0, damage_IoU=20.0)
    train_epoch(hook, run, [1, 1, 1, 1])  # not validated
    train_epoch(hook, run, [0.5] * 4)
    validate(hook, run, mIoU=10.0)  # no better, and without one of the scores
    hook.after_train(run)
    lines = printed(capsys)
    assert lines[0] == ["the", "plan"]
    assert lines[1] == ["epoch", "loss", "mIoU", "damage_IoU", "best", "time", "left"]
    assert [line[:5] for line in lines[2:]] == [
        ["1", "2.0000", "10.00", "20.00", "10.00*"],
        ["2", "1.0000", "-", "-", "-"],
        ["3", "0.5000", "10.00", "-", "10.00"],
    ]
    assert lines[-1][-1] == "0:00:00"


def test_in_iterations_a_line_comes_with_each_validation(hook, capsys):
    run = runner(by_epoch=False)
    hook.before_train(run)
    hook.before_train_epoch(run)  # mmengine calls this once
    for step in range(12):
        run.message_hub.update_scalar("train/loss", float(step))
        hook.after_train_iter(run, step)
        run.iter += 1
        if run.iter % 6 == 0:
            validate(hook, run, mIoU=float(step))
    hook.after_train_epoch(run)
    hook.after_train(run)
    lines = printed(capsys)
    assert lines[1][0] == "step"
    assert [line[:3] for line in lines[2:]] == [["6", "2.5000", "5.00"], ["12", "8.5000", "11.00"]]


def test_the_time_left_counts_from_where_a_run_went_on(hook, capsys, monkeypatch):
    now = iter([100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    run = runner(steps=80)
    run.iter, run.epoch = 40, 10
    hook.before_train(run)
    train_epoch(hook, run, [1] * 4)  # 10 s for 4 of the 40 steps that are left
    hook.after_train(run)
    assert printed(capsys)[-1][-2:] == ["0:00:10", "0:01:30"]


def test_a_bar_is_for_terminals_only_and_goes_away(hook, capsys, monkeypatch):
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda shown=is_terminal: shown, raising=False)
        run = runner()
        hook.before_train(run)
        train_epoch(hook, run, [1, 1])
        hook.close()
        shown = capsys.readouterr().err
        assert ("epoch 1 of 3" in shown) is is_terminal
        assert shown.endswith("\x1b[2K" * is_terminal)  # the line is erased


def test_other_processes_print_nothing(hook, capsys, monkeypatch):
    monkeypatch.setattr("mmseg_heritage.engine.hooks.console_hook.is_main_process", lambda: False)
    run = runner()
    hook.before_train(run)
    train_epoch(hook, run, [1, 1])
    hook.after_train(run)
    assert capsys.readouterr().out == ""
