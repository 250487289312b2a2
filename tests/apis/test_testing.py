"""Scores, pictures and class maps of a tested model, against an independent recomputation."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_heritage.apis.testing import test as run_test
from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import PARTS, load_counts
from mmseg_heritage.evaluation.summary import load_metrics

REPOSITORY = Path(__file__).resolve().parents[2]


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


def test_two_figures_lie_beside_the_scores(tested):
    for name in ("confusion_matrix.png", "per_class_iou.png"):
        assert min(read(tested / "evaluation" / name).shape[:2]) > 400


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
    per_class = content["levels"]["fine"]["per_class"]
    assert [row["iou"] for row in per_class.values()] == pytest.approx(ious)
    present = [value for value in ious if value is not None]
    overall = content["overall"]
    assert overall["mIoU"] == pytest.approx(np.mean(present))
    assert overall["classes_in_mean"] == len(present)
    assert overall["aAcc"] == pytest.approx(100 * np.mean(truth == predicted))
    assert overall["damage_IoU"] == pytest.approx(iou(truth > 0, predicted > 0))
    assert content["all_clean"]["aAcc"] == pytest.approx(100 * np.mean(truth == 0))
    assert 0 < overall["aAcc"] < 100


def test_counts_of_each_image_are_kept(tested, test_ids, tiny_run):
    counts = load_counts(tested / "evaluation" / "per_image.npz")
    assert list(counts.ids) == test_ids
    assert counts.confusion.shape == (len(test_ids), 16, 16)
    assert all(counts.has(part) for part in PARTS)
    assert counts.calibration[..., 0].sum() == counts.confusion.sum()
    samples = {sample.id: sample for sample in read_folder(tiny_run.data)}
    assert counts.groups == tuple(samples[i].source_id for i in test_ids)
    assert counts.materials == tuple(samples[i].material for i in test_ids)
    assert counts.contents == tuple(samples[i].content for i in test_ids)


def test_a_score_can_be_traced(tested, tiny_run, test_ids):
    content = load_metrics(tested / "evaluation" / "metrics.json")
    run = content["run"]
    assert run["config"] == str(tiny_run.config)
    assert run["checkpoint_sha256"] == hashlib.sha256(tiny_run.checkpoint.read_bytes()).hexdigest()
    assert run["split"]["sha256"] == load_split(tiny_run.folder / "split.json").digest()
    assert run["seed"] == 42
    assert run["versions"]["torch"] == torch.__version__
    assert run["device"]["type"] in ("cpu", "cuda")
    assert run["parameters"] > 0
    assert run["model"]["flops"] > run["parameters"]
    time = run["time"]
    assert time["images"] + time["warm_up_images"] == len(test_ids)
    assert 0 < time["model_ms"] < time["whole_ms"]
    assert run["inference"]["scales"] == ["fit:256"]
    assert time["images_per_second"] == pytest.approx(1000 / time["model_ms"])
    assert "synchronized" in time["protocol"]
    # Without a GPU there is nothing that torch could have measured.
    assert (time["peak_memory_bytes"] is None) == (run["device"]["type"] == "cpu")
    with (tested / "evaluation" / "per_class.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["level"] == "fine"]
    assert [row["class"] for row in rows] == content["classes"]


def test_a_checkpoint_of_other_classes_is_refused(tiny_run, tmp_path):
    checkpoint = torch.load(tiny_run.checkpoint, weights_only=False)
    classes = list(checkpoint["meta"]["dataset_meta"]["classes"])
    classes[2:4] = classes[3], classes[2]
    checkpoint["meta"]["dataset_meta"]["classes"] = classes
    torch.save(checkpoint, tmp_path / "other.pth")
    with pytest.raises(
        InputError, match="trained on other classes than the data set has"
    ) as caught:
        run_test(tmp_path / "other.pth", work_dir=str(tmp_path / "run"))
    assert caught.value.problems == [
        "id 2: 'Dust' in the checkpoint, 'Peel' in the data set",
        "id 3: 'Peel' in the checkpoint, 'Dust' in the data set",
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tiny_run, tmp_path):
    options = ["data_root=" + str(tiny_run.data), "test_dataloader.dataset.split=train",
               "test_dataloader.dataset.indices=3"]  # fmt: skip
    found = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        done = subprocess.run(
            [sys.executable, *launch, str(REPOSITORY / "tools" / "test.py"), str(tiny_run.config),
             str(tiny_run.checkpoint), "--work-dir", str(folder), "--launcher", "pytorch",
             "--skip-data-check", "--allow-seen", "--cfg-options", *options],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # torchrun's choice for two, not for one
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        content = load_metrics(folder / "evaluation" / "metrics.json")
        assert content.pop("run")["processes"] == processes
        found.append((content, load_counts(folder / "evaluation" / "per_image.npz")))
    (one, counts), (two, counts_of_two) = found
    assert one["images"] == 3  # an odd number: one process gets an image twice, which is dropped
    assert one == two
    assert np.array_equal(counts.boundary, counts_of_two.boundary)


def test_an_empty_test_part_is_refused(tiny_run, copied_sample_set, tmp_path):
    path = copied_sample_set / "splits" / "holdout.json"
    content = json.loads(path.read_text())
    content["parts"]["test"] = []
    content.pop("sha256", None)
    path.write_text(json.dumps(content))
    options = {"data_root": str(copied_sample_set), "split_file": "splits/holdout.json"}
    with pytest.raises(InputError, match="part 'test' of split 'holdout' is empty"):
        run_test(tiny_run.checkpoint, work_dir=str(tmp_path / "run"), cfg_options=options)
    assert not (tmp_path / "run").exists()


def test_a_test_leaves_the_run_of_the_training_alone(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run.folder, tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run_test(folder / "iter_3.pth", work_dir=str(folder))
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
        run_test(tiny_run.checkpoint, None, str(tmp_path), same, same)


@pytest.mark.slow
def test_one_that_was_ended_is_repeated_and_a_finished_one_not(tiny_run, tmp_path, monkeypatch):
    folders = {"show_dir": str(tmp_path / "show"), "out_dir": str(tmp_path / "maps")}

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mmseg_heritage.apis.testing.run_stamp", stop)  # all pictures are written
        with pytest.raises(KeyboardInterrupt):
            run_test(tiny_run.checkpoint, work_dir=str(tmp_path), **folders)
    assert list((tmp_path / "show").glob("*.png"))
    run_test(tiny_run.checkpoint, work_dir=str(tmp_path), **folders)
    with pytest.raises(InputError, match="results are already there") as caught:
        run_test(tiny_run.checkpoint, work_dir=str(tmp_path), **folders)
    assert len(caught.value.problems) == 3
