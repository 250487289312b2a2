"""What a model card says, from stamps and configs, without running any of them."""

import hashlib
import json
from dataclasses import replace

import pytest

from mmseg_heritage.dataprep.splits.split import SCHEMA, Split
from mmseg_heritage.evaluation.tested_runs import read_run
from mmseg_heritage.visualization.report.model_card import model_card, read_dump, training_config

CONFIG = """\
class_weights_file = dict(path='/somewhere/weights.json', sha256='ab12')
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='TimmBackboneAdapter', model_name='maxvit'),
    decode_head=[
        dict(type='UNetHead', loss_decode=dict(type='ClassWeightedDiceLoss')),
        dict(type='FCNHead', loss_decode=[dict(type='MaskedCrossEntropyLoss')]),
    ])
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=6e-05))
train_cfg = dict(max_epochs=50, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=32, dataset=dict(pipeline=[dict(type='RareClassCrop', size=384)]))
"""


def _facts(run):
    return {f"{part.title}: {name}": value for part in model_card(run) for name, value in part.rows}


@pytest.fixture
def folder(tmp_path, random_counts, tested_run):
    """A tested run with the config it was trained with."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.py").write_text(CONFIG)
    stamp = {
        "config": "/somewhere/mine.py",
        "data_root": "/home/someone/artefact",
        "parameters": 47_220_000,
        "device": {"type": "cpu", "name": "x86_64", "threads": 2},
        "time": {"model_ms": 12.34, "peak_memory_bytes": None},
        "versions": {"torch": "2.15.0"},
        "git": {"commit": "abc", "changed": True},
    }
    return tested_run(tmp_path / "run", random_counts(), **stamp)


def test_facts_of_a_run(folder):
    facts = _facts(read_run(folder))
    for name, value in {
        "Model: backbone": "TimmBackboneAdapter (maxvit)",
        "Model: decode head": "UNetHead, FCNHead",
        "Model: parameters": "47.2 million",
        "Data and split: split": "holdout",
        "Data and split: tested images": "12 of 6 source groups",
        "Data and split: data folder": "artefact",
        "Training: length": "50 epochs",
        "Training: batch size": "32",
        "Training: loss": "ClassWeightedDiceLoss, MaskedCrossEntropyLoss",
        "Training: learning rate": "6e-05",
        "Training: class weights": "weights.json",
        "Training: pretrained weights": "none",
        "Training: seed": "0",
        "Hardware and speed: device": "x86_64, threads: 2",
        "Hardware and speed: model alone": "12.3 ms per image",
        "Hardware and speed: peak memory of the GPU": "not recorded",
        "Versions: torch": "2.15.0",
        "Versions: commit of mmseg_heritage": "abc with uncommitted changes",
    }.items():
        assert facts[name] == value, name
    assert not [value for value in facts.values() if "/home" in value or "/somewhere" in value]


def test_the_license_of_the_weights_stands_beside_them(folder):
    config = CONFIG.replace("'maxvit'", "'maxvit', checkpoint_path='/home/someone/w.pth'")
    (folder / "mine.py").write_text(config + "pretrained_license = 'apache-2.0'\n")
    facts = _facts(read_run(folder))
    assert facts["Training: pretrained weights"] == "w.pth, license: apache-2.0"


def test_sizes_are_said_of_the_tested_split_only(folder):
    name = "Data and split: sizes of the parts"
    assert "no split.json" in _facts(read_run(folder))[name]
    split = Split("holdout", {"train": ("a", "b"), "val": ("c",), "test": ("d",)})
    (folder / "split.json").write_text(json.dumps({**split.to_json(), "schema": SCHEMA}))
    assert "another split" in _facts(read_run(folder))[name]
    run = read_run(folder)
    stamp = {**run.stamps[0], "split": {**run.stamps[0]["split"], "sha256": split.digest()}}
    assert _facts(replace(run, stamps=(stamp,)))[name] == "train 2, val 1, test 1"


def test_a_stamp_that_says_little_is_no_error(tmp_path, random_counts, tested_run):
    facts = _facts(read_run(tested_run(tmp_path / "run", random_counts())))
    assert facts["Model: parameters"] == "not recorded"
    assert "the config is not in the folder" in facts["Training: config"]
    digest = hashlib.sha256(b"holdout").hexdigest()
    assert facts["Data and split: split, SHA-256"] == digest


def test_folds_are_told_together(folder):
    run = read_run(folder)
    stamps = tuple({**run.stamps[0], "seed": seed} for seed in range(8))
    facts = _facts(replace(run, stamps=stamps, not_tested=("fold-9",)))
    assert facts["Training: seed"] == "0, 1, 2, 3, 4, 5 and 2 more"
    assert facts["Model: parameters"] == "47.2 million"
    assert facts["Data and split: folds not tested"] == "fold-9"


def test_a_config_is_read_and_never_run(folder, tmp_path):
    path = folder / "mine.py"
    path.write_text(
        "import os\n"
        f"open({str(tmp_path / 'ran')!r}, 'w')\n"
        f"a = open({str(tmp_path / 'ran')!r}, 'w')\n"
        "b = dict(c=[dict(d=1), (2, None)], e={'f': -1.5})\n"
        "g = [x for x in range(3)]\n"
        "h = dict(b)\n"
    )
    assert read_dump(path) == {"b": {"c": [{"d": 1}, (2, None)], "e": {"f": -1.5}}}
    assert not (tmp_path / "ran").exists()
    assert training_config(read_run(folder)) == read_dump(path)
    path.write_text("not python (")
    assert read_dump(path) == {}
