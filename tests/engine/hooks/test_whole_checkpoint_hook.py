"""Checkpoints against kills, full disks and lost validations."""

import errno
import os

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.runner import Runner

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine.hooks import WholeCheckpointHook
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.trained_run import read_trained_run


@pytest.mark.parametrize("number", [0, 1])
def test_a_single_checkpoint_is_not_enough(number):
    with pytest.raises(InputError, match=r"max_keep_ckpts is \d; expected 2 or more"):
        WholeCheckpointHook(max_keep_ckpts=number)


def test_two_are_kept_and_the_best(tiny_run):
    names = {path.name for path in tiny_run.folder.glob("*.pth")}
    assert {"iter_2.pth", "iter_3.pth"} <= names
    assert len(names) == 3
    assert len([name for name in names if name.startswith("best_")]) == 1


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_last_checkpoint_stays(tiny_config, tmp_path, monkeypatch):
    saved = 0
    real = os.fsync

    def fill_up(handle):
        nonlocal saved
        saved += 1
        if saved > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fill_up)
    run = tmp_path / "run"
    with pytest.raises(InputError, match="the disk is full") as caught:
        train(tiny_config, str(run), cfg_options={"max_iters": 5}, skip_data_check=True)
    monkeypatch.undo()
    newest = (run / "last_checkpoint").read_text()
    assert f"{newest} is whole" in str(caught.value)
    torch.load(newest, weights_only=False)
    assert not list(run.glob(".*.pth"))
    train(tiny_config, str(run), resume="auto", cfg_options={"max_iters": 5}, skip_data_check=True)
    assert (run / "iter_5.pth").is_file()


@pytest.mark.slow
def test_a_kill_before_validation_does_not_lose_the_best(tiny_config, tmp_path, monkeypatch):
    options = {"max_iters": 2}
    whole = train(tiny_config, str(tmp_path / "a"), cfg_options=options, skip_data_check=True)

    def die(self, *args, **kwargs):
        raise KeyboardInterrupt

    killed = str(tmp_path / "b")
    with monkeypatch.context() as patch:
        patch.setattr(WholeCheckpointHook, "after_val_epoch", die)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config, killed, cfg_options=options, skip_data_check=True)
    assert not list((tmp_path / "b").glob("best_*"))
    again = train(tiny_config, killed, resume="auto", cfg_options=options, skip_data_check=True)
    assert [p.name for p in again.glob("best_*")] == [p.name for p in whole.glob("best_*")]


@pytest.mark.slow
def test_a_validation_that_was_done_is_not_repeated(tiny_run, tmp_path, monkeypatch):
    """The run ends with the checkpoint that was written again for its best score, or is judged."""
    validated = []
    real = Runner.call_hook

    def spy(self, name, **kwargs):
        if name == "before_val":
            validated.append(self.iter)
        return real(self, name, **kwargs)

    monkeypatch.setattr(Runner, "call_hook", spy)
    seen = torch.load(tiny_run.checkpoint, weights_only=False)["message_hub"]["runtime_info"]
    done = seen.get("last_validated_iter") == 3
    train(
        tiny_run.config, str(tmp_path / "run"), resume=str(tiny_run.checkpoint),
        cfg_options={"max_iters": 3}, skip_data_check=True,
    )  # fmt: skip
    assert validated == ([] if done else [3])


@pytest.mark.slow
def test_the_best_checkpoint_of_the_run_it_came_from_is_not_deleted(tiny_run, tmp_path):
    before = sorted(path.name for path in tiny_run.folder.glob("*.pth"))
    train(
        tiny_run.config, str(tmp_path / "run"), resume=str(tiny_run.folder / "iter_2.pth"),
        cfg_options={"max_iters": 4, "lr": 0.01}, skip_data_check=True,
    )  # fmt: skip
    assert sorted(path.name for path in tiny_run.folder.glob("*.pth")) == before


def test_the_last_checkpoint_has_its_validation_though_it_is_not_the_best(tiny_config, tmp_path):
    options = {"max_iters": 2, "default_hooks.checkpoint.save_best": None}
    train(tiny_config, str(tmp_path / "run"), cfg_options=options, skip_data_check=True)
    run = read_trained_run(tmp_path / "run" / "iter_2.pth")
    assert run.validation["overall"].keys() >= {"damage_IoU", "mIoU"}
    weights = torch.load(tmp_path / "run" / "iter_2.pth", weights_only=False)
    assert weights["optimizer"]["state"]
