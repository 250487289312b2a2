"""What a run goes on from, and when it refuses to."""

import shutil

import pytest
import torch

pytest.importorskip("mmseg")

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine.checkpoint_files import LAST, record_checkpoint
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.resume import latest_checkpoint, latest_whole_checkpoint


class TestLatestCheckpoint:
    """The mark of the last checkpoint."""

    def test_none_in_a_new_folder(self, tmp_path):
        assert latest_checkpoint(tmp_path) is None
        assert latest_whole_checkpoint(tmp_path) is None

    def test_beside_the_mark_first(self, tmp_path):
        (tmp_path / LAST).write_text("/elsewhere/iter_3.pth\n")
        (tmp_path / "iter_3.pth").touch()
        assert latest_checkpoint(tmp_path) == tmp_path / "iter_3.pth"

    def test_one_that_is_gone(self, tmp_path):
        (tmp_path / LAST).write_text("/elsewhere/iter_3.pth")
        with pytest.raises(InputError, match=r"names /elsewhere/iter_3\.pth, which is gone"):
            latest_checkpoint(tmp_path)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.fixture
def folder(tmp_path):
    for step in (1, 2):
        path = tmp_path / f"iter_{step}.pth"
        torch.save({"state_dict": {"weight": torch.rand(100, 100)}}, path)
        record_checkpoint(tmp_path, path, keep=2)
    return tmp_path


@pytest.mark.parametrize("damage", [cut, flip, empty, lambda path: path.unlink()])
def test_a_damaged_checkpoint_is_skipped_with_a_message(damage, folder, capsys):
    assert latest_whole_checkpoint(folder) == folder / "iter_2.pth"
    assert capsys.readouterr().out == ""
    damage(folder / "iter_2.pth")
    assert latest_whole_checkpoint(folder) == folder / "iter_1.pth"
    message = capsys.readouterr().out
    assert f"skipped: {folder / 'iter_2.pth'}: " in message
    assert f"going on from {folder / 'iter_1.pth'}" in message
    damage(folder / "iter_1.pth")
    with pytest.raises(InputError, match="none of this run's checkpoints can be read") as caught:
        latest_whole_checkpoint(folder)
    assert len(caught.value.problems) == 2


def test_one_that_carries_code_is_refused_not_skipped(folder):
    torch.save({"state_dict": {}, "meta": pytest.approx}, folder / "iter_2.pth")
    with pytest.raises(InputError, match="refused, because this checkpoint asks for"):
        latest_whole_checkpoint(folder)


def test_a_finished_run_says_that_nothing_is_left(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run.folder, tmp_path / "run")
    before = torch.load(run / "iter_3.pth", weights_only=False)["state_dict"]
    train(tiny_run.config, str(run), resume="auto", cfg_options={"max_iters": 3})
    message = "nothing is left to train: the run has 3 iterations, and the checkpoint was written"
    assert any(message in log.read_text() for log in run.rglob("*.log"))
    after = torch.load(run / "iter_3.pth", weights_only=False)["state_dict"]
    assert all(torch.equal(before[key], after[key]) for key in before)


class TestAnotherRun:
    """``--resume auto`` in the folder of another config."""

    @pytest.fixture
    def run(self, tiny_run, tmp_path):
        return shutil.copytree(tiny_run.folder, tmp_path / "run")

    def test_every_difference_is_named(self, tiny_run, run):
        options = {"max_iters": 3, "lr": 0.01, "batch_size": 3, "model.decode_head.channels": 8}
        before = sorted(path.name for path in run.iterdir())
        with pytest.raises(InputError, match="holds a run of another config") as caught:
            train(tiny_run.config, str(run), resume="auto", cfg_options=options)
        assert set(caught.value.problems) == {
            "model.decode_head.channels: the run has 16, now 8",
            "images_per_step: the run has 2, now 3",
            "optim_wrapper.optimizer.lr: the run has 0.001, now 0.01",
        }
        assert sorted(path.name for path in run.iterdir()) == before

    @pytest.mark.slow
    def test_class_weights_that_were_edited_since(self, tiny_run, tmp_path):
        file = tmp_path / "weights.json"
        file.write_text(str([2] + [1] * 15))
        options = {"max_iters": 1, "class_weights": str(file)}
        folder = train(tiny_run.config, str(tmp_path / "run"), cfg_options=options)
        file.write_text(str([3] + [1] * 15))
        with pytest.raises(InputError, match="holds a run of another config") as caught:
            train(tiny_run.config, str(folder), resume="auto", cfg_options=options)
        assert "model.decode_head.loss_decode.0.class_weight.0: the run has 2.0, now 3.0" in str(
            caught.value
        )

    def test_another_split(self, tiny_run, run):
        options = {"max_iters": 3, "split_file": ""}
        with pytest.raises(InputError, match="split: the run has 'holdout', now"):
            train(tiny_run.config, str(run), resume="auto", cfg_options=options)

    @pytest.mark.slow
    def test_what_does_not_change_the_weights_may_differ(self, tiny_run, run):
        options = {"max_iters": 3, "num_workers": 1, "default_hooks.logger.interval": 1}
        train(tiny_run.config, str(run), resume="auto", cfg_options=options)

    @pytest.mark.slow
    def test_the_copy_of_the_config_in_the_folder_is_the_same(self, tiny_run, run):
        train(run / "tiny.py", str(run), resume="auto", skip_data_check=True)
