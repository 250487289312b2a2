"""What a training run writes and starts from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmseg_heritage.apis.training import _turn_amp_on, train
from mmseg_heritage.errors import InputError


def test_a_run_writes_its_checkpoints_its_config_and_its_split(tiny_run):
    assert tiny_run.checkpoint.is_file()
    assert list(tiny_run.folder.glob("best_mIoU_*.pth"))
    assert (tiny_run.folder / "tiny.py").is_file()
    split = json.loads((tiny_run.folder / "split.json").read_text())
    original = json.loads((tiny_run.data / "splits" / "holdout.json").read_text())
    assert {k: sorted(v) for k, v in original["parts"].items()} == split["parts"]
    meta = torch.load(tiny_run.checkpoint, weights_only=False)["meta"]
    assert meta["seed"] == 42
    assert meta["dataset_meta"]["classes"][:2] == ("Clean", "Material loss")


def test_a_run_can_be_repeated(tiny_run, tmp_path):
    again = train(tiny_run.config, str(tmp_path / "again"), cfg_options={"max_iters": 3})
    first = torch.load(tiny_run.checkpoint, weights_only=False)["state_dict"]
    second = torch.load(again / "iter_3.pth", weights_only=False)["state_dict"]
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_load_from_is_where_a_job_starts_the_first_time(tiny_run, tmp_path):
    options = {"max_iters": 1, "load_from": str(tiny_run.checkpoint), "lr": 0.0}
    options["optim_wrapper.optimizer.weight_decay"] = 0.0
    folder = train(tiny_run.config, str(tmp_path / "run"), resume="auto", cfg_options=options)
    start = torch.load(tiny_run.checkpoint, weights_only=False)["state_dict"]
    end = torch.load(folder / "iter_1.pth", weights_only=False)["state_dict"]
    key = "backbone.layers.0.0.projection.weight"
    assert torch.allclose(start[key], end[key], atol=1e-6)


def test_a_run_that_goes_on_needs_no_pretrained_weights(tiny_run, tmp_path):
    backbone = tmp_path / "backbone.pth"
    state = torch.load(tiny_run.checkpoint, weights_only=False)["state_dict"]
    torch.save({n[9:]: v for n, v in state.items() if n.startswith("backbone.")}, backbone)
    options = {
        "max_iters": 2,
        "default_hooks.checkpoint.interval": 1,
        "pretrained": str(backbone),
    }
    whole = train(tiny_run.config, str(tmp_path / "whole"), cfg_options=options)
    backbone.unlink()
    resumed = train(
        tiny_run.config, str(tmp_path / "rest"), str(whole / "iter_1.pth"), cfg_options=options
    )
    first, second = (
        torch.load(folder / "iter_2.pth", weights_only=False)["state_dict"]
        for folder in (whole, resumed)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    with pytest.raises(InputError, match=r"backbone\.pth"):
        train(tiny_run.config, str(tmp_path / "new"), cfg_options=options)


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [
        ({"type": "OptimWrapper"}, {"type": "DeviceAmpOptimWrapper"}),
        (
            {"type": "DeviceAmpOptimWrapper", "dtype": "float32"},
            {"type": "DeviceAmpOptimWrapper", "dtype": "auto"},
        ),
        (
            {"type": "AmpOptimWrapper", "dtype": "bfloat16"},
            {"type": "DeviceAmpOptimWrapper", "dtype": "bfloat16"},
        ),
    ],
)
def test_amp_on_request(wrapper, expected):
    cfg = Config({"optim_wrapper": wrapper})
    _turn_amp_on(cfg)
    assert cfg.optim_wrapper == expected


def test_what_the_console_and_the_log_file_say(tiny_config, tmp_path, capfd):
    options = {"max_iters": 4, "train_cfg.val_interval": 2}
    folder = train(tiny_config, work_dir=str(tmp_path / "run"), cfg_options=options)
    said = capfd.readouterr().out
    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
    names = ["model", "data", "plan", "set", "log", "step", "2", "4"]
    assert [line.split()[0] for line in lines[:8]] == names
    assert "4 steps of 2 images, crops of 64 px, AdamW at up to 0.001" in lines[2]
    assert "max_iters=4, train_cfg.val_interval=2" in lines[3]
    assert len(lines) < 30
    assert not set(said) & set("\x1b\r")
    log = Path(lines[4].split()[1]).read_text()
    assert "per class results" in log
    assert "backbone=dict(" in log
    # And at the end how good the model is, and what to do next.
    assert "all Clean" in said
    (best,) = folder.glob("best_*.pth")
    assert f"mmseg-heritage test {best}" in said
    assert f"mmseg-heritage predict {best} PHOTOS --out DIR" in said


def test_a_folder_that_another_process_writes_into_is_refused(tiny_config, tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from mmseg_heritage.utils.folder_lock import locked_folder\n"
        "with locked_folder(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=rf"another command .*process {other.pid}"):
            train(tiny_config, work_dir=str(tmp_path / "run"), cfg_options={"max_iters": 1})
        other.kill()
