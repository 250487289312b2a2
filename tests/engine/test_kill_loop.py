"""A training run that is killed many times ends with the weights of the run that was not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmseg")

KILLS = 25
ITERATIONS = 60
SCRIPT = Path(__file__).with_name("kill_loop.py")


@pytest.fixture
def config(tiny_config, tmp_path):
    """The tiny run by iterations: a checkpoint after each, dropout, and a moving average."""
    path = tmp_path / "killed.py"
    path.write_text(
        f"_base_ = [{str(tiny_config)!r}]\n"
        f"train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters={ITERATIONS},\n"
        "                 val_interval=30)\n"
        "train_dataloader = dict(sampler=dict(_delete_=True, type='InfiniteSampler'))\n"
        f"param_scheduler = [dict(type='PolyLR', end={ITERATIONS}, by_epoch=False)]\n"
        "default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1),\n"
        "                     logger=dict(interval=1000, log_metric_by_epoch=False))\n"
        "custom_hooks = [dict(type='EMAHook', momentum=0.05)]\n"
        "log_processor = dict(by_epoch=False)\n"
        "model = dict(decode_head=dict(dropout_ratio=0.1))\n"
    )
    return path


def run(config: Path, folder: Path, kills: int) -> dict:
    command = [sys.executable, str(SCRIPT), str(config), str(folder), str(kills), "7"]
    done = subprocess.run(command, capture_output=True, text=True)
    log = folder.with_suffix(".log")
    assert done.returncode == 0, done.stderr + (log.read_text()[-3000:] if log.exists() else "")
    return json.loads(done.stdout)


def assert_bit_equal(found, expected):
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_bit_equal(found[key], expected[key])
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_bit_equal(one, other)
    else:
        assert found == expected


@pytest.mark.slow
def test_a_run_that_is_killed_25_times_ends_bit_equal(config, tmp_path):
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    assert run(config, unbroken, 0)["status"] == 0
    report = run(config, killed, KILLS)
    assert report["status"] == 0
    assert report["kills"] == KILLS
    assert len(set(report["reached"])) > KILLS / 2  # most starts came further
    assert report["reached"][-1] < ITERATIONS  # the run was not over before the last kill

    last = f"iter_{ITERATIONS}.pth"
    expected = torch.load(unbroken / last, weights_only=False)
    found = torch.load(killed / last, weights_only=False)
    for part in ("state_dict", "ema_state_dict", "optimizer", "param_schedulers"):
        assert_bit_equal(found[part], expected[part])
    # Nothing is left of the kills, and the same checkpoint was the best.
    files = {path.name for path in unbroken.iterdir() if path.is_file()}
    assert {path.name for path in killed.iterdir() if path.is_file()} == files
