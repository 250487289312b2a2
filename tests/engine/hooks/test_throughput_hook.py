"""Throughput, against a clock that the test turns."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.engine.hooks import ThroughputHook, throughput_hook


class Clock:
    """Stands in for the module ``time``."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throughput_hook, "time", clock)
    monkeypatch.setattr(throughput_hook.torch.cuda, "is_available", lambda: False)
    return clock


def make_runner(folder, max_iters):
    messages, scalars = [], []
    return SimpleNamespace(
        iter=0, max_iters=max_iters, work_dir=str(folder), messages=messages, scalars=scalars,
        optim_wrapper=None, logger=SimpleNamespace(info=messages.append),
        visualizer=SimpleNamespace(add_scalars=lambda s, step: scalars.append((step, s))),
    )  # fmt: skip


def train(hook, runner, clock, wait=0.25, work=0.75, images=4, validate_after=()):
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    while runner.iter < runner.max_iters:
        slow = runner.iter < hook.warmup_iters
        clock.now += wait
        hook.before_train_iter(runner, 0)
        clock.now += 50 if slow else work
        hook.after_train_iter(runner, 0, {"data_samples": [None] * images})
        runner.iter += 1
        if runner.iter in validate_after:
            clock.now += 1000
            hook.after_val(runner)
    hook.after_train(runner)
    return json.loads(Path(runner.work_dir, "throughput.json").read_text())


def test_warm_up_and_validation_are_left_out(tmp_path, clock):
    runner = make_runner(tmp_path, 12)
    summary = train(
        ThroughputHook(interval=4, warmup_iters=2), runner, clock, validate_after=(3, 6)
    )
    assert summary["images_per_second"] == pytest.approx(4)
    assert summary["data_wait_share"] == pytest.approx(0.25)
    assert summary["seconds_per_iteration"] == pytest.approx(1)
    assert summary["iterations"] == [1, 12]
    assert summary["iterations_measured"] == 10
    assert summary["warmup_iterations_left_out"] == 2
    assert [step for step, _ in runner.scalars] == [6, 10, 12]
    for _, scalars in runner.scalars:
        assert scalars["throughput.images_per_second"] == pytest.approx(4)
        assert scalars["throughput.peak_rss_mib"] > 50
    assert "4.00 images/s, 25 % of the time waiting for data; peak rss" in runner.messages[0]


def test_time_left_counts_what_passes_between_iterations(tmp_path, clock):
    runner = make_runner(tmp_path, 11)
    train(ThroughputHook(interval=5, warmup_iters=1), runner, clock, validate_after=(3,))
    # 5 iterations of a second and a validation of 1000 seconds, and 5 iterations to come.
    assert runner.scalars[0][1]["throughput.seconds_left"] == pytest.approx(1005)
    assert "about 0:16:45 left" in runner.messages[0]
    assert runner.scalars[1][1]["throughput.seconds_left"] == 0


def test_a_run_that_ends_in_its_warm_up_says_that_nothing_was_measured(tmp_path, clock):
    runner = make_runner(tmp_path, 2)
    summary = train(ThroughputHook(), runner, clock)
    assert summary["images_per_second"] is None
    assert summary["warmup_iterations_left_out"] == 2
    assert not runner.scalars


def test_a_run_that_was_over_keeps_its_summary(tmp_path, clock):
    runner = make_runner(tmp_path, 12)
    summary = train(ThroughputHook(interval=4, warmup_iters=2), runner, clock)
    assert train(ThroughputHook(), runner, clock) == summary


def test_the_device_is_waited_for_at_the_ends_of_intervals_only(tmp_path, clock, monkeypatch):
    runner, waits = make_runner(tmp_path, 22), []
    monkeypatch.setattr(throughput_hook, "_synchronize", lambda: waits.append(runner.iter + 1))
    train(ThroughputHook(interval=10, warmup_iters=2), runner, clock)
    assert waits == [2, 12, 22]


def test_a_run_writes_its_summary(tiny_run):
    summary = json.loads((tiny_run.folder / "throughput.json").read_text())
    assert summary["iterations"] == [1, 3]
    assert summary["processes"] == 1
