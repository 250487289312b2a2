"""What a training run writes and starts from."""

import json

import pytest
import torch
from mmengine.config import Config

from mmseg_heritage.apis.training import _turn_amp_on, train


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
