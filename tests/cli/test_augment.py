"""Augmented copies from the command line, and a training on them."""

import pytest

pytest.importorskip("mmseg")

from mmseg_heritage.apis.training import train
from mmseg_heritage.cli import main


@pytest.mark.slow
def test_copies_are_made_and_trained_on(sample_set, tiny_config, tmp_path, capsys):
    out = tmp_path / "augmented"
    arguments = ["augment", "--data-root", str(sample_set), "--out", str(out)]
    assert main([*arguments, "--copies", "1", "--tier", "heritage"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 12 photographs, and 8 copies of 8 of them" in printed
    options = dict(pair.split("=") for pair in printed.split("train with:")[1].split())
    folder = train(
        tiny_config, work_dir=str(tmp_path / "run"), cfg_options={**options, "max_iters": 1}
    )
    assert (folder / "iter_1.pth").is_file()
    assert (folder / "split.json").read_text().count("_aug1") == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tier", "extreme"], "augmentation must be one of none, light, medium"),
        (["--copies", "0"], "copies must be a positive integer, found 0"),
        (["--split-file", "nowhere.json"], "expected a split manifest"),
        (["--data-root", "nowhere"], "the data root does not exist"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(
    arguments, message, sample_set, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    root = [] if "--data-root" in arguments else ["--data-root", str(sample_set)]
    assert main(["augment", "--out", "out", *root, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
