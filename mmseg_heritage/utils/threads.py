"""Running one function over many items in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import Progress

DEFAULT_WORKERS = min(8, os.cpu_count() or 1)
"""Number of threads where none is given: more than there are cores only cost memory."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def run_in_threads(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[_Result]:
    """Returns ``function(item)`` for each item, in the order of the items.

    Worth it where the function releases the GIL: Pillow, OpenCV and hashlib do, and all of I/O.

    Args:
        function: What to compute. After an :class:`InputError` the other items are still computed;
            any other exception ends the work and is raised as it is.
        items: What to compute it of.
        progress: Called with (done, total) after each item, in the calling thread.
        workers: Number of threads, :data:`DEFAULT_WORKERS` by default.

    Raises:
        InputError: With the messages of all the items that raised one.
    """

    def attempt(item: _Item) -> tuple[list[_Result], list[str]]:
        try:
            return [function(item)], []
        except InputError as error:
            return [], [str(error)]

    results: list[_Result] = []
    problems: list[str] = []
    with ThreadPoolExecutor(max_workers=workers or DEFAULT_WORKERS) as pool:
        try:
            for done, (result, problem) in enumerate(pool.map(attempt, items), start=1):
                results += result
                problems += problem
                if progress is not None:
                    progress(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what has begun is finished, and nothing else
            raise
    if problems:
        raise InputError("the data set has faulty files; fix or remove them", problems)
    return results
