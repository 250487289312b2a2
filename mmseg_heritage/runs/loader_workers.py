"""The workers of data loaders: what they need of the machine, and what is said when one is lost.

A worker is a process with memory of its own, and batches on their way take memory too. torch hands
batches from a worker to its main process as files in /dev/shm that are open in both. A worker that
finds no room there, or no free file descriptor, only prints so, and the run would wait for its
batch for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import shutil
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.multiprocessing
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object
from mmengine.logging import print_log

from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.known_sizes import known_size
from mmseg_heritage.runs.config.variables import find_dicts, innermost_datasets
from mmseg_heritage.utils.memory import available_memory
from mmseg_heritage.utils.text import readable_size

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_SHARED_MEMORY = Path("/dev/shm")
_BYTES_OF_PIXEL = 3 + 8  # the photograph, and int64 ids
_TENSORS_OF_SAMPLE = 2
_OWN_FILES = 128  # that a run has open besides
_STOPPED = 60  # seconds that a worker may be stopped
_LOOK = 5  # seconds between looks
_USABLE = 0.9  # of the free shared memory, and of the available memory
_WORKER_BYTES = 200_000_000  # that a worker does not share with the process that starts it


def fit_workers(cfg: Config, datasets: Mapping[str, Sequence[BaseDataset]]) -> None:
    """Sees to it that the workers of a run find memory, and file descriptors for their batches.

    The limit of open files is raised as far as it may be. Where that or the memory is still too
    small, other ways are taken, which a line says: batches are shared by name, or a loader gets
    fewer workers or none.

    Args:
        cfg: The run's config; ``num_workers``, ``prefetch_factor``, ``persistent_workers`` and
            ``timeout`` of its loaders may be changed.
        datasets: Part ('train', 'val', 'test') -> its data sets.

    Raises:
        InputError: If the memory does not hold a single batch.
    """
    loaders = {part: cfg[f"{part}_dataloader"] for part in datasets}
    if _SHARED_MEMORY.is_dir():
        host = platform.node()
        processes = all_gather_object(host).count(host)
        free = int(_USABLE * shutil.disk_usage(_SHARED_MEMORY).free) // processes
        cached = _cached(datasets)
        memory = (int(_USABLE * available_memory()) - cached) // processes
        remedy = "Smaller batches (batch_size, crop_size) need less" + (
            ", and cache='disk' leaves more" if cached else ""
        )
        for part, loader in loaders.items():
            largest = max(_pixels(cfg, part, datasets[part]), default=0)
            batch = _images(loader, datasets[part]) * largest * _BYTES_OF_PIXEL
            _check_batch(part, loader, batch, memory)
            if loader.get("num_workers"):
                memory -= _fit(part, loader, batch, _WORKER_BYTES, memory, "of memory", remedy)
                free -= _fit(
                    part, loader, batch, 0, free, f"of shared memory ({_SHARED_MEMORY})",
                    "A container gets more by docker run --shm-size=8g",
                )  # fmt: skip
    if resource is not None:
        _fit_to_open_files(loaders)


def _pixels(cfg: Config, part: str, datasets: Sequence[BaseDataset]) -> Iterator[int]:
    """Yields how many pixels samples of a part may have: of its crops, or of its photographs."""
    for options, dataset in zip(innermost_datasets(cfg, f"{part}_dataloader"), datasets,
                                strict=True):  # fmt: skip
        sizes = [
            step[key]
            for key in ("size", "crop_size")
            for step in find_dicts(options.get("pipeline"), has=key)
            if "Crop" in str(step.get("type"))
        ]
        if sizes:
            side = sizes[-1]
            yield side * side if isinstance(side, int) else side[0] * side[1]
        elif isinstance(dataset, ARTeFACTDataset):
            for sample in dataset.read_samples():
                width, height = known_size(sample.image)
                yield width * height


def _images(loader: Any, datasets: Sequence[BaseDataset]) -> int:
    """Returns how many images a batch has at most; endless samplers draw images again."""
    batch: int = loader.get("batch_size") or 1
    sampler = str((loader.get("sampler") or {}).get("type"))
    return min(batch, sum(map(len, datasets))) if sampler == "DefaultSampler" else batch


def _check_batch(part: str, loader: Any, batch: int, memory: int) -> None:
    """Refuses a batch that cannot be held in memory, also not by the process that trains."""
    if batch > max(memory, 0):
        raise InputError(
            f"{part}_dataloader: a batch takes {readable_size(batch)} of memory, with batch_size="
            f"{loader.get('batch_size')}; {readable_size(max(memory, 0))} are left for it. Set a "
            "smaller batch_size or crop_size, or cache='disk' where cache='ram' is set"
        )


def _cached(datasets: Mapping[str, Sequence[BaseDataset]]) -> int:
    """Returns the bytes that data sets are going to keep in memory, once for all processes."""
    own = [d for found in datasets.values() for d in found if isinstance(d, ARTeFACTDataset)]
    kept = {item.path: item.nbytes for d in own if d.cache == "ram" for item in d.cache_items()}
    return sum(kept.values())


def _fit(
    part: str, loader: Any, batch: int, own: int, free: int, what: str, remedy: str
) -> int:  # fmt: skip
    """Sets the workers of a loader to the number that fits; returns the bytes that they need.

    Args:
        part: The loader's part of the data.
        loader: Its config.
        batch: Bytes of a batch.
        own: Bytes that each worker takes besides.
        free: Bytes that there are.
        what: What there is too little of, with 'of'.
        remedy: What to do about it.
    """
    workers = loader.num_workers

    def needed(number: int) -> int:
        return number and _batches(loader, number) * batch + number * own

    fitting = next(n for n in range(workers, -1, -1) if needed(n) <= max(free, 0))
    if fitting < workers:
        print_log(
            f"{part}_dataloader: {workers} workers may need {readable_size(needed(workers))} "
            f"{what}, of which {readable_size(max(free, 0))} are free: {_with(fitting)}. {remedy}",
            "current",
            logging.WARNING,
        )
        _set_workers(loader, fitting)
    return needed(fitting)


def _batches(loader: Any, workers: int) -> int:
    """Returns how many batches are between the workers and the network at most."""
    return workers * (loader.get("prefetch_factor") or 2) + 1


def _fit_to_open_files(loaders: Mapping[str, Any]) -> None:
    """Raises the limit of open files, or shares batches by name, or does without workers."""
    tensors = sum(
        _TENSORS_OF_SAMPLE * (loader.get("batch_size") or 1) * _batches(loader, workers)
        for loader in loaders.values()
        if (workers := loader.get("num_workers"))
    )
    if not tensors:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OWN_FILES + tensors
    if soft != resource.RLIM_INFINITY and soft < wanted:
        new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))
            soft = new
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    limit = f"this process may open {soft} files (ulimit -Hn), and workers may need {wanted}"
    if soft >= _OWN_FILES:
        torch.multiprocessing.set_sharing_strategy("file_system")
        print_log(f"{limit}: their batches are shared by name", "current", logging.WARNING)
        return
    print_log(f"{limit}: {_with(0)}", "current", logging.WARNING)
    for loader in loaders.values():
        _set_workers(loader, 0)


def _with(workers: int) -> str:
    """Says how many workers there are instead."""
    return f"loading with {workers}" if workers else "loading without workers, which is slower"


def _set_workers(loader: Any, number: int) -> None:
    loader.num_workers = number
    if not number:  # torch refuses the others then
        loader.persistent_workers = False
        loader.timeout = 0
        loader.pop("prefetch_factor", None)


@contextlib.contextmanager
def explaining_lost_workers() -> Iterator[None]:
    """Says what has become of a worker whose batch does not come, and ends one that is stopped.

    Raises:
        InputError: If a worker was killed, is stopped, or takes too long.
    """
    over = threading.Event()
    watch = threading.Thread(target=_end_stopped_workers, args=[over], daemon=True)
    watch.start()
    try:
        with _explaining_lost_connections():
            yield
    except RuntimeError as error:
        text = str(error)
        timed_out = re.search(r"DataLoader timed out after (\d+)", text)
        if timed_out:
            states = [f"process {pid} is {state}" for pid, state in _workers()]
            raise InputError(
                f"no worker of the data loader has given a batch for {timed_out[1]} s. Where that "
                "is no fault, set the loader's timeout to more seconds, such as "
                "train_dataloader.timeout=3600; else go on with --resume",
                states,
            ) from error
        if re.search(r"DataLoader worker \(pid\S* [\d, ]+\)", text):
            raise _ended(text.splitlines()[0].rstrip(". ")) from error
        raise
    finally:
        over.set()


@contextlib.contextmanager
def _explaining_lost_connections() -> Iterator[None]:
    """Does so for a worker that ends while its batch is being opened.

    torch may raise, at any moment of this, that a worker was killed.
    """
    try:
        yield
    except (EOFError, ConnectionError) as error:
        places = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        loading = any(Path(place).parts[-3:-1] == ("utils", "data") for place in places)
        if loading and "Original Traceback" not in str(error):  # of a data set, in a worker
            raise _ended("its connection was lost") from error
        raise


def _ended(reason: str) -> InputError:
    return InputError(
        f"a worker of the data loader has ended: {reason}. The system ends processes where memory "
        "runs out; fewer workers need less (num_workers=1). Go on with --resume"
    )


def _end_stopped_workers(over: threading.Event) -> None:
    """Ends workers that somebody stopped and did not continue: torch waits for them for ever.

    Args:
        over: Set when there is nothing to watch any more.
    """
    looks: dict[int, int] = {}
    while not over.wait(_LOOK):
        stopped = [pid for pid, state in _workers() if state == "stopped"]
        # Looks are counted, not seconds: a job may have been suspended as a whole.
        looks = {pid: looks.get(pid, 0) + 1 for pid in stopped}
        for pid, number in looks.items():
            if number * _LOOK >= _STOPPED:
                text = (
                    f"worker process {pid} has been stopped for {number * _LOOK:.0f} s: it is ended"
                )
                print_log(text, "current", logging.WARNING)
                os.kill(pid, signal.SIGKILL)


def _workers() -> Iterator[tuple[int, str]]:
    """Yields the processes that this one has started, and what they do; on Linux only."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    for pid in children.read_text().split() if children.is_file() else ():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        yield int(pid), {"T": "stopped", "D": "waiting for a disk"}.get(state, "working or waiting")
