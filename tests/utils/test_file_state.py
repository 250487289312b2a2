"""What was read is remembered until a file changes, and not a moment longer."""

import os

import pytest

from mmseg_heritage.utils.file_state import FileState, WhileUnchanged, file_state


def _backdate(path, seconds=100):
    """Makes a change look old enough to be remembered."""
    before = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(before, before))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    path.parent.mkdir()
    path.write_text("one")
    _backdate(path)
    _backdate(path.parent)
    return path


def _change_content(file):
    file.write_text("two")


def _change_size_only(file):
    before = file.stat().st_mtime_ns
    file.write_text("three")
    os.utime(file, ns=(before, before))


def _replace(file):
    other = file.with_name("other")
    other.write_text("two")
    before = file.stat().st_mtime_ns
    os.utime(other, ns=(before, before))
    other.replace(file)


def _remove(file):
    file.unlink()


def _touch(file):
    file.touch()


def test_the_state_of_a_link_is_that_of_its_file(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    assert file_state(link) == FileState(3, file.stat().st_mtime_ns)
    with pytest.raises(OSError, match="absent"):
        file_state(tmp_path / "absent")


@pytest.mark.parametrize("change", [_change_content, _change_size_only, _replace, _remove, _touch])
def test_a_changed_file_is_read_again(file, change):
    memory, reads = WhileUnchanged(), []
    for _ in range(3):
        memory.get("key", [file], lambda: reads.append(1))
    assert len(reads) == 1
    change(file)
    memory.get("key", [file], lambda: reads.append(1))
    assert len(reads) == 2


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_a_changed_folder_is_read_again(file, change):
    memory, folder = WhileUnchanged(), file.parent
    before = memory.get("key", [folder], lambda: sorted(folder.iterdir()))
    actions = {
        "add": lambda: (folder / "new").touch(),
        "remove": file.unlink,
        "rename": lambda: file.rename(folder / "renamed"),
    }
    actions[change]()
    after = memory.get("key", [folder], lambda: sorted(folder.iterdir()))
    assert after == sorted(folder.iterdir()) != before


def test_what_changed_just_now_is_not_remembered(file):
    """A second change within a tick of the clock would have the same time."""
    file.touch()
    memory, reads = WhileUnchanged(), []
    for _ in range(2):
        memory.get("key", [file], lambda: reads.append(1))
    assert len(reads) == 2


def test_an_absent_file_is_remembered_until_it_is_there(file):
    memory = WhileUnchanged()
    absent = file.with_suffix(".absent")
    assert [memory.get("key", [absent], lambda: 1), memory.get("key", [absent], lambda: 2)] == [
        1,
        1,
    ]
    absent.touch()
    assert memory.get("key", [absent], lambda: 3) == 3


def test_errors_are_raised_every_time_and_keys_are_kept_apart(file):
    memory = WhileUnchanged()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            memory.get("key", [file], lambda: 1 / 0)
    assert memory.get("key", [file], lambda: "a") == "a"
    assert memory.get("other", [file], lambda: "b") == "b"
    assert memory.get("key", [file], lambda: "c") == "a"
