"""What of a config cannot be built, found before a run."""

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.build import build_parts, config_errors
from mmseg_heritage.runs.config.config_files import load_config


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
    with pytest.raises(InputError, match=r"train_dataloader.*LoadHeritageImage gives images of 3"):
        build_parts(cfg, ("train", "val"))
    for part in ("train", "val"):
        cfg[f"{part}_dataloader"].dataset.pipeline[0] = {"type": "LoadImageFromFile"}
    assert build_parts(cfg, ("train", "val"))


def test_class_weights_of_another_number_of_classes(tiny_config):
    cfg = load_config(tiny_config)
    cfg.model.decode_head.loss_decode = {"type": "ClassWeightedDiceLoss", "class_weight": [1, 2]}
    with pytest.raises(InputError, match="2 weights for 16 classes"):
        build_parts(cfg, ("train",))


def test_the_class_that_cannot_be_built_is_named(tiny_config):
    cfg = load_config(tiny_config, {"model.decode_head.channels": "big"})
    kind = cfg.model.decode_head.type
    with pytest.raises(InputError, match=rf"the config's 'model' cannot be built: .*{kind}"):
        build_parts(cfg, ("train",))


def test_all_that_cannot_be_built_is_told_at_once(tiny_config):
    cfg = load_config(tiny_config)
    cfg.train_dataloader.batchsize = 2
    cfg.optim_wrapper.optimizer.l_r = 0.1
    cfg.default_hooks.checkpoint.intervall = 5
    cfg.val_dataloader.dataset.pipeline.insert(0, {"type": "Nothing"})
    with pytest.raises(InputError, match="several things") as caught:
        build_parts(cfg, ("train", "val"))
    told = str(caught.value)
    for part in ("batchsize: no such setting", "l_r", "Nothing is not in",
                 "CheckpointHook has no intervall; did you mean interval?"):  # fmt: skip
        assert part in told, told
