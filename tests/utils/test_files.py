"""Files appear whole or not at all."""

import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import check_empty, making_folder, replacing, write_json


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


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_many_threads_leave_the_umask_as_it_was(tmp_path, monkeypatch):
    umask, slow = os.umask, []

    def slowly(mask):
        slow.append(mask)
        found = umask(mask)
        time.sleep(0.002)  # between reading and setting back, where threads would meet
        return found

    before = umask(0o027)
    monkeypatch.setattr(os, "umask", slowly)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: write_json(tmp_path / f"{i}.json", i), range(24)))
        assert len(slow) == 48
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == {0o640}
    finally:
        assert umask(before) == 0o027


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
