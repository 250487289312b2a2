"""Splits and class weights from the command line, from making them to reading them."""

import json
import os

import pytest

from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.weights.weight_formulas import load_class_weights


@pytest.mark.slow
def test_splits_are_made_checked_and_weighed(copied_sample_set, capsys):
    root = str(copied_sample_set)
    arguments = ["make-splits", "--data-root", root]
    options = ["--kinds", "kfold", "leave-one-content-out", "--folds", "3", "--val-percent", "25"]
    assert main([*arguments, *options]) == 0
    made = capsys.readouterr().out.split()
    content = json.loads((copied_sample_set / "splits" / "kfold-3" / "fold-1.json").read_text())
    assert content["val_share"] == 0.25
    assert main([*arguments, "--check"]) == 0
    out = capsys.readouterr().out
    assert all(path in out for path in made)
    assert f"{len(made) + 1} manifests: sound" in out  # the one of the sample set besides

    weights = ["class-weights", "--data-root", root, "--split-file", "splits/kfold-3"]
    assert main([*weights, "--max-ratio", "5"]) == 0
    path = copied_sample_set / "class_weights" / "kfold-3" / "fold-3.json"
    used = [w for w in load_class_weights(path, 16) if w]
    assert max(used) <= 5.001 * min(used)
    assert path.with_suffix(".png").is_file()
    assert "largest ratio" in capsys.readouterr().out
    assert main(weights) == 2
    assert "already there" in capsys.readouterr().err


def test_one_manifest_is_one_manifest(sample_set, capsys):
    assert main(["make-splits", "--data-root", str(sample_set), "--check"]) == 0
    assert "\n1 manifest: sound" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make-splits", "--percent", "80", "15", "15"], "add up to 100, found 80 15 15"),
        (["make-splits", "--percent", "nan", "15", "15"], "add up to 100"),
        (["make-splits", "--val-percent", "100"], "between 0 and 100 percent, found 100"),
        (["make-splits", "--folds", "40"], "40 folds need at least 40 objects"),
        (["make-splits", "--kinds", "loo"], "found 'loo'"),
        (["make-splits", "--check", "--out", "nowhere"], "no split manifests here"),
        (["class-weights", "--formula", "x"], "no class-weight formula 'x'"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(
    arguments, message, sample_set, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in arguments else ["--out", "out"]
    assert main([*arguments, "--data-root", str(sample_set), *out]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "counting" not in error  # options are looked at before the data
    assert not list(tmp_path.iterdir())


def test_names_of_older_encodings_are_escaped(copied_sample_set, capsys):
    images = copied_sample_set / "images"
    first = sorted(images.iterdir())[0]
    first.rename(os.fsdecode(os.fsencode(images) + b"/caf\xe9.png"))
    assert main(["make-splits", "--data-root", str(copied_sample_set)]) == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert r"caf\xe9.png" in said
