"""The classes that were trained on: counted exactly, once an epoch, in every kind of run."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine.hooks import ClassFrequencyHook
from mmseg_heritage.engine.hooks.class_frequency_hook import class_counts, pixel_shares

CLASSES = ("Clean", "Peel", "Cracks")


class Visualizer:
    """Keeps what it is told."""

    def __init__(self):
        self.scalars = []

    def add_scalars(self, scalars, step):
        self.scalars.append((step, scalars))


def make_runner(messages):
    logger = SimpleNamespace(info=messages.append)
    dataset = SimpleNamespace(metainfo={"classes": CLASSES})
    return SimpleNamespace(
        train_loop=None, epoch=0, max_epochs=2, iter=0, logger=logger, visualizer=Visualizer(),
        train_dataloader=SimpleNamespace(dataset=dataset),
    )  # fmt: skip


def batch(labels):
    samples = []
    for label in labels:
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(label)[None])
        samples.append(sample)
    return {"data_samples": samples}


@settings(max_examples=30)
@given(seed=st.integers(0, 999), dtype=st.sampled_from([np.int64, np.uint8]))
def test_counts_and_shares_are_those_of_numpy(seed, dtype):
    generator = np.random.default_rng(seed)
    label = generator.choice([0, 1, 2, 255], (9, 11)).astype(dtype)
    counts = class_counts(torch.from_numpy(label)[None])
    for value in range(256):
        assert counts[value] == (label == value).sum()
    shares = pixel_shares(counts, 3)
    labeled = label[label != 255]
    if labeled.size:
        assert shares == pytest.approx([100 * (labeled == c).mean() for c in range(3)])
        assert shares.sum() == pytest.approx(100)
    assert not pixel_shares(np.zeros(256, np.int64), 3).any()


def test_an_epoch_is_summed_and_the_next_begins_anew():
    messages = []
    runner, hook = make_runner(messages), ClassFrequencyHook()
    generator = np.random.default_rng(0)
    for runner.epoch in range(2):
        hook.before_train_epoch(runner)
        labels = generator.choice([0, 2, 255], (3, 2, 8, 8), p=[0.6, 0.1, 0.3])
        labels[0, 0][labels[0, 0] == 2] = 0
        for two in labels:
            hook.after_train_iter(runner, 0, batch(two))
        hook.after_train_epoch(runner)
        step, scalars = runner.visualizer.scalars[-1]
        labeled = labels[labels != 255]
        assert step == runner.epoch + 1
        assert scalars["pixel_share.Cracks"] == pytest.approx(100 * (labeled == 2).mean())
        assert scalars["pixel_share.Peel"] == 0
        assert scalars["pixel_share.ignored"] == pytest.approx(100 * (labels == 255).mean())
        assert "in the 6 crops" in messages[-1]
        rows = [re.split(r" {2,}", row) for row in messages[-1].splitlines()[1:]]
        images = {name: number for name, _, number in rows}
        with_cracks = (labels == 2).any(axis=(2, 3)).sum()
        assert images["Cracks"] == str(with_cracks)
        assert images["Peel"] == "0"


def test_an_epoch_that_was_cut_short_leaves_nothing_behind():
    messages = []
    runner, hook = make_runner(messages), ClassFrequencyHook()
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner, 0, batch(np.full((1, 4, 4), 1)))
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner, 0, batch(np.full((1, 4, 4), 0)))
    hook.after_train_epoch(runner)
    assert runner.visualizer.scalars[0][1]["pixel_share.Peel"] == 0


def test_all_processes_are_summed(monkeypatch):
    """As if another process had seen the same."""
    from mmseg_heritage.engine.hooks import class_frequency_hook

    monkeypatch.setattr(class_frequency_hook, "all_reduce", lambda tensor: tensor.mul_(2))
    messages = []
    runner, hook = make_runner(messages), ClassFrequencyHook()
    hook.after_train_iter(runner, 0, batch(np.full((3, 4, 4), 1)))
    hook.after_train_epoch(runner)
    assert "in the 6 crops" in messages[0]
    assert runner.visualizer.scalars[0][1]["pixel_share.Peel"] == 100


def shares_in(folder):
    """Returns step -> shares, as the run wrote them."""
    lines = [
        json.loads(line)
        for log in sorted(folder.glob("*/vis_data/scalars.json"))
        for line in log.read_text().splitlines()
    ]
    return {
        line["step"]: {k: v for k, v in line.items() if k.startswith("pixel_share.")}
        for line in lines
        if "pixel_share.Clean" in line
    }


@pytest.mark.slow
def test_a_resumed_run_logs_the_epochs_that_are_left_and_ends_bit_equal(tiny_config, tmp_path):
    options = {"max_epochs": 2, "default_hooks.checkpoint.interval": 1}
    folder = train(tiny_config, work_dir=str(tmp_path / "run"), cfg_options=options)
    whole = shares_in(folder)
    assert sorted(whole) == [1, 2]
    for shares in whole.values():
        of_classes = [v for k, v in shares.items() if k != "pixel_share.ignored"]
        assert sum(of_classes) == pytest.approx(100)
    resumed = tmp_path / "resumed"
    train(
        tiny_config,
        work_dir=str(resumed),
        resume=str(folder / "epoch_1.pth"),
        cfg_options=options,
    )
    assert sorted(shares_in(resumed)) == [2]
    weights = [
        torch.load(run / "epoch_2.pth", weights_only=False)["state_dict"]
        for run in (folder, resumed)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    counted = [
        re.findall(r"in the (\d+) crops", log.read_text())
        for log in (*folder.glob("*/*.log"), *resumed.glob("*/*.log"))
    ]
    assert counted == [["7", "7"], ["7"]]  # the photographs of the training part, each epoch


def test_a_run_by_iterations_logs_before_validation(tiny_run):
    steps = shares_in(tiny_run.folder)
    assert sorted(steps) == [1, 2, 3]  # of 3 iterations, validated after each
