"""A folder belongs to one process at a time, however the one before has ended."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils import folder_lock
from mmseg_heritage.utils.folder_lock import LOCK, locked_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="nothing is locked on Windows")

HOLDER = """
import os, sys, time
from pathlib import Path
from mmseg_heritage.utils.folder_lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    if os.fork() == 0:  # as a data worker, which outlives its killed parent for some seconds
        time.sleep(60)
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder 'run', and its child."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_the_second_process_learns_who_is_there_and_the_next_gets_in_after_a_kill(holder, tmp_path):
    folder = tmp_path / "run"
    message = rf"another command .*process {holder.pid} on"
    with pytest.raises(InputError, match=message), locked_folder(folder):
        pass
    (folder / "theirs").touch()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked_folder(folder):  # though its child still runs
        assert (folder / LOCK).exists()
    assert [path.name for path in folder.iterdir()] == ["theirs"]


def test_a_folder_that_stays_empty_is_not_left_behind(tmp_path):
    with pytest.raises(ValueError, match="bad"), locked_folder(tmp_path / "a" / "b"):
        raise ValueError("bad")
    assert not list(tmp_path.iterdir())


def test_many_at_once_take_turns(tmp_path):
    code = f"""
import sys, time
from pathlib import Path
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.folder_lock import locked_folder
folder, mine = Path({str(tmp_path / "run")!r}), Path(sys.argv[1])
end, got = time.monotonic() + 1.5, 0
while time.monotonic() < end:
    try:
        with locked_folder(folder):
            (folder / "used").touch(exist_ok=False)  # FileExistsError where another one is inside
            got += 1
            (folder / "used").unlink()
    except InputError:
        pass
mine.write_text(str(got))
"""
    counts = [tmp_path / f"{i}" for i in range(3)]
    processes = [subprocess.Popen([sys.executable, "-c", code, str(count)]) for count in counts]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert sum(int(count.read_text()) for count in counts) > 10


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folder_lock.fcntl, "lockf", refuse)
    with locked_folder(tmp_path):
        assert not list(Path(tmp_path).iterdir())
    assert "cannot be locked" in capsys.readouterr().out


def test_no_link_is_followed_and_nobody_gets_in_twice(tmp_path):
    (tmp_path / "mine").write_text("text")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match=LOCK), locked_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "mine").read_text() == "text"
    with locked_folder(tmp_path / "new"):
        with pytest.raises(InputError, match="already"), locked_folder(tmp_path / "new"):
            pass
        assert (tmp_path / "new" / LOCK).exists()
