"""Each short variable reaches every field that it stands for, wherever a config has it."""

import copy

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import config_folder, load_config
from mmseg_heritage.runs.config.variables import TEXT_FIELDS, VARIABLES, names_of, set_variable

FOLDER = config_folder()
# A value of each variable that no shipped config has, and that the config can have.
VALUES = {
    "data_root": "another/folder", "split_file": "another.json", "level": "coarse",
    "num_classes": 97, "crop_size": 97, "rare_class_prob": 0.123, "augmentation": "heavy",
    "native_prob": 0.123,
    "max_edge": 97, "batch_size": 97, "num_workers": 7, "cache": "disk", "cache_dir": "there",
    "global_batch_size": 97, "class_weights": [2.0] * 16, "lr": 0.123, "decay_rate": 0.123,
    "max_epochs": 97, "warmup_epochs": 7, "seed": 97, "vis_backends": [{"type": "A"}],
    "mode": "independent", "level_weights": {"fine": 0.5}, "inference": {"crop": 64},
    "tune": "norm",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_each_variable_given_as_an_option_is_in_all_its_fields(path):
    loaded = load_config(path)
    names = names_of(loaded)
    length = "max_epochs" if "max_epochs" in loaded.train_cfg else "max_iters"
    assert {"data_root", "batch_size", "crop_size", "lr", length, "seed"} <= set(names)
    for name in set(names) - {"pretrained", "max_iters"}:
        cfg = copy.deepcopy(loaded)
        set_variable(cfg, name, VALUES[name])
        places = VARIABLES[name].places(cfg)
        assert places
        for node, key in places:
            assert node[key] == VALUES[name], (name, key)


@pytest.fixture
def cfg():
    return load_config("quickstart_artefact")


def crops(cfg):
    pipeline = cfg.train_dataloader.dataset.pipeline
    return [step.get("size") for step in pipeline]


@pytest.mark.parametrize("position", [0, 1, 2, 3, 5])
def test_steps_are_found_by_type_wherever_another_one_is_inserted(cfg, position):
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [
        *pipeline[:position], {"type": "RandomFlip", "prob": 0.5}, *pipeline[position:]
    ]  # fmt: skip
    set_variable(cfg, "crop_size", 96)
    assert crops(cfg).count(96) == 1
    assert [s.type for s in cfg.train_dataloader.dataset.pipeline if s.get("size")] == [
        "RareClassCrop"
    ]


def test_they_are_found_inside_other_steps_and_wrappers(cfg):
    inner = cfg.train_dataloader.dataset
    crop = inner.pipeline[2]
    inner.pipeline = [{"type": "RandomApply", "transforms": [crop]}]
    cfg.train_dataloader.dataset = {
        "type": "RepeatDataset", "times": 2, "dataset": {
            "type": "ConcatDataset", "datasets": [inner, dict(inner)]}}  # fmt: skip
    set_variable(cfg, "crop_size", 96)
    set_variable(cfg, "data_root", "b")
    found = cfg.train_dataloader.dataset.dataset.datasets
    assert [dataset["data_root"] for dataset in found] == ["b", "b"]
    assert [dataset["pipeline"][0]["transforms"][0]["size"] for dataset in found] == [96, 96]


def test_a_part_of_a_variable_leaves_the_others(cfg):
    cfg = load_config("hierarchical_mitb3_artefact", {"level_weights.fine": 0.5})
    assert cfg.model.decode_head.level_weights == {"binary": 0.2, "coarse": 0.3, "fine": 0.5}


def test_class_weights_reach_every_loss_of_the_classes_that_takes_them():
    weights = [float(i) for i in range(16)]
    cfg = load_config("quickstart_artefact", {"class_weights": weights})
    assert [loss.class_weight for loss in cfg.model.decode_head.loss_decode] == [weights] * 2
    cfg = load_config("upernet_convnext-tiny_artefact-aux", {"class_weights": weights})
    losses = cfg.model.decode_head.loss_decode, cfg.model.auxiliary_head.loss_decode
    assert [loss.class_weight for loss in losses] == [weights] * 2
    cfg = load_config("upernet_swin-tiny_artefact", {"class_weights": weights})
    assert [loss.class_weight for loss in cfg.model.decode_head.loss_decode] == [weights] * 2


def test_no_workers_are_not_kept_alive(cfg):
    set_variable(cfg, "num_workers", 0)
    assert not cfg.train_dataloader.persistent_workers
    set_variable(cfg, "num_workers", 2)
    assert cfg.test_dataloader.persistent_workers


def test_max_iters_turns_epochs_into_iterations_in_proportion():
    cfg = load_config("upernet_swin-tiny_artefact", {"max_iters": 200})
    assert cfg.train_cfg == {"type": "ResumableIterLoop", "max_iters": 200, "val_interval": 20}
    linear, cosine = cfg.param_scheduler
    assert (linear.begin, linear.end, linear.by_epoch) == (0, 27, False)
    assert (cosine.begin, cosine.by_epoch) == (27, False)
    assert "convert_to_iter_based" not in cosine
    assert cfg.train_dataloader.sampler.type == "NumberedInfiniteSampler"
    assert not cfg.log_processor.by_epoch
    stock = Config({"train_cfg": {"max_epochs": 2}, "train_dataloader": {
        "sampler": {"type": "DefaultSampler", "round_up": True}}, "default_hooks": {
        "checkpoint": {}, "logger": {}}, "log_processor": {}})  # fmt: skip
    set_variable(stock, "max_iters", 7)
    assert stock.train_cfg.type == "IterBasedTrainLoop"
    assert stock.train_dataloader.sampler == {"type": "InfiniteSampler"}


def test_paths_stay_text():
    assert {"data_root", "split_file", "pretrained", "cache_dir", "work_dir"} <= TEXT_FIELDS


def test_a_variable_without_a_place_is_refused(cfg):
    with pytest.raises(InputError, match=r"warmup_epochs would reach nothing.*LinearLR"):
        set_variable(cfg, "warmup_epochs", 3)
