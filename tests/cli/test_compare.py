"""Runs compared from the command line."""

import subprocess
import sys

import pytest

from mmseg_heritage.cli import main


@pytest.fixture
def runs(tmp_path, random_counts, another_model, tested_run, monkeypatch):
    """The folder of two models, one of them with two seeds; the current one."""
    counts = random_counts(images=24)
    tested_run(tmp_path / "unet", counts)
    for seed in (1, 2):
        model = another_model(counts, gain=0.4, seed=seed)
        tested_run(tmp_path / f"segformer{seed}", model, seed=seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_and_files(runs, capsys):
    arguments = ["compare", "unet", "mine=segformer1,segformer2", "--out", "out"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("mine") and " mIoU " in line]
    assert "higher" in line
    assert "Spread over seeds" in out
    assert "tables and figures: out" in out
    assert (runs / "out" / "compare.tex").is_file()
    assert main(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite", "--reference", "mine"]) == 0
    assert "differences to mine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unet", "nowhere"], "nowhere: no such folder"),
        (["unet", "unet/evaluation"], "is given twice"),
        (["unet", "--reference", "x"], "no run is named 'x'; choose one of: unet"),
        (["unet", "--allow-different", "all"], "one of splits, parts, images, masks, classes"),
        (["unet", "--resamples", "50"], "use --resamples 640"),
        (["unet", "--resamples", "9" * 20], "more than the 100000 allowed"),
        (["unet", "--seed", "-1"], "seed: expected a number from 0 on, found -1"),
        (["segformer1,segformer2"], "several runs need a name"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(runs, arguments, message, capsys):
    assert main(["compare", *arguments, "--out", "out"]) == 2
    assert message in capsys.readouterr().err
    assert not (runs / "out").exists()


def test_nothing_heavy_is_loaded(runs):
    code = (
        "import sys\n"
        "from mmseg_heritage.cli import main\n"
        "assert main(['compare', 'unet', 'segformer1']) == 0\n"
        "heavy = {'torch', 'mmengine', 'mmseg', 'mmcv', 'matplotlib', 'scipy', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=runs)
    assert done.returncode == 0, done.stderr
