"""One cache for all processes of a machine: filled once, opened by all, refused by all."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mmseg")

from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.datasets.caches import shared_cache as module
from mmseg_heritage.datasets.caches.pixel_cache import (
    CacheItem,
    PixelCache,
    decode_image,
    plan_cache,
)
from mmseg_heritage.datasets.caches.shared_cache import chosen_cache, shared_cache
from mmseg_heritage.errors import InputError

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="memory is shared by memfd")
caches = pytest.mark.parametrize("cache", [pytest.param("ram", marks=linux_only), "disk"])
REPOSITORY = Path(__file__).resolve().parents[3]

RANK = """
import hashlib, json, sys
import torch.distributed as dist
from torch.utils.data import DataLoader

import mmseg_heritage.plugin
from mmseg_heritage.datasets.caches import pixel_cache as cache
from mmseg_heritage.datasets import (
    ARTeFACTDataset, LoadARTeFACTAnnotations, LoadHeritageImage)
from mmseg_heritage.errors import InputError

root, kind, folder, out = sys.argv[1:]
dist.init_process_group("gloo")
decoded, decode = [], cache.CacheItem.decode
cache.CacheItem.decode = lambda item: decoded.append(item.path) or decode(item)
result = {}
try:
    dataset = ARTeFACTDataset(
        data_root=root, split="all", cache=kind, cache_dir=folder,
        pipeline=[LoadHeritageImage(), LoadARTeFACTAnnotations()])
    loader = DataLoader(dataset, num_workers=1, collate_fn=lambda items: items[0])
    digest = hashlib.sha256()
    for item in loader:
        digest.update(item["img"].tobytes() + item["gt_seg_map"].tobytes())
    result = {"digest": digest.hexdigest(), "samples": len(dataset)}
    dist.barrier()  # so that the first process is still there
except InputError as error:
    result = {"error": str(error)}
result["decoded"] = len(decoded)
with open(f"{out}.{dist.get_rank()}", "w") as file:
    json.dump(result, file)
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _two_processes(root, cache, folder):
    """Returns what each of two distributed processes of this machine saw."""
    out = folder / "out"
    command = [sys.executable, "-c", RANK, str(root), cache, str(folder / "cache"), str(out)]
    shared = {
        **os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "WORLD_SIZE": "2",
        "PYTHONPATH": str(REPOSITORY), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port(),
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            command,
            env={**shared, "RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return [json.loads(Path(f"{out}.{rank}").read_text()) for rank in (0, 1)]


@pytest.mark.slow
@caches
def test_one_of_two_processes_decodes_and_both_see_the_same(sample_set, tmp_path, cache):
    first, second = _two_processes(sample_set, cache, tmp_path)
    assert first.pop("decoded") == 24
    assert second.pop("decoded") == 0
    assert first == second
    assert first["samples"] == 12


@pytest.mark.slow
def test_what_the_first_process_refuses_stops_both(copied_sample_set, tmp_path):
    path = copied_sample_set / "images" / "sample_0004.png"
    path.write_bytes(path.read_bytes()[:200])
    for process in _two_processes(copied_sample_set, "disk", tmp_path):
        assert "sample_0004.png: the image is truncated" in process["error"]


def _items(root):
    return plan_cache([(str(s.image), str(s.annotation)) for s in read_folder(root)])


@caches
def test_one_process_fills_and_says_beforehand_what_it_takes(
    sample_set, tmp_path, cache, monkeypatch
):
    said = []
    monkeypatch.setattr(module, "print_log", lambda message, logger: said.append(message))
    items = _items(sample_set)
    found = shared_cache(items, cache, tmp_path)
    assert isinstance(found, PixelCache)
    assert np.array_equal(found.array(items[0].path), decode_image(items[0].path))
    [line] = said
    size = f"{sum(item.nbytes for item in items) / 1e6:.1f} MB"
    assert line.startswith(f"cache='{cache}': {size}")
    assert "24 photographs and masks" in line


def test_files_of_earlier_states_are_told(copied_sample_set, tmp_path, monkeypatch):
    items = _items(copied_sample_set)
    shared_cache(items, "disk", tmp_path)
    os.utime(items[0].path, (1, 1))
    said = []
    monkeypatch.setattr(module, "print_log", lambda message, logger: said.append(message))
    shared_cache(items, "disk", tmp_path)
    assert "1 files (0.0 MB) are of photographs and masks as they were earlier" in said[-1]


def _pretend(monkeypatch, machines, outcomes, rank):
    """Makes this process one of several, whose words are given."""
    answers = iter([machines, outcomes])

    def gather(mine):
        answer = next(answers)
        return [mine if theirs is None else theirs for theirs in answer]

    monkeypatch.setattr(module, "all_gather_object", gather)
    monkeypatch.setattr(module, "get_rank", lambda: rank)


def test_every_machine_fills_its_own(sample_set, tmp_path, monkeypatch):
    items = _items(sample_set)
    nothing = (None, None, None)
    elsewhere = (None, {}, "/proc/1/fd/999999")  # must not be opened here
    _pretend(monkeypatch, ["a", "a", None, "b"], [elsewhere, nothing, None, nothing], rank=2)
    monkeypatch.setattr(module, "_machine", lambda: "b")
    assert set(shared_cache(items, "disk", tmp_path).places) == {item.path for item in items}


def test_a_failure_on_another_machine_stops_this_one(sample_set, tmp_path, monkeypatch):
    failed = (InputError("no room there"), None, None)
    _pretend(monkeypatch, ["a", None], [failed, None], rank=1)
    monkeypatch.setattr(module, "_machine", lambda: "b")
    with pytest.raises(InputError, match="no room there"):
        shared_cache(_items(sample_set), "disk", tmp_path)


def _disk(free, total=10**12):
    return SimpleNamespace(free=free, total=total)


@pytest.mark.parametrize(
    ("memory", "disk", "cache"),
    [
        pytest.param(10**9, _disk(10**12), "ram", marks=linux_only),
        (1000, _disk(10**12), "disk"),
        (1000, _disk(9 * 10**10), "none"),  # a tenth of the disk is to stay free
        (1000, _disk(1000, 1000), "none"),
    ],
)
def test_auto_takes_the_place_that_has_room(sample_set, tmp_path, monkeypatch, memory, disk, cache):
    monkeypatch.setattr(module, "available_memory", lambda: memory)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: disk)
    said = []
    monkeypatch.setattr(module, "print_log", lambda message, logger: said.append(message))
    items = _items(sample_set)
    assert chosen_cache(items, tmp_path / "not" / "there") == cache
    found = shared_cache(items, "auto", tmp_path)
    assert (found is None) == (cache == "none")
    assert said[-1].startswith(f"cache='{cache}': " if found else "cache='auto' keeps nothing")


def test_auto_fills_no_more_of_a_disk_than_others_wait_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: _disk(10**14, 10**14))
    monkeypatch.setattr(module, "missing_items", lambda items, folder: items)
    images = [CacheItem(str(tmp_path / f"{i}.png"), (4000, 6000, 3)) for i in range(1400)]
    assert chosen_cache(images[:1300], tmp_path) == "disk"
    assert chosen_cache(images, tmp_path) == "none"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_auto_writes_into_no_folder_that_is_read_only(sample_set, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 1000)
    tmp_path.chmod(0o500)
    assert chosen_cache(_items(sample_set), tmp_path / "cache") == "none"
