"""The checks before a run, and the folder of a run."""

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.prepare import (
    build_datasets,
    build_parts,
    config_errors,
    output_folder,
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


@pytest.mark.parametrize("error", [KeyError("k"), TypeError("t"), ValueError("v")])
def test_errors_of_building_name_the_part(error):
    message = "the config's 'model' cannot be built"
    with pytest.raises(InputError, match=message), config_errors("model"):
        raise error


def test_errors_that_are_no_config_errors_pass():
    with pytest.raises(RuntimeError), config_errors("model"):
        raise RuntimeError("a bug")
    with pytest.raises(InputError, match=r"^mine$"), config_errors("model"):
        raise InputError("mine")


def test_the_same_problem_of_all_parts_is_told_once(tiny_config):
    cfg = load_config(tiny_config, {"data_root": "/nowhere"})
    with pytest.raises(InputError, match=r"^/nowhere: the data root does not exist"):
        build_datasets(cfg, ("train", "val", "test"))


def test_different_problems_are_told_together(tiny_config):
    cfg = load_config(tiny_config, {"data_root": "/nowhere"})
    cfg.val_dataloader.dataset.data_root = "/elsewhere"
    with pytest.raises(InputError, match="cannot be read") as caught:
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


def test_checking_the_parts_leaves_the_config_as_it_was(tiny_config):
    cfg = load_config(tiny_config)
    before = cfg.pretty_text
    model = build_parts(cfg, ("train", "val", "test"))
    assert cfg.pretty_text == before
    assert model.num_classes == 16


def test_images_of_three_channels_for_a_backbone_of_four(tiny_config):
    cfg = load_config(tiny_config, {"model.backbone.in_channels": 4})
    with pytest.raises(InputError, match="give mean and std 1 or 4 numbers each"):
        build_parts(cfg, ("train", "val"))
    numbers = [127.5]  # for all channels
    cfg.model.data_preprocessor.update(mean=numbers, std=numbers)
    with pytest.raises(InputError, match=r"^train_dataloader.*LoadHeritageImage gives images of 3"):
        build_parts(cfg, ("train", "val"))
    for part in ("train", "val"):
        cfg[f"{part}_dataloader"].dataset.pipeline[0] = {"type": "LoadImageFromFile"}
    assert build_parts(cfg, ("train", "val"))


def test_class_weights_of_another_number_of_classes(tiny_config):
    cfg = load_config(tiny_config)
    cfg.model.decode_head.loss_decode = {"type": "ClassWeightedDiceLoss", "class_weight": [1, 2]}
    with pytest.raises(InputError, match="2 weights for 16 classes"):
        build_parts(cfg, ("train",))
