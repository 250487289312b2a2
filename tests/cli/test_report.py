"""Reports from the command line."""

import subprocess
import sys

import pytest

from mmseg_heritage.cli import main


@pytest.fixture
def runs(tmp_path, random_counts, another_model, tested_run, monkeypatch):
    """The folder of two tested runs; the current one."""
    counts = random_counts(images=24)
    tested_run(tmp_path / "unet", counts)
    tested_run(tmp_path / "segformer", another_model(counts, gain=0.4), seed=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_file_and_what_to_know_of_it(runs, capsys):
    arguments = ["report", "unet", "--out", "out/unet.html"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "note: Without pictures" in out
    assert out.endswith("report: out/unet.html\n")
    assert main(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["report", "new=unet", "segformer", "--out", "two.html", "--reference", "new"]) == 0
    assert "segformer is higher than new" in (runs / "two.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["unet", "--pictures", "nowhere"], "nowhere: no such folder; test.py --show-dir writes"),
        (["unet", "segformer", "--pictures", "unet"], "in their order: 2; found 1"),
        (["unet", "segformer", "--reference", "x"], "no run is named 'x'"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(runs, arguments, message, capsys):
    assert main(["report", *arguments, "--out", "out.html"]) == 2
    assert message in capsys.readouterr().err
    assert not (runs / "out.html").exists()


def test_neither_torch_nor_mmseg_is_loaded(runs):
    code = (
        "import sys\n"
        "from mmseg_heritage.cli import main\n"
        "assert main(['report', 'unet', '--out', 'out.html']) == 0\n"
        "heavy = {'torch', 'mmengine', 'mmseg', 'mmcv', 'scipy', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=runs)
    assert done.returncode == 0, done.stderr
