"""Batches of P domains with n images each: even, the same for a seed, resumable, by process."""

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.dataset import sampler as stock
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmseg_heritage.datasets import ARTeFACTDataset, seeded
from mmseg_heritage.domains import DomainBatchSampler
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import config_folder, load_config


class Entries(seeded.SeededSamples):
    """A data set of which only the domains are known."""

    def __init__(self, sizes):
        self.domains = [f"d{i}" for i, size in enumerate(sizes) for _ in range(size)]

    def __len__(self):
        return len(self.domains)

    def get_data_info(self, number):
        return {"domain": self.domains[number], "sample_id": f"image{number}"}


def batches(sizes, domains, images, count, seed=0, start=0):
    """Returns some batches, as lists of (seed of the sample, its number)."""
    sampler = DomainBatchSampler(Entries(sizes), domains, images, seed=seed)
    sampler.start_at(start * domains * images)
    drawn = iter(sampler)
    return [list(islice(drawn, domains * images)) for _ in range(count)]


sizes = st.lists(st.integers(1, 12), min_size=2, max_size=9)


@settings(max_examples=60, deadline=None)
@given(sizes, st.data())
def test_every_batch_holds_p_domains_with_n_images_and_all_come_equally_often(sizes, data):
    number = data.draw(st.integers(2, len(sizes)))
    images = data.draw(st.integers(2, 4))
    names = Entries(sizes).domains
    seen, of_images = Counter(), Counter()
    for batch in batches(sizes, number, images, 3 * len(sizes)):
        blocks = [batch[i : i + images] for i in range(0, len(batch), images)]
        domains = []
        for block in blocks:
            [domain] = {names[key.number] for key in block}  # a block is of one domain
            domains.append(domain)
            distinct = len({key.number for key in block})
            assert distinct == min(images, sizes[int(domain[1:])])
            of_images.update(key.number for key in block)
        assert len(set(domains)) == number
        seen.update(domains)
    assert set(seen) == set(names)
    assert max(seen.values()) - min(seen.values()) <= 2
    for domain in seen:  # and the images of a domain
        counts = [of_images[i] for i, name in enumerate(names) if name == domain]
        assert max(counts) - min(counts) <= 2


def test_each_domain_comes_once_in_a_round():
    names = Entries([5] * 6).domains
    drawn = [names[b[i].number] for b in batches([5] * 6, 3, 2, 100) for i in (0, 2, 4)]
    assert all(len(set(drawn[i : i + 6])) == 6 for i in range(0, 300, 6))


@pytest.mark.parametrize("start", [0, 1, 5])
def test_it_depends_on_the_seed_and_goes_on_anywhere(start):
    whole = batches([9, 4, 7, 1], 3, 2, 8)
    assert batches([9, 4, 7, 1], 3, 2, 8 - start, start=start) == whole[start:]
    assert batches([9, 4, 7, 1], 3, 2, 8, seed=1) != whole
    assert len({key.seed for batch in whole for key in batch}) == 48


def test_two_processes_make_the_batch_of_one(monkeypatch):
    whole = batches([9, 4, 7, 5], 3, 4, 4)
    shares = []
    for rank in range(2):
        for module in (seeded, stock):
            monkeypatch.setattr(module, "get_dist_info", lambda rank=rank: (rank, 2))
        shares.append(batches([9, 4, 7, 5], 3, 2, 4))
    names = Entries([9, 4, 7, 5]).domains
    for both, first, second in zip(whole, *shares, strict=True):
        assert [key for pair in zip(first, second, strict=True) for key in pair] == both
        domains = [[names[key.number] for key in share] for share in (first, second)]
        assert domains[0] == domains[1]
        assert set(Counter(domains[0]).values()) == {2}


@pytest.mark.parametrize(
    ("sizes", "domains", "images", "message"),
    [
        ([3, 3], 3, 2, "domains_per_batch=3, but the training images have 2 of them"),
        ([3, 3], 1, 2, "domains_per_batch=1, expected a whole number from 2"),
        ([3, 3], 2, 1, "images_per_domain=1, expected a whole number from 2"),
        ([3, 3], 2, None, "images_per_domain=None"),
    ],
)
def test_numbers_that_leave_nothing_to_compare_are_refused(sizes, domains, images, message):
    with pytest.raises(InputError) as caught:
        DomainBatchSampler(Entries(sizes), domains, images)
    assert message in str(caught.value)


def test_images_without_a_domain_are_named(sample_set):
    with pytest.raises(InputError, match="domain_key") as caught:
        DomainBatchSampler(ARTeFACTDataset(str(sample_set), split="all"), 2, 2)
    assert "sample_0000" in str(caught.value)


@pytest.mark.parametrize("key", ["material", "content"])
def test_a_sample_carries_its_domain_into_what_the_model_gets(sample_set, key):
    init_default_scope("mmseg")
    steps = [{"type": "LoadHeritageImage"}, {"type": "LoadARTeFACTAnnotations"},
             {"type": "PackSegInputs", "meta_keys": ("domain",)}]  # fmt: skip
    inner = {"type": "ARTeFACTDataset", "data_root": str(sample_set), "split": "all",
             "domain_key": key, "pipeline": steps}  # fmt: skip
    dataset = DATASETS.build({"type": "SeededDataset", "dataset": inner})
    sampler = DomainBatchSampler(dataset, 2, 2, seed=0)
    assert sorted(sampler.domains) == sorted(
        {dataset.get_data_info(i)[key] for i in range(len(dataset))}
    )
    for sample in islice(sampler, 4):
        found = dataset[sample]["data_samples"].metainfo["domain"]
        assert found == dataset.get_data_info(sample.number)[key]


def test_another_domain_key_is_refused(sample_set):
    with pytest.raises(InputError, match="domain_key must be one of material, content"):
        ARTeFACTDataset(str(sample_set), domain_key="medium")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 16}, "domains_per_batch=8 x images_per_domain=4 = 32 images"),
        ({"train_dataloader.sampler.images_per_domain": 2}, "= 16 images"),
    ],
)
def test_batch_and_sampler_must_agree(options, message):
    with pytest.raises(InputError) as caught:
        load_config("segformer_mitb3_artefact-erm-balanced", options)
    assert message in str(caught.value)


def test_a_training_by_epochs_is_refused(tmp_path):
    path = tmp_path / "epochs.py"
    base = config_folder() / "segformer_mitb3_artefact-erm-balanced.py"
    path.write_text(
        f"_base_ = [{str(base)!r}]\n"
        "train_cfg = dict(_delete_=True, type='ResumableEpochLoop', max_epochs=2)\n"
    )
    with pytest.raises(InputError, match="gives batches without end; set max_iters"):
        load_config(path)
