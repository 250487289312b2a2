"""calibrate: a new checkpoint that predicts the same classes with other probabilities."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage import Predictor
from mmseg_heritage.cli import main

pytestmark = pytest.mark.slow  # the parts are tested in their own rooms


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copy(tiny_run.checkpoint, folder / "model.pth")
    shutil.copy(tiny_run.folder / "split.json", folder)
    assert main(["calibrate", str(folder / "model.pth")]) == 0
    return folder


def predicted(checkpoint, image):
    predictor = Predictor(checkpoint)
    predictor.keep_confidence()
    return predictor(image)


def test_a_temperature_changes_confidences_only(run, tiny_run):
    image = next((tiny_run.data / "images").iterdir())
    before = predicted(run / "model.pth", image)
    after = predicted(run / "model_calibrated.pth", image)
    assert np.array_equal(before.class_map, after.class_map)
    assert not np.array_equal(before.confidence, after.confidence)
    assert before.unlikeness is None
    assert after.unlikeness.distance > 0


def test_the_report_and_the_checkpoint_agree(run):
    content = json.loads((run / "model_calibrated.json").read_text())
    scores = content["scores"]
    assert scores["temperature"]["NLL"] < scores["before"]["NLL"]
    assert scores["temperature"]["wrong"] == scores["before"]["wrong"]
    assert content["training_features"]["held_out"] == content["images"]
    assert Image.open(run / "model_calibrated.png").size[0] > 500


def test_nothing_is_overwritten(run, capsys):
    model = run / "model.pth"
    assert main(["calibrate", str(model)]) == 2
    assert "already there" in capsys.readouterr().err
    assert main(["calibrate", str(model), "--out", str(model), "--overwrite"]) == 2
    assert "cannot take the place" in capsys.readouterr().err


def test_images_that_were_trained_on_are_refused(run, tiny_run, capsys):
    split = json.loads((run / "split.json").read_text())
    del split["sha256"]
    split["parts"]["train"], split["parts"]["val"] = split["parts"]["val"], split["parts"]["train"]
    other = run / "other"
    other.mkdir()
    shutil.copy(run / "model.pth", other)
    (other / "split.json").write_text(json.dumps(split))
    assert main(["calibrate", str(other / "model.pth")]) == 2
    assert "trained on" in capsys.readouterr().err


def test_predict_says_what_is_unlike_and_where_to_look_first(run, tmp_path, capsys):
    Image.fromarray(np.full((90, 120, 3), (0, 255, 0), np.uint8)).save(tmp_path / "green.png")
    out = tmp_path / "maps"
    arguments = [str(run / "model_calibrated.pth"), str(tmp_path / "green.png"), "--out", str(out)]
    assert main(["predict", *arguments]) == 0
    record = json.loads((out / "green.json").read_text())
    assert record["unlike_training"]["is_unlike"]
    assert "unlike anything the model was trained on" in (out / "index.html").read_text()
    assert "unlike anything the model was trained on" in capsys.readouterr().out
    wrong = [region["expected_wrong_px"] for region in record["look_first"]]
    assert wrong == sorted(wrong, reverse=True)
