"""What a training run says about itself."""

import json

import torch

from mmseg_heritage.data.splits import load_split


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
