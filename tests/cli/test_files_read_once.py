"""Every command lists the data set's folders, and reads its tables, once.

Python itself tells what is opened (audit events), whatever function opens it.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("mmseg")

from mmseg_heritage.cli import main
from mmseg_heritage.dataprep import data_folder
from mmseg_heritage.dataprep.checks import pixels
from mmseg_heritage.images import known_sizes
from mmseg_heritage.utils.file_state import WhileUnchanged

TESTED = ("sample_0000.png", "sample_0001.png", "sample_0003.png")
ONCE = {"images": 1, "annotations": 1, "metadata.csv": 1}


class _Reads:
    """Counts, by name, what is listed and opened below a folder."""

    def __init__(self):
        self.root = None
        self.counts = Counter()

    def __call__(self, event, args):
        if self.root is None or event not in ("open", "os.listdir", "os.scandir"):
            return
        if isinstance(args[0], (str, os.PathLike)):
            path = Path(os.path.abspath(args[0]))  # noqa: PTH100  resolve() would read links
            if path.is_relative_to(self.root):
                self.counts[path.relative_to(self.root).as_posix()] += 1


READS = _Reads()
sys.addaudithook(READS)  # stays until the process ends, and does nothing without a root


@pytest.fixture
def root(copied_sample_set):
    """A data set that has been as it is for long."""
    for path in (copied_sample_set, *copied_sample_set.rglob("*")):
        os.utime(path, (1e9, 1e9))
    yield copied_sample_set
    READS.root = None


@pytest.fixture
def reads_of(root, monkeypatch, capsys):
    """Runs a command as in a process of its own, and returns what it listed and opened."""

    def run(*arguments):
        monkeypatch.setattr(data_folder, "_FOLDERS", WhileUnchanged())
        monkeypatch.setattr(known_sizes, "_SIZES", WhileUnchanged())
        READS.counts, READS.root = Counter(), root
        assert main([*map(str, arguments)]) == 0, capsys.readouterr().err
        READS.root = None
        return READS.counts

    return run


def _named(reads, names=ONCE):
    return {name: reads[name] for name in names}


def _opened(reads, folder):
    return Counter({name: n for name, n in reads.items() if name.startswith(f"{folder}/")})


def test_check_data_reads_a_folder_once_and_no_image_twice(root, reads_of):
    reads = reads_of("check-data", "--data-root", root)
    assert _named(reads) == ONCE
    assert len(_opened(reads, "images")) == 12
    again = reads_of("check-data", "--data-root", root)
    assert _named(again) == ONCE
    assert _opened(again, "images") == _opened(again, "annotations") == {}
    full = reads_of("check-data", "--data-root", root, "--full")
    assert len(_opened(full, "images")) == len(_opened(full, "annotations")) == 12


def test_making_splits_and_weights_reads_a_folder_once(root, reads_of):
    assert _named(reads_of("make-splits", "--data-root", root, "--overwrite")) == ONCE
    assert _named(reads_of("make-splits", "--data-root", root, "--check")) == ONCE
    reads = reads_of("class-weights", "--data-root", root, "--split-file", "splits/holdout.json")
    once = {**ONCE, "splits/holdout.json": 1, "class_weights/holdout.json": 0}
    assert _named(reads, once) == once


@pytest.mark.slow
def test_train_and_test_read_a_folder_once(root, reads_of, tiny_config, tmp_path, monkeypatch):
    headers, decoded = Counter(), Counter()

    def counting(module, name, counts):
        real = getattr(module, name)

        def counted(path, *rest):
            counts[str(path)] += 1
            return real(path, *rest)

        monkeypatch.setattr(module, name, counted)

    counting(known_sizes, "image_size", headers)
    counting(pixels, "read_image", decoded)
    reads_of("class-weights", "--data-root", root, "--split-file", "splits/holdout.json")
    shared = (
        "--cfg-options", f"data_root={root}", "split_file=splits/holdout.json",
        f"class_weights={root}/class_weights/holdout.json", "max_iters=1",
    )  # fmt: skip
    once = {**ONCE, "splits/holdout.json": 1, "class_weights/holdout.json": 1}
    reads = reads_of("train", tiny_config, "--work-dir", tmp_path / "run", *shared)
    assert _named(reads, once) == once
    assert len(headers) == 24  # photographs and masks
    assert len(decoded) == 12
    assert {*headers.values(), *decoded.values()} == {1}
    headers.clear()
    decoded.clear()
    reads = reads_of("test", tiny_config, tmp_path / "run" / "iter_1.pth", *shared)
    assert _named(reads, once) == once
    assert decoded == {}
    assert headers == {str(root / "images" / name): 1 for name in TESTED}  # for memory of workers
