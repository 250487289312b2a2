"""Workers get the shared memory and open files that they need, or there are fewer of them."""

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader, Dataset

from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs import loader_workers
from mmseg_heritage.runs.loader_workers import explaining_lost_workers, fit_workers

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.skipif(
    not Path("/dev/shm").is_dir(), reason="batches are shared in other ways here"
)
SAMPLE = 100 * 100 * 11  # bytes of a crop of 100 px


@pytest.fixture(autouse=True)
def sharing():
    """Puts torch's way of sharing, and the limit of open files, back."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = torch.multiprocessing.get_sharing_strategy()
    yield
    torch.multiprocessing.set_sharing_strategy(before)
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def config(workers=2, batch=4, **options):
    crop = {"type": "RareClassCrop", "size": 100}
    dataset = {"type": "ARTeFACTDataset", "pipeline": [crop]}
    loader = {"batch_size": batch, "num_workers": workers, "persistent_workers": True,
              "dataset": dataset, **options}  # fmt: skip
    return Config({"train_dataloader": loader})


def fitted(monkeypatch, cfg, free=1 << 40, files=(1 << 20, 1 << 20), memory=1 << 40):
    monkeypatch.setattr(loader_workers, "available_memory", lambda: memory / 0.9 + 1)
    monkeypatch.setattr(
        loader_workers.shutil, "disk_usage", lambda _: SimpleNamespace(free=free / 0.9 + 1)
    )
    monkeypatch.setattr(loader_workers.resource, "getrlimit", lambda _: files)
    limits, said = [], []
    monkeypatch.setattr(loader_workers, "print_log", lambda text, *_: said.append(text))
    monkeypatch.setattr(loader_workers.resource, "setrlimit", lambda _, limit: limits.append(limit))
    fit_workers(cfg, {"train": [object()]})
    return cfg.train_dataloader, limits, "".join(said)


def test_where_there_is_room_nothing_changes(monkeypatch):
    cfg = config()
    before = cfg.to_dict()
    _, limits, _ = fitted(monkeypatch, cfg)
    assert cfg.to_dict() == before
    assert not limits


@pytest.mark.parametrize(
    ("batches", "workers"),
    [(9, 4), (8, 3), (5, 2), (3, 1), (2, 0), (0, 0)],
)
def test_as_many_workers_as_their_batches_find_shared_memory(batches, workers, monkeypatch):
    loader, _, said = fitted(monkeypatch, config(workers=4), free=batches * 4 * SAMPLE)
    assert loader.num_workers == workers
    assert ("shared memory" in said) == (workers < 4)
    DataLoader([0], num_workers=workers, timeout=loader.get("timeout", 0),
               persistent_workers=loader.persistent_workers)  # torch takes it  # fmt: skip


@pytest.mark.parametrize("workers", [4, 3, 1, 0])
def test_as_many_workers_as_find_memory(workers, monkeypatch):
    own = loader_workers._WORKER_BYTES
    memory = workers * own + 9 * 4 * SAMPLE + 1
    loader, _, said = fitted(monkeypatch, config(workers=4), memory=memory)
    assert loader.num_workers == workers
    assert ("4 workers may need 0.8 GB of memory" in said) == (workers < 4)


@pytest.mark.parametrize("workers", [0, 4])
def test_a_batch_that_memory_cannot_hold_is_refused(workers, monkeypatch):
    with pytest.raises(InputError, match=r"a batch takes 110000\.0 GB of memory, with batch_size="):
        fitted(monkeypatch, config(workers=workers, batch=10**9))
    cfg = config(batch=10**9, sampler={"type": "DefaultSampler"})  # each image once
    assert loader_workers._images(cfg.train_dataloader, [range(5), range(3)]) == 8


def test_a_cache_in_memory_leaves_less_for_workers(monkeypatch, sample_set):
    dataset = ARTeFACTDataset(data_root=str(sample_set), cache="ram", pipeline=[], split="train")
    cached = sum(item.nbytes for item in dataset.cache_items())
    assert loader_workers._cached({"train": [dataset], "val": [dataset]}) == cached > 0
    monkeypatch.setattr(loader_workers, "_cached", lambda _: 300_000_000)
    loader, _, said = fitted(monkeypatch, config(workers=4), memory=710_000_000)
    assert loader.num_workers == 2
    assert "cache='disk'" in said


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch):
    needed = 128 + 2 * 4 * 5
    assert fitted(monkeypatch, config(), files=(100, 4096))[1] == [(needed, 4096)]
    assert fitted(monkeypatch, config(), files=(100, resource.RLIM_INFINITY))[1]
    assert torch.multiprocessing.get_sharing_strategy() == "file_descriptor"


def test_where_it_stays_too_low_batches_are_shared_by_name(monkeypatch):
    loader, _, said = fitted(monkeypatch, config(), files=(130, 130))
    assert torch.multiprocessing.get_sharing_strategy() == "file_system"
    assert loader.num_workers == 2
    assert "may open 130 files" in said


def test_with_hardly_any_file_there_are_no_workers(monkeypatch):
    loader, _, said = fitted(monkeypatch, config(), files=(64, 64))
    assert (loader.num_workers, loader.persistent_workers, loader.timeout) == (0, False, 0)
    assert "without workers" in said


class SendsSignal(Dataset):
    """Its workers get a signal when they load."""

    def __init__(self, number):
        self.number = number

    def __len__(self):
        return 1

    def __getitem__(self, index):
        os.kill(os.getpid(), self.number)
        return index


@pytest.mark.parametrize(
    ("number", "timeout", "message"),
    [
        (signal.SIGKILL, 0, "a worker of the data loader has ended: DataLoader worker"),
        (signal.SIGSTOP, 1, r"no worker .* for 1 s[\s\S]*is stopped"),
    ],
)
def test_a_worker_that_gives_no_batch_is_named(number, timeout, message):
    loader = DataLoader(SendsSignal(number), num_workers=1, timeout=timeout)
    batches = iter(loader)
    try:
        with pytest.raises(InputError, match=message), explaining_lost_workers():
            next(batches)
    finally:
        for worker in batches._workers:
            worker.kill()


class StopsAfter(SendsSignal):
    """Its worker gives a batch and is stopped before that can be opened."""

    def __getitem__(self, index):
        threading.Timer(0.5, os.kill, [os.getpid(), self.number]).start()
        return torch.zeros(10)


def test_a_stopped_worker_whose_batch_is_being_opened_is_ended(monkeypatch):
    monkeypatch.setattr(loader_workers, "_LOOK", 0.2)
    monkeypatch.setattr(loader_workers, "_STOPPED", 1)
    batches = iter(DataLoader(StopsAfter(signal.SIGSTOP), num_workers=1))
    time.sleep(2)
    with pytest.raises(InputError, match="has ended"), explaining_lost_workers():
        next(batches)


@pytest.mark.parametrize("error", [RuntimeError("x"), BrokenPipeError("x"), EOFError("x")])
def test_other_errors_are_left_alone(error):
    with pytest.raises(type(error), match="x"), explaining_lost_workers():
        raise error
