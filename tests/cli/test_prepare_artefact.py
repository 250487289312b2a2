"""The command that makes the data folder, alone and with those that come after it."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.layout import read_folder

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory):
    """Folder of Parquet files in the hub's schema, with 14 rows of 96 x 72 pixels. Read only."""
    path = Path(__file__).parents[1] / "dataprep" / "hub" / "conftest.py"
    spec = importlib.util.spec_from_file_location("hub_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_hub_folder(tmp_path_factory.mktemp("hub") / "hub", 14, (96, 72))


def test_the_summary_says_what_is_where_and_what_comes_next(hub_folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["prepare-artefact", str(hub_folder), "--out", str(out), "--num-rows", "14"]
    assert main([*arguments, "--revision", "v1"]) == 0
    text = capsys.readouterr().out
    assert "14 photographs with annotation, " in text
    assert f"MB, revision v1: {out}" in text
    assert "28 files written now, 0 were there" in text
    assert f"check-data --data-root {out}" in text
    assert "max-side" not in text
    assert main([*arguments, "--revision", "v1"]) == 0
    assert "0 files written now, 28 were there" in capsys.readouterr().out


def test_losses_are_a_table(hub_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["prepare-artefact", str(hub_folder), "--out", str(out), "--max-side", "9"]) == 0
    text = capsys.readouterr().out
    assert "what --max-side did to the classes" in text
    for loss in json.loads((out / "manifest.json").read_text())["losses"]:
        (line,) = (line for line in text.splitlines() if line.startswith(f"{loss['name']}  "))
        cells = re.split(r" {2,}", line)
        assert cells[1:5] == [
            "14",
            str(loss["lost_in"]),
            f"{loss['expected']:,}",
            f"{loss['kept']:,}",
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["{hub}", "--num-rows", "418"], "expected 418 rows, found 14 in 2 files"),
        (["{hub}", "--max-side", "0"], "max_side: expected a number of pixels of at least 1"),
        (["{hub}", "--out", "{hub}"], "the folder holds other files, such as train-00000-of"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(
    arguments, message, hub_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    before = sorted(hub_folder.iterdir())
    arguments = [argument.format(hub=hub_folder) for argument in arguments]
    out = [] if "--out" in arguments else ["--out", "out"]
    assert main(["prepare-artefact", *arguments, *out]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert sorted(hub_folder.iterdir()) == before


def test_without_sources_the_files_are_downloaded(hub_folder, tmp_path, monkeypatch):
    asked = []

    def snapshot_download(name, revision, **options):
        asked.append((name, revision))
        return str(hub_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert main(["prepare-artefact", "--out", str(tmp_path / "out"), "--revision", "v1"]) == 0
    assert asked == [("danielaivanova/damaged-media", "v1")]
    assert len(read_folder(tmp_path / "out")) == 14


def test_a_missing_pyarrow_is_one_message_before_any_download(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for sources in ([], [str(tmp_path)]):
        assert main(["prepare-artefact", *sources, "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.count("pip install pyarrow") == 1
        assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_the_whole_path_from_the_hub_to_a_trained_model(hub_folder, tiny_config, tmp_path):
    pytest.importorskip("mmseg")
    root, run = tmp_path / "data", tmp_path / "run"
    data = ["--data-root", str(root)]
    split = "splits/holdout.json"
    options = [f"data_root={root}", f"split_file={split}", "max_iters=2",
               f"class_weights={root / 'class_weights' / 'holdout.json'}"]  # fmt: skip
    for command in (
        ["prepare-artefact", str(hub_folder), "--out", str(root)],
        ["check-data", *data],
        ["make-splits", *data, "--kinds", "holdout", "--percent", "60", "20", "20"],
        ["make-splits", *data, "--check"],
        ["class-weights", *data, "--split-file", split],
        ["train", str(tiny_config), "--work-dir", str(run), "--cfg-options", *options],
    ):
        assert main(command) == 0, command
    assert (run / "iter_2.pth").is_file()
