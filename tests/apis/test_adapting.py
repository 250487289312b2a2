"""test --adapt: the same checkpoint with and without, and what is said of the difference."""

import json

import numpy as np
import pytest

from mmseg_heritage.apis.testing import test as run_test
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import load_counts
from mmseg_heritage.evaluation.summary import load_metrics

pytestmark = pytest.mark.slow  # two whole tests; tests/domains/adaptation has the parts


@pytest.fixture(scope="module")
def adapted(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapted")
    arguments = [
        *("test", str(tiny_run.checkpoint), "--work-dir", str(folder), "--adapt", "tent"),
        *("--adapt-options", "lr=0.05", "statistics=mix", "--out", str(folder / "maps")),
    ]
    assert main(arguments) == 0
    return folder


def test_both_tests_are_whole_and_say_how_they_were_made(adapted, tiny_run):
    plain, other = (load_metrics(f / "evaluation" / "metrics.json")
                    for f in (adapted, adapted / "adapted_tent"))  # fmt: skip
    assert plain["run"]["adaptation"] is None
    settings = other["run"]["adaptation"]
    assert (settings["method"], settings["lr"], settings["statistics"]) == ("tent", 0.05, "mix")
    assert settings["episodic"] is True
    assert plain["run"]["checkpoint_sha256"] == other["run"]["checkpoint_sha256"]
    maps = adapted / "maps"
    names = sorted(path.name for path in maps.glob("*.png"))
    assert names == sorted(path.name for path in (maps / "adapted_tent").glob("*.png"))
    assert len(names) == plain["images"]


def test_the_plain_test_is_the_test_without_adaptation(adapted, tiny_run, tmp_path):
    run_test(tiny_run.checkpoint, work_dir=str(tmp_path), skip_data_check=True)
    alone, beside, changed = (
        load_counts(f / "evaluation" / "per_image.npz").confusion
        for f in (tmp_path, adapted, adapted / "adapted_tent")
    )
    assert np.array_equal(alone, beside)
    assert not np.array_equal(beside, changed)


def test_the_summary_has_differences_and_how_much_is_called_clean(adapted):
    content = json.loads((adapted / "adapted_tent" / "adaptation.json").read_text())
    for entry in content["scores"].values():
        assert entry["difference"] == pytest.approx(entry["adapted"] - entry["source"])
    assert {"mIoU", "damage_IoU"} <= content["scores"].keys()
    counts = load_counts(adapted / "adapted_tent" / "evaluation" / "per_image.npz")
    total = counts.confusion.sum()
    assert content["predicted_clean"]["adapted"] == pytest.approx(
        100 * counts.confusion[:, :, 0].sum() / total
    )
    assert content["predicted_clean"]["truth"] == pytest.approx(
        100 * counts.confusion[:, 0].sum() / total
    )
    assert (adapted / "adapted_tent" / "comparison" / "compare.md").is_file()


def test_results_that_are_there_are_kept(adapted, tiny_run):
    with pytest.raises(InputError, match="results of an adaptation are already there"):
        run_test(tiny_run.checkpoint, work_dir=str(adapted), adapt={"method": "tent"})


@pytest.mark.parametrize(
    ("adapt", "message"),
    [
        ({"method": "tent", "rate": 1}, "an adaptation has the settings method, statistics"),
        ({"method": "tent", "steps": 0.5}, "steps=0.5"),
    ],
)
def test_settings_are_refused_before_anything_is_tested(adapt, message, tiny_run, tmp_path):
    with pytest.raises(InputError) as caught:
        run_test(tiny_run.checkpoint, work_dir=str(tmp_path / "new"), adapt=adapt)
    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_options_without_a_method_are_refused(tiny_run, capsys):
    assert main(["test", str(tiny_run.checkpoint), "--adapt-options", "lr=1"]) == 2
    assert "--adapt-options needs --adapt" in capsys.readouterr().err
