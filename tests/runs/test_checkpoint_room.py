"""A training looks for room for its checkpoints before it starts."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs import checkpoint_room
from mmseg_heritage.runs.checkpoint_room import check_room, checkpoint_size
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.prepare import prepare

MODEL = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.BatchNorm1d(300))


def config(folder, optimizer="AdamW", epochs=10, hooks=(), **hook):
    checkpoint = {"type": "WholeCheckpointHook", "interval": 1, "max_keep_ckpts": 2,
                  "save_best": "mIoU", **hook}  # fmt: skip
    return Config({
        "work_dir": str(folder),
        "default_hooks": {"checkpoint": checkpoint},
        "optim_wrapper": {"optimizer": {"type": optimizer, "lr": 0.1, "momentum": 0.9}},
        "train_cfg": {"max_epochs": epochs},
        "custom_hooks": list(hooks),
    })  # fmt: skip


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_the_size_is_that_of_a_checkpoint(name, tmp_path):
    arguments = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(torch.optim, name)(MODEL.parameters(), lr=0.1, **arguments)
    MODEL(torch.rand(4, 300)).sum().backward()
    optimizer.step()
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": MODEL.state_dict(), "optimizer": optimizer.state_dict()}, path)
    size = checkpoint_size(config(tmp_path, name), MODEL)
    assert 0 <= path.stat().st_size - size < 8000


def test_averages_and_what_is_not_saved_count(tmp_path):
    weights = checkpoint_size(config(tmp_path, save_optimizer=False), MODEL)
    with_averages = config(tmp_path, hooks=[{"type": "EMAHook"}], save_optimizer=False)
    assert checkpoint_size(with_averages, MODEL) == 2 * weights


def room(monkeypatch, checkpoints):
    size = checkpoint_size(config("x"), MODEL)
    said = []
    monkeypatch.setattr(
        checkpoint_room.shutil,
        "disk_usage",
        lambda _: SimpleNamespace(free=int(size * checkpoints)),
    )
    monkeypatch.setattr(checkpoint_room, "print_log", lambda text, *_: said.append(text))
    return said


def test_where_no_checkpoint_fits_it_is_refused(monkeypatch, tmp_path):
    room(monkeypatch, 0.9)
    with pytest.raises(InputError, match=r"takes 1\.1 MB, but the disk has 1\.0 MB left"):
        check_room(config(tmp_path / "not" / "yet"), MODEL)


@pytest.mark.parametrize(
    ("hook", "number"),
    [
        ({}, 4),  # two kept, the best, and the one that is being written
        ({"save_best": None}, 3),
        ({"save_best": ["mIoU", "aAcc"]}, 5),
        ({"max_keep_ckpts": -1}, 12),
        ({"max_keep_ckpts": -1, "interval": 4}, 5),
        ({"interval": -1}, 3),
    ],
)
def test_where_not_all_of_them_fit_it_is_told(hook, number, monkeypatch, tmp_path):
    said = room(monkeypatch, number + 0.01)
    check_room(config(tmp_path, **hook), MODEL)
    assert not said
    said = room(monkeypatch, number - 0.1)
    check_room(config(tmp_path, **hook), MODEL)
    assert f"{number} more checkpoints" in said[0]
    (tmp_path / "epoch_1.pth").touch()  # takes its room already
    check_room(config(tmp_path, **hook), MODEL)
    assert len(said) == 1


def test_a_training_looks_for_it(monkeypatch, tiny_config, tmp_path):
    cfg = load_config(tiny_config, {"work_dir": str(tmp_path)})
    monkeypatch.setattr(checkpoint_room.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match="a checkpoint of this training takes"):
        prepare(cfg, ("train", "val"))
    prepare(cfg, ("val",))
