"""The checks before a run, and the folder of a run."""

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.prepare import (
    build_datasets,
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
