"""What no command can use, whatever its argument is for: found before any command begins."""

from __future__ import annotations

import errno
import os
import stat
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError


def check_arguments(args: Namespace) -> None:
    """Refuses homes of users who are not there, links in circles, and pipes in place of files.

    Raises:
        InputError: With all of them.
    """
    problems = [f"{text}: {problem}" for text in _texts(vars(args)) if (problem := _problem(text))]
    if problems:
        raise InputError("these arguments cannot be used", problems)


def _texts(value: Any) -> Iterator[str]:
    """Yields all texts among the values of arguments."""
    if isinstance(value, str):
        rest = value.partition("=")[2]  # of KEY=VALUE and LABEL=FOLDER,FOLDER
        yield from rest.split(",") if rest else [value]
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


def _problem(text: str) -> str:
    """Says why a text cannot be a path; empty if it may be one, or something else."""
    if text.startswith(("/dev/fd/", "/proc/self/fd/")):  # a shell's <(COMMAND)
        return ""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        return "there is no user of this name here"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return "these links lead to each other" if error.errno == errno.ELOOP else ""
    except ValueError:  # a NUL character
        return ""
    is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or path == Path(os.devnull)
    return "" if is_file else "expected a file or folder, found a pipe, socket or device"
