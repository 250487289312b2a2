"""Checkpoint files: whole or not there, and kept by a rule that survives kills."""

import json
import os
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend

from mmseg_heritage.engine import checkpoint_files
from mmseg_heritage.engine.checkpoint_files import (
    LAST,
    LIST,
    WHOLE,
    listed,
    record_checkpoint,
)
from mmseg_heritage.errors import InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(folder: Path, step: int, keep: int = 2) -> Path:
    path = folder / f"iter_{step}.pth"
    path.write_bytes(b"content")
    record_checkpoint(folder, path, keep)
    return path


def test_a_list_from_someone_else_deletes_nothing_outside_the_folder(tmp_path):
    folder, thesis = tmp_path / "run", tmp_path / "victim" / "thesis.pth"
    folder.mkdir()
    thesis.parent.mkdir()
    thesis.touch()
    (folder / LIST).write_text(
        json.dumps({"checkpoints": ["../victim/thesis.pth", str(thesis), "iter_1.pth"]})
    )
    (folder / "iter_1.pth").touch()
    write(folder, 2, keep=1)
    assert thesis.is_file()
    assert not (folder / "iter_1.pth").exists()
    assert listed(folder) == [folder / "iter_2.pth"]


class TestWriting:
    """The file backend."""

    def test_mmengine_finds_it(self, tmp_path):
        backend = get_file_backend(str(tmp_path), backend_args=WHOLE)
        backend.put(b"new", str(tmp_path / "a.pth"))
        assert (tmp_path / "a.pth").read_bytes() == b"new"
        assert names(tmp_path) == ["a.pth"]

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_a_fault_leaves_the_earlier_file(self, call, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        (tmp_path / "a.pth").write_bytes(b"old")
        monkeypatch.setattr(os, "fsync", fail) if call == "fsync" else monkeypatch.setattr(
            Path, "replace", fail
        )
        with pytest.raises(OSError, match="No space"):
            get_file_backend(backend_args=WHOLE).put(b"new", tmp_path / "a.pth")
        assert (tmp_path / "a.pth").read_bytes() == b"old"
        assert names(tmp_path) == ["a.pth"]


class TestKeeping:
    """The list of what is kept."""

    def test_the_newest_are_kept(self, tmp_path):
        for step in range(1, 6):
            newest = write(tmp_path, step)
            assert (tmp_path / LAST).read_text() == str(newest)
        assert names(tmp_path) == [LIST, "iter_4.pth", "iter_5.pth", LAST]
        assert listed(tmp_path) == [tmp_path / "iter_4.pth", tmp_path / "iter_5.pth"]

    def test_all_are_kept_if_asked(self, tmp_path):
        for step in range(1, 6):
            write(tmp_path, step, keep=-1)
        assert len(list(tmp_path.glob("*.pth"))) == 5

    def test_writing_one_again_counts_once(self, tmp_path):
        for step in (1, 2, 2, 2):
            write(tmp_path, step)
        assert [path.name for path in listed(tmp_path)] == ["iter_1.pth", "iter_2.pth"]

    @pytest.mark.parametrize("step", range(1, 5))
    def test_a_kill_between_any_two_steps_leaves_two_whole_ones_and_no_orphan(
        self, step, tmp_path, monkeypatch
    ):
        for number in (1, 2):
            write(tmp_path, number)
        calls = 0

        def counted(function):
            def call(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls == step:
                    raise KeyboardInterrupt
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in ("write_json", "replacing"):
                patch.setattr(checkpoint_files, name, counted(getattr(checkpoint_files, name)))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            with pytest.raises(KeyboardInterrupt):
                write(tmp_path, 3)
        assert len(list(tmp_path.glob("iter_*.pth"))) >= 2
        assert (tmp_path / LAST).read_text().endswith(".pth")
        for number in (3, 4, 5):
            write(tmp_path, number)
        assert names(tmp_path) == [LIST, "iter_4.pth", "iter_5.pth", LAST]

    def test_a_folder_that_was_moved(self, tmp_path):
        (tmp_path / "old").mkdir()
        write(tmp_path / "old", 1)
        moved = (tmp_path / "old").rename(tmp_path / "new")
        assert listed(moved) == [moved / "iter_1.pth"]

    @pytest.mark.parametrize("content", ["", "[]", '{"a": 1}'])
    def test_a_list_that_is_none(self, content, tmp_path):
        (tmp_path / LIST).write_text(content)
        with pytest.raises(InputError, match=r"checkpoints\.json: expected the list"):
            listed(tmp_path)
