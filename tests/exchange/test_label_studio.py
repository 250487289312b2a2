"""Label Studio's tasks: read by its own decoder, and exports as it writes them."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import Legend
from mmseg_heritage.exchange.label_studio import open_label_studio, write_label_studio
from mmseg_heritage.taxonomy import ARTEFACT


@pytest.mark.parametrize("as_polygons", [False, True])
def test_tasks_and_interface_fit(as_polygons, artefact_map, outlines, tmp_path):
    path = tmp_path / "tasks.json"
    with write_label_studio(path, as_polygons) as writer:
        writer.add(artefact_map, outlines(artefact_map))
    (task,) = json.loads(path.read_text("utf-8"))
    assert task["data"]["image"] == "/data/local-files/?d=old%20wall.png"
    interface = ElementTree.parse(path.with_suffix(".xml")).getroot()
    tags = {tag.get("name"): tag for tag in interface}
    labels = {c.name for c in artefact_map.drawn}
    for result in task["predictions"][0]["result"]:
        tag = tags[result["from_name"]]
        assert result["type"] == tag.tag.lower()
        assert result["to_name"] == tag.get("toName") == "image"
        (name,) = result["value"][result["type"]]
        assert name in {label.get("value") for label in tag} == labels
        assert (result["original_width"], result["original_height"]) == artefact_map.size


def test_label_studio_accepts_the_suggestions(artefact_map, outlines, tmp_path):
    """By the check that its SDK makes of tasks and their labeling interface."""
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="its own check")
    path = tmp_path / "tasks.json"
    with write_label_studio(path, True) as writer:
        writer.add(artefact_map, outlines(artefact_map))
    (task,) = json.loads(path.read_text("utf-8"))
    checked = interface.LabelInterface(path.with_suffix(".xml").read_text("utf-8"))
    checked.validate()
    assert checked.validate_prediction(task["predictions"][0])


def result(**changes):
    given = {
        "id": "ab", "type": "polygonlabels", "original_width": 20, "original_height": 10,
        "image_rotation": 0,
        "value": {"points": [[10, 10], [50, 10], [50, 90], [10, 90]], "polygonlabels": ["Cracks"]},
    }  # fmt: skip
    return {**given, **changes}


def read(tmp_path, *tasks, size=(20, 10)):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    readers = open_label_studio(path)
    return {k: r(size, Legend(ARTEFACT, None, "ignore")).class_map for k, r in readers.items()}


def test_exports_name_the_photograph_as_it_was_uploaded(tmp_path):
    task = {
        "data": {"image": "/data/upload/3/0a1b2c3d-old%20wall.jpg"},
        "annotations": [{"result": [], "was_cancelled": True}, {"result": [result()]}],
    }
    ((name, ids),) = read(tmp_path, task).items()
    assert name == "old wall.jpg"
    assert np.count_nonzero(ids == 9) == 8 * 8
    assert np.count_nonzero(ids == 255) == 200 - 64


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"data": {}}, "task 1: says no image in data.image"),
        ({}, "task 1: says no image"),
        ({"results": [result(original_width=21)]}, "region 'ab': was drawn on 21x10 pixels"),
        ({"results": [result(image_rotation=90)]}, "region 'ab': was drawn on the turned image"),
        ({"results": [result(type="rectanglelabels")]}, "found 'rectangle'"),
        ({"results": [result(value={"points": 3, "polygonlabels": ["Cracks"]})]}, "region 'ab': "),
        ({"results": [result(type="brushlabels", value={"rle": [1], "brushlabels": ["Cracks"]})]},
         "region 'ab': the code of the brush is damaged"),
        ({"results": [result(value={"points": [[0, 0], [50, 50], [50, 0], [0, 50]],
                                    "polygonlabels": ["Cracks"]})]}, "region 'ab': crosses itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(task, message, tmp_path):
    if "results" in task:
        task = {"data": {"image": "a.png"}, "annotations": [{"result": task["results"]}]}
    with pytest.raises(InputError) as caught:
        read(tmp_path, task)
    assert message in str(caught.value)
