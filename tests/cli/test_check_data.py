"""The command check-data: exit codes for continuous integration, table and JSON."""

import json

import pytest
from PIL import Image

from mmseg_heritage.cli import main


def _command(root, *options):
    return ["check-data", "--data-root", str(root), *map(str, options)]


def test_a_sound_set_passes(sample_set, tmp_path, capsys):
    report = tmp_path / "reports" / "check.json"
    assert main(_command(sample_set, "--strict", "--workers", 2, "--json", report)) == 0
    out = capsys.readouterr()
    assert out.out.splitlines()[-1] == "passed: 0 faults, 0 warnings"
    assert "12/12" in out.err  # the progress bar
    content = json.loads(report.read_text())
    assert (content["schema"], content["passed"]) == ("mmseg_heritage/check/1", True)


def test_a_fault_gives_code_1_and_a_warning_does_so_if_strict(copied_sample_set, tmp_path, capsys):
    (copied_sample_set / "images" / "notes.txt").write_text("x")
    report = tmp_path / "check.json"
    assert main(_command(copied_sample_set)) == 0
    assert main(_command(copied_sample_set, "--strict", "--json", report)) == 1
    assert json.loads(report.read_text())["passed"] is False
    path = copied_sample_set / "annotations" / "sample_0003.png"
    Image.open(path).convert("RGB").save(path)
    capsys.readouterr()
    assert main(_command(copied_sample_set)) == 1
    out = capsys.readouterr().out
    assert "annotations/sample_0003.png: expected a mask with one channel" in out
    assert out.splitlines()[-1] == "FAILED: 1 fault, 1 warning"


def test_an_earlier_report_is_kept_unless_asked(sample_set, tmp_path, capsys):
    report = tmp_path / "check.json"
    report.write_text("mine")
    assert main(_command(sample_set, "--json", report)) == 2
    captured = capsys.readouterr()
    assert "already there; add --overwrite" in captured.err
    assert "checking" not in captured.err  # said before the work
    assert report.read_text() == "mine"
    assert main(_command(sample_set, "--json", report, "--overwrite")) == 0
    assert json.loads(report.read_text())["num_images"] == 12


def test_max_distance_minus_1_looks_for_no_near_duplicates(copied_sample_set):
    for folder in ("images", "annotations"):
        with Image.open(copied_sample_set / folder / "sample_0003.png") as image:
            mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mirrored.save(copied_sample_set / folder / "sample_0005.png")
    assert main(_command(copied_sample_set, "--strict")) == 1
    assert main(_command(copied_sample_set, "--strict", "--max-distance", -1)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "workers: expected at least 1, found 0"),
        (["--json", "FILE/check.json"], "check.json: cannot be written"),
    ],
)
def test_wrong_arguments_give_code_2(options, message, sample_set, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    options = [option.replace("FILE", str(tmp_path / "file")) for option in options]
    assert main(_command(sample_set, *options)) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_data_set_gives_code_2(tmp_path, capsys):
    assert main(_command(tmp_path / "nowhere")) == 2
    assert "the data root does not exist" in capsys.readouterr().err
