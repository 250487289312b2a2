"""What a training run says about itself."""

import json

import torch
from mmengine.config import Config

from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.runs.environment import environment


def test_a_run_records_what_it_was_made_with(tiny_run):
    content = json.loads((tiny_run.folder / "environment.json").read_text())
    split = load_split(tiny_run.data / "splits" / "holdout.json")
    assert content["split"] == {"name": split.name, "sha256": split.digest()}
    assert content["seed"] == 42
    assert content["deterministic"] is False
    assert content["config_file"] == str(tiny_run.config)
    assert content["versions"]["torch"] == torch.__version__
    assert content["hardware"]["cpus"] >= 1
    assert content["config"]["model"]["decode_head"]["channels"] == 16
    assert content["git"] is None or len(content["git"]["commit"]) == 40
    assert content["earlier"] == []


def test_what_a_run_began_on_is_kept_when_it_goes_on_elsewhere(sample_set):
    split = load_split(sample_set / "splits" / "holdout.json")
    cfg = Config({"randomness": {"seed": 3}})
    first = environment(cfg, "a.py", split, {}, {})
    again = environment(cfg, "a.py", split, {}, first)
    assert first["earlier"] == again["earlier"] == []
    again["git"], again["processes"] = {"commit": "b" * 40, "changed": False}, 8
    elsewhere = environment(cfg, "a.py", split, {}, again)
    assert [(start["git"]["commit"][0], start["processes"]) for start in elsewhere["earlier"]] == [
        ("b", 8)
    ]
    assert environment(cfg, "a.py", split, {}, elsewhere)["earlier"] == elsewhere["earlier"]
