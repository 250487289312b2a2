"""What a command says last where it does not end well: one message, never a traceback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130  # as shells report what Ctrl-C ended: 128 + SIGINT
EXIT_TERMINATED = 143  # 128 + SIGTERM

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Returns text that a terminal shows and does not obey: control characters as escapes."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def say(message: str) -> None:
    """Prints to the console's error stream."""
    print(printable(message), file=sys.stderr, flush=True)


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, no error that a part of the program could handle."""


@contextlib.contextmanager
def stopping_on_terminate() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does: temporary files are removed on the way.

    Children that are forked meanwhile end at once. A training has its own handler, see
    :class:`mmseg_heritage.engine.hooks.PreemptionHook`.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # others handle it, or it is ignored
        return
    process = os.getpid()

    def stop(number: int, _: FrameType | None) -> None:
        if os.getpid() != process:
            os._exit(EXIT_TERMINATED)
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def uncovering_stops() -> Iterator[None]:
    """Raises what stopped a command where a library has made an error of it.

    mmengine formats configs, which takes seconds, under ``except:`` and raises a SyntaxError then.
    """
    try:
        yield
    except Exception as error:
        stop: BaseException | None = error
        while stop is not None and not isinstance(stop, (KeyboardInterrupt, Terminated)):
            stop = stop.__context__ or stop.__cause__
        if stop is None:
            raise
        raise stop from None


def tolerate_console() -> None:
    """Lets a console that lacks a character show its escape, where print would raise."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
