"""A data set with three classes of its own, through every command."""

import json

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.cli import main
from mmseg_heritage.evaluation.store import load_counts

IDS = {"Mold": 7, "Clean": 0, "Salt": 3}  # in order of training


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def succeed(*command):
    assert main([*map(str, command)]) == 0


pytestmark = pytest.mark.slow  # every command in turn; each has tests of own classes of its own


@pytest.fixture(scope="module")
def walked(own_set, tiny_config, tmp_path_factory):
    """The commands from check-data to predict, as a user gives them."""
    folder = tmp_path_factory.mktemp("walk")
    weights, run, checkpoint = folder / "w.json", folder / "run", folder / "run" / "iter_2.pth"
    options = [
        "--cfg-options", f"data_root={own_set}", f"split_file={folder}/splits/holdout.json",
        "num_classes=3", f"class_weights={weights}", "crop_size=32",
    ]  # fmt: skip
    data = ["--data-root", own_set]
    succeed("check-data", *data, "--strict", "--json", folder / "check.json", "--max-distance=-1")
    succeed(
        "make-splits", *data, "--out", folder / "splits", "--kinds", "holdout",
        "--max-distance=-1", "--percent", "60", "20", "20",
    )  # fmt: skip
    split_file = folder / "splits" / "holdout.json"
    succeed("class-weights", *data, "--split-file", split_file, "--out", weights)
    succeed("train", tiny_config, "--work-dir", run, *options, "max_iters=2")
    succeed(
        "test", tiny_config, checkpoint, "--visualize", "--show-dir", folder / "show",
        "--out", folder / "maps", *options,
    )  # fmt: skip
    succeed("report", run, "--pictures", folder / "show", "--out", folder / "report.html")
    succeed(
        "predict", tiny_config, checkpoint, own_set / "images" / "1.png", "--out",
        folder / "predicted", *options,
    )  # fmt: skip
    return folder


def test_the_check_counts_the_own_classes(walked, own_set):
    masks = [read(path) for path in (own_set / "annotations").iterdir()]
    counted = json.loads((walked / "check.json").read_text())["classes"]
    assert [(row["name"], row["id"]) for row in counted[:-1]] == list(IDS.items())
    for row in counted:
        assert row["pixels"] == sum(np.count_nonzero(mask == row["id"]) for mask in masks)


def test_the_split_has_each_class_in_each_part(walked, own_set):
    parts = json.loads((walked / "splits" / "holdout.json").read_text())["parts"]
    for ids in parts.values():
        found = {v for i in ids for v in np.unique(read(own_set / "annotations" / f"{i}.png"))}
        assert found == {*IDS.values(), 255}


def test_the_weights_are_those_of_the_training_part(walked, own_set):
    ids = json.loads((walked / "splits" / "holdout.json").read_text())["parts"]["train"]
    masks = [read(own_set / "annotations" / f"{i}.png") for i in ids]
    content = json.loads((walked / "w.json").read_text())
    assert content["classes"] == list(IDS)
    assert content["pixel_counts"] == [
        sum(np.count_nonzero(mask == value) for mask in masks) for value in IDS.values()
    ]


def test_maps_hold_mask_values_and_lead_to_the_scores(walked, own_set):
    counts = load_counts(walked / "run" / "evaluation" / "per_image.npz")
    assert counts.classes == tuple(IDS)
    assert counts.palette.tolist() == [[0, 170, 0], [0, 0, 0], [250, 250, 0]]
    for i, confusion in zip(counts.ids, counts.confusion, strict=True):
        truth, found = (
            read(own_set / "annotations" / f"{i}.png"),
            read(walked / "maps" / f"{i}.png"),
        )
        expected = [
            [np.count_nonzero((truth == a) & (found == b)) for b in IDS.values()]
            for a in IDS.values()
        ]
        assert confusion.tolist() == expected


def test_scores_of_damage_and_of_groups_follow_from_the_classes(walked):
    content = json.loads((walked / "run" / "evaluation" / "metrics.json").read_text())
    assert list(content["levels"]["coarse"]["per_class"]) == ["Biological", "Chemical"]
    counts = load_counts(walked / "run" / "evaluation" / "per_image.npz")
    confusion, damage = counts.confusion.sum(axis=0), [0, 2]
    right = confusion[np.ix_(damage, damage)].sum()
    union = confusion[damage].sum() + confusion[:, damage].sum() - right
    assert content["overall"]["damage_IoU"] == pytest.approx(100 * right / union)
    assert content["all_clean"]["damage_IoU"] == 0


def test_a_prediction_reads_like_a_mask_of_the_folder(walked):
    with Image.open(walked / "predicted" / "1_classes.png") as image:
        palette = np.array(image.getpalette()).reshape(-1, 3)
        assert set(np.unique(np.asarray(image))) <= set(IDS.values())
    assert palette[7].tolist() == [0, 170, 0]
    assert palette[3].tolist() == [250, 250, 0]
    shares = json.loads((walked / "predicted" / "1.json").read_text())["area_share"]
    assert list(shares) == list(IDS)


def test_figures_and_report_name_the_classes(walked):
    names = {path.stem for path in (walked / "run" / "evaluation" / "figures").rglob("*.png")}
    assert {"mold", "salt", "clean"} <= names
    page = (walked / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in (*IDS, "Biological", "Chemical"))
