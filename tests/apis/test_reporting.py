"""What a report leaves on the disk, and what it refuses."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from mmseg_heritage.apis.reporting import report
from mmseg_heritage.apis.testing import test as run_test
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.summary import METRICS_FILE, summarize
from mmseg_heritage.evaluation.tested_runs import read_run
from mmseg_heritage.utils.files import write_json


@pytest.fixture
def counts(random_counts):
    """Counts of 24 images."""
    return random_counts(images=24)


@pytest.fixture
def run(tmp_path, counts, tested_run):
    """Folder of a tested run."""
    return tested_run(tmp_path / "run", counts)


def _pictures(folder, ids):
    folder.mkdir()
    for name in ids:
        Image.new("RGB", (60, 20), "red").save(folder / f"{name}.png")
    return folder


def test_one_file_and_nothing_else(run, counts, tmp_path):
    out = tmp_path / "new" / "report.html"
    pictures = _pictures(tmp_path / "pictures", counts.ids)
    before = sorted(tmp_path.rglob("*"))
    assert report([str(run)], out, pictures=[pictures]) == []
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [out.parent, out]
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.slow
def test_a_report_is_only_replaced_when_asked_to(run, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("mine")
    with pytest.raises(InputError, match="is already there; choose another name, or add"):
        report([str(run)], out)
    assert out.read_text() == "mine"
    (note,) = report([str(run)], out, overwrite=True)
    assert "--show-dir" in note
    assert out.read_text() != "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [("report.pdf", "expected the name of an HTML file"), ("folder.html", "found a folder")],
)
def test_names_that_are_no_html_file(run, tmp_path, name, message):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match=message):
        report([str(run)], tmp_path / name, overwrite=True)


def test_folders_that_are_no_run_or_of_an_older_version(run, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(run, old)
    content = json.loads((old / "evaluation" / METRICS_FILE).read_text())
    write_json(old / "evaluation" / METRICS_FILE, {**content, "schema": "mmseg_heritage/metrics/1"})
    (tmp_path / "empty").mkdir()
    folders = [str(run), str(old), str(tmp_path / "empty"), str(tmp_path / "nowhere")]
    with pytest.raises(InputError) as raised:
        report(folders, tmp_path / "report.html")
    problems = "\n".join(raised.value.problems)
    assert "found mmseg_heritage/metrics/1; test the checkpoint again" in problems
    assert "empty: no tested run" in problems
    assert "nowhere: no such folder" in problems
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_pictures_that_are_missing(run, counts, tmp_path):
    out = tmp_path / "report.html"
    some = _pictures(tmp_path / "some", counts.ids[:3])
    none = _pictures(tmp_path / "none", ["other"])
    (note,) = report([str(run)], out, pictures=[some])
    assert note == "run: 21 of 24 images are without a picture."
    with pytest.raises(InputError, match="pictures of some runs are not there") as raised:
        report([str(run)], out, pictures=[none], overwrite=True)
    assert f"such as {counts.ids[0]}.png" in str(raised.value)
    with pytest.raises(InputError, match="in their order: 1; found 2"):
        report([str(run)], out, pictures=[some, some], overwrite=True)


@pytest.mark.slow
def test_several_runs_are_compared(run, tmp_path, random_counts, another_model, tested_run, counts):
    second = tested_run(tmp_path / "second", another_model(counts, gain=0.5), seed=1)
    out = tmp_path / "report.html"
    notes = report([str(run), f"new={second}"], out, reference="new")
    assert any("One seed only" in note for note in notes)
    assert "run is lower than new" in out.read_text()
    other = tested_run(tmp_path / "c", random_counts(images=24), seed=2, split="other")
    with pytest.raises(InputError, match="--allow-different splits"):
        report([str(run), str(other)], tmp_path / "no.html")
    notes = report([str(run), str(other)], tmp_path / "yes.html", allow_different=["splits"])
    assert any("split other" in note for note in notes)


def test_seeds_of_one_model_are_a_comparison_of_one(
    run, tmp_path, another_model, tested_run, counts
):
    second = tested_run(tmp_path / "second", another_model(counts), seed=1)
    report([f"model={run},{second}"], tmp_path / "report.html")
    assert "Spread over seeds" in (tmp_path / "report.html").read_text()


def test_a_reference_needs_something_to_compare(run, tmp_path):
    with pytest.raises(InputError, match="no run is named 'x'; choose one of: run"):
        report([str(run)], tmp_path / "report.html", reference="x")


@pytest.mark.slow
def test_folds_are_scored_together(tmp_path, counts, tested_run):
    for place, name in enumerate(("one", "two")):
        fold = counts.select(list(range(12 * place, 12 * place + 12)))
        tested_run(tmp_path / "family" / name, fold, split=name)
    write_json(
        tmp_path / "family" / "folds.json", {"folds": {"one": {}, "two": {}}, "not_tested": ["x"]}
    )
    content = summarize(read_run(tmp_path / "family").counts)
    assert content["images"] == 24
    notes = report([str(tmp_path / "family")], tmp_path / "report.html")
    assert notes[0] == "Folds without a test: x."
    assert f"{content['overall']['mIoU']:.1f}" in (tmp_path / "report.html").read_text()


def test_the_scores_are_those_that_the_test_wrote(run):
    content = json.loads((run / "evaluation" / METRICS_FILE).read_text())
    for folder in (run, run / "evaluation"):
        derived = summarize(read_run(folder).counts)
        assert json.loads(json.dumps(derived)) == {k: v for k, v in content.items() if k != "run"}


@pytest.mark.slow
def test_no_folder_of_the_machine_is_on_the_page_of_a_run(tiny_run, tmp_path):
    run_test(tiny_run.checkpoint, work_dir=str(tmp_path / "t"), show_dir=str(tmp_path / "p"))
    report([str(tmp_path / "t")], tmp_path / "report.html", pictures=[tmp_path / "p"])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    places = {tmp_path, tiny_run.folder, tiny_run.data, tiny_run.config.parent, Path.home()}
    assert "sample_00" in page
    assert [str(place) for place in places if str(place) in page] == []
    assert not re.findall(r"[\"'\s>](?:/tmp|/home|/root|/usr|/work)/[\w./-]*", page)
