"""Commands that do not end well say one message."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from mmseg_heritage.cli import check_data, main
from mmseg_heritage.cli.running.last_message import Terminated, printable, uncovering_stops
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


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Terminated])
def test_a_stop_that_a_library_made_an_error_of_is_one(kind):
    def library():
        try:
            raise kind
        except:  # noqa: E722  as mmengine does
            raise SyntaxError("cannot be formatted") from ValueError("of another kind")

    def other_library():
        try:
            library()
        except SyntaxError as error:
            raise RuntimeError("in it") from error

    with pytest.raises(RuntimeError), uncovering_stops():
        raise RuntimeError("no stop")
    with pytest.raises(kind), uncovering_stops():
        other_library()


STOPPED_IN_IMPORTS = """
import os, signal, sys
def stop(event, arguments):
    if event == "import" and arguments[0] == "mmseg_heritage.cli.train":
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(stop)
from mmseg_heritage.__main__ import run
run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_ctrl_c_while_modules_are_imported_says_nothing():
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_IN_IMPORTS],
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_ctrl_c_while_arguments_are_read_is_one_line(monkeypatch, capsys):
    def stop(parser):
        raise KeyboardInterrupt

    monkeypatch.setattr(check_data, "add_arguments", stop)
    assert main(["check-data"]) == 130
    assert capsys.readouterr().err.count("\n") == 1
