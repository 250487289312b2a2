"""A training run that is killed many times ends with the weights of the run that was not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmseg")

SCRIPT = Path(__file__).with_name("kill_loop.py")


def write_config(tiny_config: Path, path: Path, iterations: int) -> Path:
    """The tiny run by iterations: a checkpoint after each, dropout, and a moving average."""
    path.write_text(
        f"_base_ = [{str(tiny_config)!r}]\n"
        f"train_cfg = dict(_delete_=True, type='ResumableIterLoop', max_iters={iterations},\n"
        f"                 val_interval={iterations // 2})\n"
        "train_dataloader = dict(sampler=dict(_delete_=True, type='NumberedInfiniteSampler'))\n"
        f"param_scheduler = [dict(type='PolyLR', end={iterations}, by_epoch=False)]\n"
        "default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1),\n"
        "                     logger=dict(interval=1000, log_metric_by_epoch=False))\n"
        "custom_hooks = [dict(type='EMAHook', momentum=0.05)]\n"
        "log_processor = dict(by_epoch=False)\n"
        "model = dict(decode_head=dict(dropout_ratio=0.1))\n"
    )
    return path


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
@pytest.mark.parametrize(("kills", "iterations"), [(2, 14), (25, 60)])
def test_a_run_that_is_killed_ends_bit_equal(kills, iterations, tiny_config, tmp_path):
    config = write_config(tiny_config, tmp_path / "killed.py", iterations)
    numbers = map(str, (kills, iterations, 7))
    command = [sys.executable, str(SCRIPT), str(config), str(tmp_path), *numbers]
    done = subprocess.run(command, capture_output=True, text=True)
    log = tmp_path / "killed.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-3000:] if log.exists() else "")
    report = json.loads(done.stdout.splitlines()[-1])  # the forks print when they are imported
    print(report)
    assert report["statuses"] == [0, 0]
    assert len(report["reached"]) == kills
    assert len(set(report["reached"])) >= kills / 2  # most starts came further
    assert kills < 5 or report["cut"]  # some died with half a checkpoint written
    assert report["reached"][-1] < iterations  # the run was not over before the last kill

    expected, found = (
        torch.load(tmp_path / run / f"iter_{iterations}.pth", weights_only=False)
        for run in ("unbroken", "killed")
    )
    for part in ("state_dict", "ema_state_dict", "optimizer", "param_schedulers"):
        assert_bit_equal(found[part], expected[part])
    # Nothing is left of the kills, and the same checkpoint was the best.
    files = [
        {path.name for path in (tmp_path / run).iterdir() if path.is_file()}
        for run in ("unbroken", "killed")
    ]
    assert files[0] == files[1]
