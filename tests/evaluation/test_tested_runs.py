"""Runs are found by their folders, named, pooled over folds; all problems are told at once."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import PARTS, load_counts
from mmseg_heritage.evaluation.tested_runs import read_entries, read_run


@pytest.fixture
def run(tmp_path, random_counts, tested_run):
    """Folder of a run."""
    return tested_run(tmp_path / "runs" / "unet", random_counts())


def _same(a, b):
    return a.ids == b.ids and np.array_equal(a.confusion, b.confusion)


def test_a_run_is_found_by_its_folder_or_its_evaluation(run, monkeypatch):
    counts = load_counts(run / "evaluation" / "per_image.npz")
    monkeypatch.chdir(run)
    for path in (run, run / "evaluation", ".", "evaluation"):
        found = read_run(path)
        assert found.folder == run
        assert _same(found.counts, counts)
        (entry,) = read_entries([str(path)])
        assert entry.label == "unet"


def test_labels_are_given_or_made_unique(tmp_path, random_counts, tested_run):
    for name in ("a/unet", "b/unet", "c=1,2", "b/segformer"):
        tested_run(tmp_path / name, random_counts())
    arguments = [str(tmp_path / n) for n in ("a/unet", "b/unet", "c=1,2")]
    seeds = f"mine={tmp_path / 'b' / 'segformer'}"
    assert [e.label for e in read_entries([*arguments, seeds])] == [
        "a/unet",
        "b/unet",
        "c=1,2",
        "mine",
    ]
    named = [f"unet={arguments[0]}", arguments[1], f"d={arguments[2]}"]
    assert [e.label for e in read_entries(named)] == ["unet", "b/unet", "d"]


def test_several_seeds_are_one_entry(tmp_path, random_counts, another_model, tested_run):
    counts = random_counts()
    paths = [
        tested_run(tmp_path / f"seed{i}", another_model(counts, seed=i), seed=i) for i in range(3)
    ]
    (entry,) = read_entries([f"unet={paths[0]},{paths[1]},{paths[2]}"])
    assert entry.label == "unet"
    assert [run.folder for run in entry.runs] == paths
    assert [run.stamps[0]["seed"] for run in entry.runs] == [0, 1, 2]


def _folds(folder, counts, tested_run, parts=((0, 3, 5), (1, 2, 4), (6, 7)), missing=()):
    for number, images in enumerate(parts):
        chosen = counts.select(np.array(images))
        tested_run(folder / f"fold-{number}", chosen, split=f"fold-{number}")
    names = {f"fold-{number}": {} for number in range(len(parts))}
    content = {"schema": "mmseg_heritage/folds/1", "folds": names, "not_tested": list(missing)}
    (folder / "folds.json").write_text(json.dumps(content))
    return folder


def test_the_images_of_folds_are_pooled(tmp_path, random_counts, tested_run):
    counts = random_counts(images=8, own=True)
    found = read_run(_folds(tmp_path / "kfold-3", counts, tested_run, missing=["fold-9"]))
    assert found.not_tested == ("fold-9",)
    assert [stamp["split"]["name"] for stamp in found.stamps] == ["fold-0", "fold-1", "fold-2"]
    for key in ("ids", "groups", "materials", "contents", "classes"):
        assert getattr(found.counts, key) == getattr(counts, key), key
    for key in ("confusion", *PARTS):
        assert np.array_equal(getattr(found.counts, key), getattr(counts, key)), key
    for name, own in counts.own.items():
        assert np.array_equal(found.counts.own[name], own)
    (entry,) = read_entries([str(tmp_path / "kfold-3")])
    assert entry.label == "kfold-3"


def test_a_part_that_folds_counted_otherwise_is_left_out(tmp_path, random_counts, tested_run):
    counts = random_counts(images=8)
    folder = _folds(tmp_path / "family", counts, tested_run)
    other = replace(counts.select(np.array([6, 7])), boundary_tolerance=0.5)
    tested_run(folder / "fold-2", other, split="fold-2")
    assert not read_run(folder).counts.has("boundary")
    assert np.array_equal(read_run(folder).counts.confusion, counts.confusion)


def test_folds_that_do_not_fit_together_are_refused(tmp_path, random_counts, tested_run):
    counts = random_counts(images=8)
    twice = _folds(tmp_path / "twice", counts, tested_run, ((0, 1), (1, 2)))
    with pytest.raises(InputError) as raised:
        read_run(twice)
    assert raised.value.problems == ["image image001 is tested in 2 folds"]
    folder = _folds(tmp_path / "classes", counts, tested_run)
    other = random_counts(images=8, classes=("Clean", "Damage")).select(np.array([6, 7]))
    tested_run(folder / "fold-2", other)
    with pytest.raises(InputError, match="different classes"):
        read_run(folder)
    (folder / "folds.json").write_text('{"folds": {}}')
    with pytest.raises(InputError, match="there are none"):
        read_run(folder)


def test_everything_that_is_wrong_is_told_at_once(run, tmp_path, random_counts, tested_run):
    old = tested_run(tmp_path / "old", random_counts())
    metrics = old / "evaluation" / "metrics.json"
    content = json.loads(metrics.read_text())
    metrics.write_text(json.dumps({**content, "schema": "mmseg_heritage/metrics/1"}))
    killed = tested_run(tmp_path / "killed", random_counts())
    metrics = killed / "evaluation" / "metrics.json"
    metrics.write_text(json.dumps({k: v for k, v in content.items() if k != "run"}))
    lost = tested_run(tmp_path / "lost", random_counts())
    (lost / "evaluation" / "per_image.npz").unlink()
    broken = tested_run(tmp_path / "broken", random_counts())
    (broken / "evaluation" / "per_image.npz").write_bytes(b"PK")
    empty = tmp_path / "empty"
    empty.mkdir()
    paths = [old, killed, lost, broken, empty, tmp_path / "nowhere"]
    arguments = [*map(str, paths), str(run), str(run / "evaluation"), f"{run},{old}"]
    with pytest.raises(InputError) as raised:
        read_entries(arguments)
    problems = raised.value.problems
    expected = [
        (old, "expected the schema mmseg_heritage/metrics/3, found mmseg_heritage/metrics/1"),
        (killed, "the test was not finished"),
        (lost, "no such file"),
        (broken, "cannot be read"),
        (empty, "no tested run: neither evaluation/metrics.json nor folds.json"),
        (tmp_path / "nowhere", "no such folder"),
        (run, "is given twice"),
        (run, "several runs need a name"),
    ]
    for path, text in expected:
        assert any(str(path) in problem and text in problem for problem in problems), text
    assert "again with --overwrite" in str(raised.value)


def test_two_runs_of_one_name_are_refused(run, tmp_path, random_counts, tested_run):
    other = tested_run(tmp_path / "other", random_counts())
    with pytest.raises(InputError, match="x: names two runs"):
        read_entries([f"x={run}", f"x={other}"])


def test_seeds_are_different_trainings_of_one_test(run, tmp_path, random_counts, tested_run):
    copy = shutil.copytree(run, tmp_path / "copy")
    fewer = tested_run(tmp_path / "fewer", random_counts(images=8))
    with pytest.raises(InputError) as raised:
        read_entries([f"unet={run},{copy},{fewer}"])
    text = str(raised.value)
    assert "tested the same checkpoint, which is one seed" in text
    assert f"{fewer} and {run} were not tested on the same images and classes" in text
