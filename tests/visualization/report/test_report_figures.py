"""Figures of a report: drawn from the scores, or taken where they are of what was tested."""

import base64

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.evaluation.tested_runs import read_run
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.visualization.report.report_figures import (
    MAX_TAKEN,
    prediction_figures,
    run_figures,
)

DIGEST = "ab" * 32


@pytest.fixture
def folder(tmp_path):
    """Figures of predictions, as ``visualize`` leaves them."""
    folder = tmp_path / "figures"
    (folder / "classes").mkdir(parents=True)
    entries = [
        {"file": "confusion_matrix.png", "kind": "confusion", "note": "a"},
        {"file": "classes/peel.png", "kind": "panels", "note": "Peel."},
        {"file": "prediction_grid.png", "kind": "grid", "note": "The rule."},
        {"file": "../outside.png", "kind": "grid", "note": "c"},
    ]
    for entry in entries:
        Image.new("RGB", (40, 20)).save(folder / entry["file"])
    write_json(folder / "figures.json", {"checkpoint_sha256": DIGEST, "figures": entries})
    return folder


def test_predictions_are_taken_from_the_folder_and_nowhere_else(folder):
    found = prediction_figures(folder, DIGEST)
    titles = [(picture.title, picture.text) for picture in found]
    assert titles == [("Predictions", "The rule."), ("Found, false and missed", "Peel.")]
    assert all(picture.uri.startswith("data:image/jpeg;base64,") for picture in found)


def test_figures_of_another_checkpoint_or_none_are_left_alone(folder, tmp_path):
    assert prediction_figures(folder, "cd" * 32) == []
    assert prediction_figures(folder, None) == []
    assert prediction_figures(tmp_path / "nowhere", DIGEST) == []
    for broken in ("[]", "{", "null", "{}"):
        (folder / "figures.json").write_text(broken)
        assert prediction_figures(folder, DIGEST) == []


def test_a_figure_that_is_gone_is_an_error(folder):
    (folder / "prediction_grid.png").unlink()
    with pytest.raises(InputError, match="prediction_grid"):
        prediction_figures(folder, DIGEST)


def test_there_is_a_limit(folder):
    entry = {"file": "prediction_grid.png", "kind": "grid", "note": ""}
    content = {"checkpoint_sha256": DIGEST, "figures": [entry] * (MAX_TAKEN + 5)}
    write_json(folder / "figures.json", content)
    assert len(prediction_figures(folder, DIGEST)) == MAX_TAKEN


@pytest.mark.slow
def test_scores_are_drawn_as_far_as_they_were_counted(tmp_path, random_counts, tested_run):
    run = read_run(tested_run(tmp_path / "a", random_counts()))
    titles = [picture.title for picture in run_figures(run, summarize(run.counts))]
    assert titles == [
        "IoU of each class",
        "Labeled and predicted amounts",
        "Confusion matrix",
        "Damages found, by size",
        "Reliability",
        "Risk and coverage",
    ]
    empty = np.zeros((0, 0, 0, 2), dtype=np.int64)
    few = random_counts(components=empty, calibration=np.zeros((0, 0, 3)))
    run = read_run(tested_run(tmp_path / "b", few))
    pictures = run_figures(run, summarize(run.counts))
    assert [picture.title for picture in pictures] == titles[:3]
    kind, content = pictures[0].uri.split(";base64,")
    assert kind == "data:image/svg+xml"
    assert b"<svg" in base64.b64decode(content)
