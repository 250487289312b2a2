"""Samples that depend on their place in the run, and on nothing else."""

from itertools import islice

import numpy as np
import pytest

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmseg_heritage.datasets import (
    NumberedInfiniteSampler,
    NumberedSampler,
    SeededDataset,
    seeded,
)


@DATASETS.register_module()
class NoiseForSeededTests:
    """Draws a number for each index."""

    metainfo = {"classes": ("a",)}  # noqa: RUF012

    def full_init(self):
        self.initialized = True

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, float(np.random.rand())


class TenKeys(seeded.SeededSamples):
    """A data set of ten samples that takes keys."""

    def __len__(self):
        return 10


def keys(count, epoch=0, start=0, kind=NumberedSampler):
    sampler = kind(TenKeys(), seed=3)
    sampler.set_epoch(epoch)
    sampler.start_at(start)
    return list(islice(sampler, count))


def test_the_order_is_that_of_mmengine_s_sampler():
    reference = DefaultSampler(range(10), seed=3)
    for epoch in range(3):
        reference.set_epoch(epoch)
        assert [index for _, index in keys(10, epoch)] == list(reference)
    endless = keys(25, kind=NumberedInfiniteSampler)
    assert [index for _, index in endless] == list(islice(InfiniteSampler(range(10), seed=3), 25))


@pytest.mark.parametrize("kind", [NumberedSampler, NumberedInfiniteSampler])
def test_it_starts_anywhere(kind):
    whole = keys(10, epoch=2, kind=kind)
    assert len({seed for seed, _ in whole}) == 10
    for start in (0, 1, 7, 10):
        assert keys(10 - start, epoch=2, start=start, kind=kind) == whole[start:]


@pytest.mark.parametrize("kind", [NumberedSampler, NumberedInfiniteSampler])
def test_the_start_holds_once_and_an_endless_sampler_begins_anew(kind):
    sampler = kind(TenKeys(), seed=3)
    whole = list(islice(sampler, 10))
    sampler.start_at(4)
    assert list(islice(sampler, 6)) == whole[4:]
    assert list(islice(sampler, 10)) == whole


@pytest.mark.parametrize("kind", [NumberedSampler, NumberedInfiniteSampler])
def test_two_processes_make_the_samples_of_one(kind, monkeypatch):
    from mmengine.dataset import sampler as stock

    whole = keys(10, kind=kind)
    shares = []
    for rank in range(2):
        for module in (seeded, stock):
            monkeypatch.setattr(module, "get_dist_info", lambda rank=rank: (rank, 2))
        shares.append(keys(5, kind=kind))
    assert [key for pair in zip(*shares, strict=True) for key in pair] == whole


def test_samples_do_not_depend_on_the_number_of_workers():
    dataset = SeededDataset({"type": "NoiseForSeededTests"})
    found = []
    for workers in (0, 1, 3):
        sampler = NumberedSampler(dataset, seed=1)
        loader = DataLoader(
            dataset, batch_size=2, sampler=sampler, num_workers=workers, collate_fn=list
        )
        found.append([sample for batch in loader for sample in batch])
    assert found[0] == found[1] == found[2]
    assert len({value for _, value in found[0]}) == 10
    assert dataset.metainfo == {"classes": ("a",)}
    dataset.full_init()
    assert dataset.dataset.initialized


def test_a_data_set_that_takes_no_keys_gets_plain_indices():
    sampler = NumberedSampler(range(10), seed=3)
    assert not sampler.seeds_samples
    assert list(sampler) == list(DefaultSampler(range(10), seed=3))
