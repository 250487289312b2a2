"""What of a config is fitted to machine and data, and why."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmseg.registry import MODELS

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.training import train
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs import machine
from mmseg_heritage.runs.machine import fit_last_batch, fit_loaders, training_length


def build(head, **kwargs):
    return MODELS.build(
        {
            "type": "HeritageEncoderDecoder",
            "backbone": {"type": "TimmBackboneAdapter", "model_name": "resnet10t"},
            "decode_head": {
                "type": head,
                "in_channels": "auto",
                "in_index": [0, 1, 2, 3],
                "channels": 16,
                "num_classes": 3,
                "norm_cfg": {"type": "SyncBN"},
                **kwargs,
            },
            "train_cfg": {},
            "test_cfg": {"mode": "whole"},
        }
    )


def loader(batch_size, **kwargs):
    dataset = {"type": "ARTeFACTDataset"}
    return Config({"train_dataloader": {"batch_size": batch_size, "dataset": dataset, **kwargs}})


@pytest.fixture(scope="module")
def upernet():
    return build("UPerHead")  # with SyncBN, as the configs have it


@pytest.mark.parametrize("num_samples", range(4, 14))
def test_no_batch_of_one_is_left(upernet, num_samples):
    cfg = loader(4)
    fit_last_batch(cfg, upernet, num_samples)
    sizes = [len(b) for b in torch.arange(num_samples).split(4)]
    if cfg.train_dataloader.get("drop_last"):
        assert sizes[-1] == 1  # nothing is left out without need
    else:
        assert min(sizes) > 1


def test_that_head_cannot_train_on_one_image(upernet):
    """The reason; where torch learns to do it, the module above it can go."""
    on_one_device = revert_sync_batchnorm(upernet).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        on_one_device(torch.zeros(1, 3, 64, 64), mode="tensor")


@pytest.mark.parametrize("cfg", [loader(1), loader(1, sampler={"type": "InfiniteSampler"})])
def test_single_images_are_refused(upernet, cfg):
    with pytest.raises(InputError, match="batch_size=1 and 8 training images"):
        fit_last_batch(cfg, upernet, 8)


def test_what_it_advises_instead_is_taken():
    model = build("UPerHead", norm_cfg={"type": "GN", "num_groups": 8})
    fit_last_batch(loader(1), model, 8)
    model.train()
    assert model(torch.zeros(1, 3, 64, 64), mode="tensor").isfinite().all()


def test_heads_without_such_pooling_are_left_alone():
    cfg = loader(4)
    fit_last_batch(cfg, build("SegformerHead"), 5)
    assert "drop_last" not in cfg.train_dataloader


def test_a_wrapped_data_set_has_another_number_of_images(upernet):
    inner = {"type": "RepeatDataset", "times": 3, "dataset": {"type": "ARTeFACTDataset"}}
    cfg = Config({"train_dataloader": {"batch_size": 4, "dataset": inner}})
    fit_last_batch(cfg, upernet, 7)
    assert cfg.train_dataloader.drop_last


@pytest.mark.slow
def test_an_epoch_that_would_end_in_one_image_is_trained(tiny_config, tmp_path):
    from mmseg_heritage.runs.config.config_files import load_config
    from mmseg_heritage.runs.prepare import build_datasets

    [training] = build_datasets(load_config(tiny_config), ("train",))["train"]
    options = {
        "batch_size": len(training) - 1,
        "max_epochs": 1,
        "model.decode_head.type": "UPerHead",
    }
    folder = train(tiny_config, str(tmp_path / "run"), cfg_options=options)
    assert (folder / "epoch_1.pth").is_file()


class TestGlobalBatch:
    """``global_batch_size`` over processes."""

    @pytest.mark.parametrize(("processes", "share"), [(1, 8), (2, 4), (8, 1)])
    def test_each_process_gets_its_share(self, processes, share, monkeypatch):
        monkeypatch.setattr(machine, "get_world_size", lambda: processes)
        cfg = Config({"global_batch_size": 8, "train_dataloader": {"batch_size": 3}})
        fit_loaders(cfg)
        assert cfg.train_dataloader.batch_size == share

    def test_batch_size_counts_the_images_of_one_process(self, monkeypatch):
        monkeypatch.setattr(machine, "get_world_size", lambda: 5)
        for unset in ({}, {"global_batch_size": None}):
            cfg = Config({**unset, "train_dataloader": {"batch_size": 3}})
            fit_loaders(cfg)
            assert cfg.train_dataloader.batch_size == 3

    @pytest.mark.parametrize("wanted", [10, 0, -4, 2.5, "8"])
    def test_what_does_not_divide_is_refused(self, wanted, monkeypatch):
        monkeypatch.setattr(machine, "get_world_size", lambda: 4)
        cfg = Config({"global_batch_size": wanted, "train_dataloader": {"batch_size": 3}})
        with pytest.raises(InputError, match=r"must be a multiple of .* processes, which is 4"):
            fit_loaders(cfg)
        assert cfg.train_dataloader.batch_size == 3


def test_workers_are_not_kept_where_there_are_none():
    loader = {"num_workers": 0, "persistent_workers": True}
    cfg = Config({"train_dataloader": dict(loader), "val_dataloader": {**loader, "num_workers": 2}})
    fit_loaders(cfg)
    assert cfg.train_dataloader.persistent_workers is False
    assert cfg.val_dataloader.persistent_workers is True


def test_a_hook_that_is_none_is_left_out_where_mmengine_would_stop():
    hooks = {"class_frequency": None, "logger": None, "timer": {"type": "IterTimerHook"}}
    cfg = Config({"default_hooks": hooks})
    fit_loaders(cfg)
    assert cfg.default_hooks == {"logger": None, "timer": {"type": "IterTimerHook"}}


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("num_samples", range(3, 12))
def test_the_length_of_a_training_is_that_of_its_loader(num_samples, drop_last):
    cfg = loader(3, drop_last=drop_last, sampler={"type": "NumberedSampler"})
    cfg.train_cfg = {"max_epochs": 5}
    batches = torch.utils.data.DataLoader(range(num_samples), 3, drop_last=drop_last)
    assert training_length(cfg, num_samples) == 5 * len(batches)
    cfg.train_dataloader.dataset = {"type": "SeededDataset", "dataset": {"type": "A"}}
    assert training_length(cfg, num_samples) == 5 * len(batches)
    cfg.train_dataloader.dataset.dataset = {"type": "RepeatDataset", "dataset": {"type": "A"}}
    assert training_length(cfg, num_samples) is None
