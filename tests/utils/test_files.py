"""Files appear whole or not at all."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils import files
from mmseg_heritage.utils.files import (
    check_empty,
    finished_files,
    is_unfinished,
    making_folder,
    making_folders,
    remove_temporaries,
    replacing,
    staging_folder,
    unfinished,
    write_json,
    writing_together,
)


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "folder" / "out.txt"
    with replacing(target) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [p.name for p in target.parent.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path, interruption):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(interruption), replacing(target) as temporary:
        temporary.write_text("half of the n")
        raise interruption
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_file_has_the_permissions_of_any_other_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "out"):
        pass
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "out")}
    assert len(modes) == 1


def test_the_longest_name_that_the_file_system_takes_can_be_written(tmp_path):
    target = tmp_path / ("n" * 250 + ".txt")
    with replacing(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"


def test_json_keeps_unicode_and_can_be_read_back(tmp_path):
    content = {"name": "Pergamentstück", "values": [1, 2.5, None]}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "Pergamentstück" in text
    assert text.endswith("}\n")
    assert json.loads(text) == content


@pytest.mark.parametrize("content", [{"a": float("nan")}, {"a": object()}])
def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, content):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises((ValueError, TypeError)):
        write_json(target, content)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_appears_only_when_the_block_ends(is_there, tmp_path):
    target = tmp_path / "new" / "folder"
    if is_there:
        target.mkdir(parents=True)
    with making_folder(target) as folder:
        (folder / "a.txt").write_text("whole")
        assert folder.parent == target.parent
        assert not list(target.glob("*"))
    assert [p.name for p in target.parent.rglob("*")] == ["folder", "a.txt"]


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_nothing(interruption, tmp_path):
    with pytest.raises(interruption), making_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("half")
        raise interruption
    assert not list(tmp_path.iterdir())


def test_what_others_wrote_is_not_replaced_by_a_folder(tmp_path):
    target = tmp_path / "out"
    with pytest.raises(OSError, match="out"), making_folder(target):
        target.mkdir()
        (target / "theirs").write_text("mine")
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "theirs"]


def test_only_absent_and_empty_folders_are_taken(tmp_path):
    check_empty(tmp_path / "new")
    check_empty(tmp_path)
    (tmp_path / ".hidden").write_text("")
    check_empty(tmp_path, ignore_hidden=True)
    with pytest.raises(InputError, match=r"such as \.hidden"):
        check_empty(tmp_path)
    with pytest.raises(InputError, match="expected a folder to write to, found a file"):
        check_empty(tmp_path / ".hidden")


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(tmp_path):
    code = (
        "import os, sys; from mmseg_heritage.utils.files import *\n"
        "from pathlib import Path; folder = Path(sys.argv[1])\n"
        "with replacing(folder / 'a.png') as file, making_folder(folder / 'b') as other, "
        "staging_folder(folder / 'c'):\n"
        "    file.touch(); (other / 'x').touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 3
    mine = tmp_path / f".d.partial-{files._host()}-{os.getpid()}-01234567"  # this process lives
    others = tmp_path / ".e.partial-01234567-1-01234567.txt"  # perhaps another machine's does
    own = tmp_path / ".f.partial"  # no name of ours
    for path in (mine, others, own):
        path.touch()
    write_json(tmp_path / "g.json", {})
    assert {path.name for path in tmp_path.iterdir()} == {
        mine.name, others.name, own.name, "g.json"}  # fmt: skip
    os.utime(others, (0, 0))
    remove_temporaries(tmp_path)
    assert not others.exists()
    remove_temporaries(tmp_path, alone=True)
    assert {path.name for path in tmp_path.iterdir()} == {own.name, "g.json"}


def test_a_folder_is_unfinished_until_its_block_has_ended(tmp_path):
    with unfinished([tmp_path / "a"]):
        assert is_unfinished(tmp_path / "a")
    assert not list((tmp_path / "a").iterdir())
    with pytest.raises(KeyboardInterrupt), unfinished([tmp_path / "a"]):
        raise KeyboardInterrupt
    assert is_unfinished(tmp_path / "a")


def test_a_staging_folder_is_gone_in_the_end(tmp_path):
    with staging_folder(tmp_path / "out") as folder:
        (folder / "a").touch()
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(28, "No space left on device"), (28, "out.npy")),
        (OSError("600 requested and 512 written"), (28, "out.npy")),
        (OSError(28, "No space left on device", "other"), (28, "other")),
        (OSError("image file is truncated"), (None, None)),
    ],
)
def test_what_the_system_refuses_names_the_file(tmp_path, raised, expected):
    with pytest.raises(OSError) as caught, replacing(tmp_path / "out.npy"):
        raise raised
    name = caught.value.filename
    assert (caught.value.errno, name and Path(name).name) == expected


def test_files_that_belong_together_may_be_written_again_until_all_are_there(tmp_path):
    files = [tmp_path / "new" / name for name in ("a.json", "deep/b.png", "c\nd.txt")]
    with writing_together(tmp_path / "new", files):
        write_json(files[0], 1)
        assert finished_files(tmp_path / "new", files) == []
    assert finished_files(tmp_path / "new", files) == files[:1]
    with pytest.raises(KeyboardInterrupt), writing_together(tmp_path / "new", files):
        write_json(files[0], 2)
        raise KeyboardInterrupt
    assert finished_files(tmp_path / "new", [*files, *(tmp_path / "new").iterdir()]) == []
    with writing_together(tmp_path / "new", files[1:]):  # another command
        write_json(files[1], 3)
    assert [path.name for path in (tmp_path / "new").iterdir() if path.is_file()] == ["a.json"]


def test_where_nothing_was_written_nothing_is_noted(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(ValueError, match="bad"), writing_together(tmp_path, [tmp_path / "a"]):
        raise ValueError("bad")
    with (
        pytest.raises(ValueError, match="bad"),
        writing_together(tmp_path / "n", [tmp_path / "n/a"]),
    ):
        raise ValueError("bad")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert finished_files(tmp_path, tmp_path.iterdir()) == [tmp_path / "a"]


def test_folders_that_belong_together_are_finished_at_once(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    real = files.remove_surely

    def stop(path):  # after both have their names
        if path.name == ".unfinished" and (one / "x").exists():
            raise KeyboardInterrupt
        real(path)

    def make(text):
        with making_folders([one, two]) as folders:
            for folder in folders:
                (folder / "x").write_text(text)

    monkeypatch.setattr(files, "remove_surely", stop)
    with pytest.raises(KeyboardInterrupt):
        make("first")
    assert is_unfinished(one)
    assert is_unfinished(two)
    monkeypatch.setattr(files, "remove_surely", real)
    make("second")
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")} == {
        "one", "two", "one/x", "two/x"}  # fmt: skip
    assert (two / "x").read_text() == "second"
    with unfinished([one, two]):
        (one / ".unfinished").unlink()  # a kill after the first mark was removed
        assert not is_unfinished(two)
        assert not (two / ".unfinished").exists()


def test_a_signal_while_a_temporary_file_is_removed_leaves_none(tmp_path, monkeypatch):
    real, stops = files._remove, [KeyboardInterrupt]

    def stop(path):
        if stops:
            raise stops.pop()
        real(path)

    monkeypatch.setattr(files, "_remove", stop)
    with pytest.raises(KeyboardInterrupt), staging_folder(tmp_path / "out") as folder:
        (folder / "a").touch()
    assert not list(tmp_path.iterdir())
