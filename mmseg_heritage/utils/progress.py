"""The progress bar of everything that takes long: a bar with counts and the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

Bar = Callable[[str], AbstractContextManager[Progress | None]]
"""Gives a :data:`Progress` for the title of something long; :func:`progress_bar` is one."""


def no_bar(title: str) -> AbstractContextManager[None]:
    """A :data:`Bar` that shows nothing."""
    return nullcontext()


@contextmanager
def progress_bar(title: str, stays: bool = True) -> Iterator[Progress]:
    """Shows a progress bar on standard error while the block runs.

    Where standard error is no terminal (a log file, a batch job) only the final state is printed.

    Args:
        title: What is being done.
        stays: Whether its final state stays when the block is over.

    Yields:
        A function to call with (done, total).
    """
    import rich.progress as rp  # here, so that a command line without a bar does not wait for it
    from rich.console import Console

    columns = (
        rp.TextColumn("{task.description}"),
        rp.BarColumn(),
        rp.MofNCompleteColumn(),
        rp.TimeRemainingColumn(),
    )
    with rp.Progress(*columns, console=Console(stderr=True), transient=not stays) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
