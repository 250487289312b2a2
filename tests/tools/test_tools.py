"""The scripts in tools/, from another folder."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = {
    "train.py": "Train a model.",
    "test.py": "Score a trained model",
    "compare.py": "Compare tested runs",
    "report.py": "Write one HTML file on a tested run",
    "predict.py": "Map the damage on photographs.",
    "review.py": "Make a page, used without a server,",
    "apply_review.py": "Correct predictions as reviewers say",
    "calibrate.py": "Make a model as sure as it is right",
    "learn.py": "Let a model learn from corrected photographs.",
    "convert.py": "Write damage maps in the formats",
    "init.py": "Look at a folder of photographs and masks",
    "prepare_artefact.py": "Make a folder of images and annotations",
    "import_data.py": "Make a data folder from another data set",
    "check_data.py": "Report every fault of a data set",
    "visualize.py": "Draw a tested run",
    "make_splits.py": "Make or check split manifests",
    "class_weights.py": "Count the classes of a split's training part",
    "model_stats.py": "Count the parameters and FLOPs",
    "augment.py": "Write augmented copies of training photographs as files.",
    "make_sample_data.py": "Generate a small data set",
    "export.py": "Write a trained model for others",
    "condition_record.py": "Write condition records of predicted photographs",
    "compare_photographs.py": "Lay a photograph over an earlier one",
    "benchmark_dg.py": "Compare methods on materials and contents",
    "doctor.py": "Say what is installed here, what will work",
}


def run_tool(name, *arguments, cwd):
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "tools" / name), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def test_all_tools_are_here():
    makes_weights = {"convert_efficientnet_lite.py"}  # by those who keep the package of weights
    assert {path.name for path in (REPOSITORY / "tools").glob("*.py")} == {
        *COMMANDS
    } | makes_weights


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_does(name, tmp_path):
    done = run_tool(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert COMMANDS[name] in done.stdout


@pytest.mark.slow
def test_training_from_another_folder(tiny_config, tmp_path):
    options = ["--cfg-options", "max_iters=1"]
    done = run_tool("train.py", str(tiny_config), "--work-dir", "run", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "iter_1.pth").is_file()


@pytest.mark.slow
def test_bad_input_ends_with_code_2(tmp_path):
    done = run_tool("train.py", "nowhere.py", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: nowhere.py: no such config file"
    assert not list(tmp_path.iterdir())
