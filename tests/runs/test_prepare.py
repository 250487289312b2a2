"""The checks before a run, and the folder of a run."""

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_heritage.dataprep.checks.folder_check import check_folder
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs import prepare as module
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.prepare import (
    build_datasets,
    check_data,
    output_folder,
    prepare,
    work_dir_of,
)


def test_the_folder_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config({})
    assert work_dir_of(cfg, "configs/a.py", None) == tmp_path / "work_dirs" / "a"
    assert work_dir_of(Config({"work_dir": "x"}), "a.py", None) == tmp_path / "x"
    assert work_dir_of(Config({"work_dir": "x"}), "a.py", "y") == tmp_path / "y"
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(InputError, match="expected a folder to write to, found a file"):
            output_folder(path)


def test_the_same_problem_of_all_parts_is_told_once(tiny_config):
    cfg = load_config(tiny_config, {"data_root": "/nowhere"})
    with pytest.raises(InputError, match=r"^/nowhere: the data root does not exist"):
        build_datasets(cfg, ("train", "val", "test"))


def test_different_problems_are_told_together(tiny_config):
    cfg = load_config(tiny_config, {"data_root": "/nowhere"})
    cfg.val_dataloader.dataset.data_root = "/elsewhere"
    with pytest.raises(InputError, match="several things") as caught:
        build_datasets(cfg, ("train", "val"))
    first, second = caught.value.problems
    assert "/nowhere" in first
    assert "/elsewhere" in second


def test_a_data_set_inside_a_wrapper_is_found(tiny_config):
    cfg = load_config(tiny_config)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = {"type": "RepeatDataset", "times": 2, "dataset": inner}
    [dataset] = build_datasets(cfg, ("train",))["train"]
    assert len(dataset) == len(dataset.read_samples())


def test_parts_with_other_numbers_of_classes(tiny_config):
    options = {"train_dataloader.dataset.with_background": True, "num_classes": 17}
    cfg = load_config(tiny_config, options)
    with pytest.raises(InputError, match="different numbers of classes") as caught:
        build_datasets(cfg, ("train", "val", "test"))
    assert caught.value.problems == [
        "train_dataloader.dataset has 17",
        "val_dataloader.dataset has 16",
        "test_dataloader.dataset has 16",
    ]


def test_faults_of_data_and_model_are_one_list(tiny_config):
    cfg = load_config(tiny_config, {"data_root": "/nowhere"})
    cfg.launcher = "none"
    cfg.val_dataloader.dataset.data_root = "/elsewhere"
    cfg.model.decode_head.channels = "big"
    cfg.train_dataloader.batchsize = 2
    with pytest.raises(InputError, match="several things") as caught:
        prepare(cfg, ("train", "val"))
    assert len(caught.value.problems) == 4
    assert str(caught.value).count("several things") == 1


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0, 255), "hold 255"),
        ((0, 1), "1 means Material loss"),
        ((1, 1), "1 means Material loss"),
        ((0, 0), "calls everything Clean"),
    ],
)
def test_what_masks_may_mean_is_said_before_a_run_and_by_the_check(
    values, text, copied_sample_set, monkeypatch
):
    write_masks(copied_sample_set, values)
    dataset = DATASETS.build({"type": "ARTeFACTDataset", "data_root": str(copied_sample_set)})
    said = []
    monkeypatch.setattr(module, "print_log", lambda line, *_: said.append(line))
    check_data([dataset])
    assert [line for line in said if text in line] == said != []
    found = [f for f in check_folder(copied_sample_set).faults if f.kind == "mask values"]
    assert any(text in fault.message for fault in found)


def test_masks_of_255_alone_are_refused_before_a_run(copied_sample_set):
    write_masks(copied_sample_set, (255, 255))
    dataset = DATASETS.build({"type": "ARTeFACTDataset", "data_root": str(copied_sample_set)})
    with pytest.raises(InputError, match="no labeled pixel") as caught:
        check_data([dataset])
    assert "every pixel of its" in caught.value.problems[0]


def write_masks(root, values):
    """Replaces all masks; the upper half has the first value."""
    for path in (root / "annotations").iterdir():
        with Image.open(path) as image:
            mask = np.full(image.size[::-1], values[1], np.uint8)
        mask[: len(mask) // 2] = values[0]
        Image.fromarray(mask).save(path)
