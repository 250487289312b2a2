"""Scores, pictures and class maps of a tested model, against an independent recomputation."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis.test import test as run_test
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError


@pytest.fixture(scope="module")
def tested(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tested")
    code = main(
        ["test", str(tiny_run.config), str(tiny_run.checkpoint), "--work-dir", str(folder),
         "--show-dir", str(folder / "show"), "--out", str(folder / "maps")]
    )  # fmt: skip
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def test_ids(tiny_run):
    manifest = json.loads((tiny_run.data / "splits" / "holdout.json").read_text())
    return sorted(manifest["parts"]["test"])


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_one_picture_and_one_map_for_each_test_image(tested, test_ids):
    for folder in ("show", "maps"):
        assert sorted(path.stem for path in (tested / folder).iterdir()) == test_ids


def test_scores_equal_those_recomputed_from_the_maps(tested, test_ids, tiny_run):
    truth = [read(tiny_run.data / "annotations" / f"{i}.png").ravel() for i in test_ids]
    predicted = [read(tested / "maps" / f"{i}.png").ravel() for i in test_ids]
    truth, predicted = np.concatenate(truth), np.concatenate(predicted)
    inside = truth != 255
    truth, predicted = truth[inside], predicted[inside]
    content = json.loads((tested / "evaluation" / "metrics.json").read_text())
    assert content["images"] == len(test_ids)

    def iou(true, found):
        union = np.count_nonzero(true | found)
        return 100 * np.count_nonzero(true & found) / union if union else None

    ious = [iou(truth == i, predicted == i) for i in range(16)]
    assert [row["iou"] for row in content["per_class"].values()] == pytest.approx(ious)
    present = [value for value in ious if value is not None]
    overall = content["overall"]
    assert overall["mIoU"] == pytest.approx(np.mean(present))
    assert overall["classes_in_mean"] == len(present)
    assert overall["aAcc"] == pytest.approx(100 * np.mean(truth == predicted))
    assert overall["damage_IoU"] == pytest.approx(iou(truth > 0, predicted > 0))
    assert content["all_clean"]["aAcc"] == pytest.approx(100 * np.mean(truth == 0))
    assert 0 < overall["aAcc"] < 100


def test_counts_of_each_image_are_kept(tested, test_ids):
    with np.load(tested / "evaluation" / "per_image.npz") as counts:
        assert sorted(counts["ids"]) == test_ids
        assert counts["confusion"].shape == (len(test_ids), 16, 16)


def test_a_test_leaves_the_run_of_the_training_alone(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run.folder, tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run_test(tiny_run.config, folder / "iter_3.pth", work_dir=str(folder))
    for path, content in before.items():
        assert path.read_bytes() == content
    new = {path.relative_to(folder).parts[0] for path in folder.rglob("*")} - {
        path.relative_to(folder).parts[0] for path in before
    }
    assert new == {"evaluation"}


def test_earlier_results_are_not_replaced_without_being_asked(tested, tiny_run, capsys):
    scores = tested / "evaluation" / "metrics.json"
    before = scores.stat().st_mtime_ns
    arguments = ["test", str(tiny_run.config), str(tiny_run.checkpoint), "--work-dir",
                 str(tested), "--show-dir", str(tested / "show")]  # fmt: skip
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "results are already there" in error
    assert str(scores) in error
    assert f"{tested / 'show'}: holds pictures" in error
    assert scores.stat().st_mtime_ns == before
    assert main([*arguments, "--overwrite"]) == 0
    assert scores.stat().st_mtime_ns > before


def test_results_never_go_over_the_data(tiny_run, copied_sample_set, tmp_path):
    for folder in ("images", "annotations"):
        target = copied_sample_set / folder
        before = {path: path.read_bytes() for path in target.iterdir()}
        with pytest.raises(InputError, match="cannot be written into the folders of the data set"):
            run_test(
                tiny_run.config,
                tiny_run.checkpoint,
                work_dir=str(tmp_path / "run"),
                out_dir=str(target),
                overwrite=True,
                cfg_options={"data_root": str(copied_sample_set)},
            )
        assert {path: path.read_bytes() for path in target.iterdir()} == before
    assert not (tmp_path / "run").exists()


def test_pictures_and_maps_need_two_folders(tiny_run, tmp_path):
    same = str(tmp_path / "same")
    with pytest.raises(InputError, match="give two folders"):
        run_test(tiny_run.config, tiny_run.checkpoint, str(tmp_path), same, same)
