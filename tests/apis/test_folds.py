"""The folds of a family are trained, tested and collected, and none is run twice."""

import json
import shutil
import statistics

import numpy as np
import pytest
from mmengine.config import Config

from mmseg_heritage.apis import folds as module
from mmseg_heritage.apis.folds import fold_table, run_folds
from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.dataprep.weights.weight_formulas import load_class_weights
from mmseg_heritage.errors import InputError

FOLDS = ("fold-1", "fold-2")


def _options(root):
    return {
        "data_root": str(root),
        "split_file": "splits/kfold-2",
        "max_iters": 1,
        "model.decode_head.loss_decode.1.class_weight": str(
            root / "class_weights" / "kfold-2" / "{fold}.json"
        ),
    }


@pytest.fixture(scope="module")
def finished(tiny_config, fold_set, tmp_path_factory):
    """The work folder of two folds that were run from the command line. Read only."""
    work = tmp_path_factory.mktemp("runs")
    pairs = [f"{key}={value}" for key, value in _options(fold_set).items()]
    arguments = ["train", str(tiny_config), "--work-dir", str(work), "--fold", "all"]
    assert main([*arguments, "--skip-data-check", "--cfg-options", *pairs]) == 0
    return work / "kfold-2"


def _scores(folder, fold):
    return json.loads((folder / fold / "evaluation" / "metrics.json").read_text())


@pytest.mark.slow
def test_each_fold_is_trained_and_tested_on_its_own_parts(finished, fold_set):
    for fold in FOLDS:
        manifest = load_split(fold_set / "splits" / "kfold-2" / f"{fold}.json")
        assert load_split(finished / fold / "split.json").parts == manifest.parts
        scores = _scores(finished, fold)
        assert scores["run"]["split"]["sha256"] == manifest.digest()
        assert scores["images"] == len(manifest.part("test"))
        assert f"kfold-2/{fold}.json" in (finished / fold / "tiny.py").read_text()
        weights = Config.fromfile(finished / fold / "tiny.py").model.decode_head.loss_decode[1]
        file = fold_set / "class_weights" / "kfold-2" / f"{fold}.json"
        assert weights.class_weight == load_class_weights(file)
        # Each fold has its own log, also where both began in one second.
        assert len(list((finished / fold).glob("*/*.log"))) == 1
        assert len(list((finished / fold / "evaluation").glob("*/*.log"))) == 1


@pytest.mark.slow
def test_mean_and_spread_are_those_of_the_folds(finished):
    content = json.loads((finished / "folds.json").read_text())
    assert list(content["folds"]) == list(FOLDS)
    assert content["not_tested"] == []
    for key in ("mIoU", "damage_IoU", "aAcc"):
        values = [_scores(finished, fold)["overall"][key] for fold in FOLDS]
        assert content["overall"][key] == {
            "mean": pytest.approx(statistics.mean(values)),
            "std": pytest.approx(statistics.stdev(values)),
            "n": 2,
        }
    for name, found in content["per_class_iou"].items():
        values = [
            _scores(finished, fold)["levels"]["fine"]["per_class"][name]["iou"] for fold in FOLDS
        ]
        values = [value for value in values if value is not None]
        assert found["n"] == len(values)
        assert found["mean"] == (pytest.approx(np.mean(values)) if values else None)
        assert (found["std"] is None) == (len(values) < 2)
    counts = sum(
        np.load(finished / fold / "evaluation" / "per_image.npz")["confusion"].sum(axis=0)
        for fold in FOLDS
    )
    assert content["pooled"].keys() <= content["overall"].keys()
    assert content["pooled"]["aAcc"] == pytest.approx(100 * np.trace(counts) / counts.sum())
    table = fold_table(finished / "folds.json")
    assert f"{content['overall']['mIoU']['mean']:.2f}" in table
    assert "not tested" not in table


def _forbid(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a fold is run")

    monkeypatch.setattr(module, "train", forbidden)
    monkeypatch.setattr(module, "test", forbidden)


@pytest.mark.slow
def test_going_on_leaves_out_what_is_tested(finished, tiny_config, fold_set, tmp_path, monkeypatch):
    work = tmp_path / "kfold-2"
    shutil.copytree(finished, work)
    scores = work / "fold-2" / "evaluation" / "metrics.json"
    unfinished = {k: v for k, v in json.loads(scores.read_text()).items() if k != "run"}
    scores.write_text(json.dumps(unfinished))  # killed at the end of the test
    before = (work / "fold-1" / "last_checkpoint").stat().st_mtime_ns
    run_folds(tiny_config, "all", str(tmp_path), "auto", _options(fold_set), skip_data_check=True)
    assert (work / "fold-1" / "last_checkpoint").stat().st_mtime_ns == before
    again = json.loads((work / "folds.json").read_text())
    first = json.loads((finished / "folds.json").read_text())
    assert again["folds"]["fold-2"]["overall"] == first["folds"]["fold-2"]["overall"]

    _forbid(monkeypatch)
    (work / "folds.json").unlink()
    run_folds(tiny_config, "all", str(tmp_path), "auto", _options(fold_set))
    assert json.loads((work / "folds.json").read_text())["folds"] == again["folds"]
    (work / "fold-1" / "evaluation" / "metrics.json").unlink()
    results = run_folds(tiny_config, "2", str(tmp_path), "auto", _options(fold_set))
    assert json.loads(results.read_text())["not_tested"] == ["fold-1"]
    (work / "fold-1" / "evaluation" / "metrics.json").write_text("{}")  # of an older version
    with pytest.raises(InputError, match="test the checkpoint again"):
        run_folds(tiny_config, "2", str(tmp_path), "auto", _options(fold_set))
    (work / "fold-1" / "evaluation" / "metrics.json").unlink()
    assert "not tested: fold-1" in fold_table(results)


@pytest.mark.slow
def test_scores_of_a_replaced_run_are_not_taken_for_the_new_one(
    finished, tiny_config, fold_set, tmp_path, monkeypatch
):
    shutil.copytree(finished / "fold-1", tmp_path / "kfold-2" / "fold-1")

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "test", killed)
    with pytest.raises(KeyboardInterrupt):
        run_folds(
            tiny_config, "1", str(tmp_path), None, _options(fold_set), True, skip_data_check=True
        )
    assert not (tmp_path / "kfold-2" / "fold-1" / "evaluation" / "metrics.json").exists()


@pytest.mark.slow
def test_runs_are_neither_replaced_nor_mixed_unasked(
    finished, tiny_config, fold_set, tmp_path, monkeypatch
):
    _forbid(monkeypatch)
    work = finished.parent
    with pytest.raises(InputError, match="Go on with --resume") as caught:
        run_folds(tiny_config, "all", str(work), None, _options(fold_set))
    assert caught.value.problems == [f"{finished / fold}: holds a run" for fold in FOLDS]

    other = shutil.copytree(fold_set, tmp_path / "data")
    make_split_files(other, None, ("kfold",), folds=2, seed=5, overwrite=True)
    with pytest.raises(InputError, match="Go on with --resume") as caught:
        run_folds(tiny_config, "fold-1", str(work), "auto", _options(other))
    (problem,) = caught.value.problems
    assert problem.endswith("holds a run of another split than fold-1 is now")


@pytest.mark.parametrize(
    ("fold", "resume", "options", "message"),
    [
        ("3", None, {}, r"no fold '3'; choose all, 1 to 2, or one of: fold-1, fold-2"),
        ("0", None, {}, "no fold '0'"),
        ("fold", None, {}, "no fold 'fold'"),
        ("1", "epoch_3.pth", {}, "--resume without 'epoch_3.pth'"),
        ("1", None, {"split_file": ""}, "--fold needs data_root and split_file"),
        ("1", None, {"split_file": "splits/holdout.json"}, "expected a folder of split manifests"),
        ("1", None, {"split_file": "images"}, "expected a folder of split manifests"),
        ("1", None, {"test_evaluator.type": "IoUMetric"}, "what ConfusionMetric writes"),
    ],
)
def test_bad_input_is_named(fold, resume, options, message, tiny_config, fold_set, tmp_path):
    with pytest.raises(InputError, match=message):
        run_folds(tiny_config, fold, str(tmp_path), resume, {**_options(fold_set), **options})
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_a_later_fold_is_said_before_the_first(
    tiny_config, fold_set, tmp_path, monkeypatch
):
    _forbid(monkeypatch)
    other = shutil.copytree(fold_set, tmp_path / "data")
    path = other / "splits" / "kfold-2" / "fold-2.json"
    content = json.loads(path.read_text())
    content["parts"]["test"].append("gone")
    del content["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="names 'gone', which the data set lacks"):
        run_folds(tiny_config, "all", str(tmp_path / "work"), None, _options(other))
    assert not (tmp_path / "work").exists()
