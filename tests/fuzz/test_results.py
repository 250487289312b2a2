"""Results that a stranger hands over end in a report, a comparison, or one message."""

import json
import random
import shutil

import numpy as np
import pytest

from mmseg_heritage.apis.comparing import compare
from mmseg_heritage.apis.reporting import report
from mmseg_heritage.dataprep.splits.split import Split, load_split
from mmseg_heritage.errors import InputError

FILES = ("metrics.json", "per_image.npz")


def test_split_manifests(tmp_path, changed_json, write):
    samples = {part: [f"{part}{i}" for i in range(3)] for part in ("train", "val", "test")}
    content = Split("holdout", {k: tuple(v) for k, v in samples.items()}, {"seed": 3}).to_json()
    path, accepted = tmp_path / "split.json", 0
    for seed in range(2000):
        write(path, changed_json(content, random.Random(seed)))
        try:
            split = load_split(path)
            assert all(isinstance(i, str) for ids in split.parts.values() for i in ids)
            accepted += 1
        except InputError as error:
            assert str(path) in str(error)
    assert 0 < accepted < 600


@pytest.fixture
def run(tmp_path, random_counts, tested_run):
    return tested_run(tmp_path / "run", random_counts(images=6, own=True), seed=3)


@pytest.fixture
def damaged(run, tmp_path, changed_json, changed_bytes, write):
    """A function that returns a copy of the run with one of its files changed."""

    def damage(rng):
        target = tmp_path / "bad"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(run, target)
        path = target / "evaluation" / rng.choice(FILES)
        if path.suffix == ".json":
            write(path, changed_json(json.loads(path.read_bytes()), rng))
        elif rng.random() < 0.5:
            write(path, changed_bytes(path.read_bytes(), rng))
        else:
            _change_arrays(path, rng)
        return target

    return damage


def _change_arrays(path, rng):
    """Replaces an array by one of another type, shape, or with odd values."""
    with np.load(path) as archive:
        arrays = dict(archive)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    arrays[name] = rng.choice(
        [
            lambda: np.zeros(0),
            lambda: array.astype(str),
            lambda: np.array(rng.choice(("", "{}", "[]", '{"a": 1}', '{"a": [[], [], []]}'))),
            lambda: np.full(array.shape, np.nan),
            lambda: np.full(array.shape, -5),
            lambda: np.full(array.shape, np.iinfo(np.int64).max),
            lambda: array[..., None],
            lambda: array[:1] if array.ndim else array,
            lambda: np.array(1 + 2j),
            lambda: np.full(array.shape, True),
        ]
    )()
    if rng.random() < 0.1:
        del arrays[name]
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 400), marks=pytest.mark.slow)])
def test_comparisons_of_damaged_results(run, damaged, tmp_path, seeds):
    for seed in seeds:
        bad = damaged(random.Random(seed))
        try:
            compare([str(run), str(bad)], out=tmp_path / "out" if seed % 50 == 0 else None,
                    allow_different=["splits", "parts", "images", "masks", "classes"],
                    overwrite=True)  # fmt: skip
        except InputError as error:
            assert str(error).count("\n") < 60


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 60), marks=pytest.mark.slow)])
def test_reports_on_damaged_results(run, damaged, tmp_path, seeds):
    for seed in seeds:
        bad = damaged(random.Random(1000 + seed))
        try:
            report([str(bad)], tmp_path / "report.html", overwrite=True)
        except InputError as error:
            assert str(error).count("\n") < 60
        else:
            assert (tmp_path / "report.html").stat().st_size > 10_000
