"""Commands that do not end well say one message."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from mmseg_heritage.cli import check_data, main
from mmseg_heritage.cli.last_message import printable
from mmseg_heritage.errors import system_message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/mnt/a.pth"),
         "/mnt/a.pth: No space left on device; make room on this disk"),
        (PermissionError(errno.EACCES, "Not permitted", b"/mnt/b"), "/mnt/b: Not permitted;"),
        (OSError("Caught OSError in DataLoader worker.\n  File x\nOSError: too many"),
         "OSError: too many"),
        (OSError(), "OSError"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files; raise the limit"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_has_its_file_and_a_remedy(error, expected):
    message = system_message(error)
    assert message.startswith(expected)
    assert "\n" not in message


def test_a_terminal_obeys_no_name():
    assert printable("a\x1b[2Jb\x9bc\rd\n\te") == "a\\x1b[2Jb\\x9bc\\x0dd\n\te"


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), 2, "error: x: No space left"),
        (KeyboardInterrupt(), 130, "stopped; "),
    ],
)
def test_nothing_ends_in_a_traceback(raised, code, said, monkeypatch, capsys):
    def fail(args):
        raise raised

    monkeypatch.setattr(check_data, "run", fail)
    assert main(["check-data"]) == code
    message = capsys.readouterr().err
    assert message.startswith(said)
    assert message.count("\n") == 1


def test_a_console_without_a_character_shows_its_escape(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "mmseg_heritage", "check-data", "--data-root", "/no/Gemälde"]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 2
    assert b"Gem\\xe4lde" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_ctrl_c_is_one_line_and_leaves_nothing(tmp_path):
    target = tmp_path / "sample"
    command = [sys.executable, "-m", "mmseg_heritage", "make-sample-data", "--out", str(target),
               "--num-images", "500", "--size", "512"]  # fmt: skip
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has it ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 60
    while not list(tmp_path.iterdir()):  # it has begun to write
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1].startswith("stopped; ")
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())
