"""Training samples whose augmentation is a function of the seed and of their place in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_dist_info
from mmseg.registry import DATA_SAMPLERS, DATASETS

from mmseg_heritage.utils.seeding import SAMPLE, mix, seeded


class SampleKey(NamedTuple):
    """What :class:`NumberedSampler` asks a data set for.

    Attributes:
        seed: Seed of everything random in the sample.
        number: Number of the image in the data set.
    """

    seed: int
    number: int


class SeededSamples:
    """A data set that also takes :class:`SampleKey`; to be listed before the base class."""

    def __getitem__(self, key: int | SampleKey) -> Any:
        """Returns a sample; with a key, everything random in it follows from the key's seed."""
        if not isinstance(key, SampleKey):
            return super().__getitem__(key)  # type: ignore[misc]  # of the data set
        with seeded(key.seed):
            return super().__getitem__(key.number)  # type: ignore[misc]


class _Samples:
    """Passes every question on to another data set."""

    def __init__(self, dataset: Mapping[str, Any]) -> None:
        self.dataset = DATASETS.build(dict(dataset))

    @property
    def metainfo(self) -> dict[str, Any]:
        """What the data set says about its classes."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Reads the list of images, if that has not been done."""
        self.dataset.full_init()

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Returns what the list of images says about one."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


@DATASETS.register_module()
class SeededDataset(SeededSamples, _Samples):
    """Seeds the samples of a data set that does not take :class:`SampleKey` by itself.

    :class:`ARTeFACTDataset` does; wrappers such as RepeatDataset and other data sets do not.

    Args:
        dataset: Config of the data set, with its wrappers.
    """


class _Numbered:
    """Gives each index that another sampler draws the seed of its place in the run.

    The place is counted over all processes, so that two processes make the samples that one process
    with twice the batch makes. A data set that takes no keys gets plain indices.
    """

    dataset: Any
    seed: int
    epoch = 0
    _start = 0

    def start_at(self, num_samples: int) -> None:
        """Leaves out, once, the first samples of this process: they have been trained on."""
        self._start = num_samples

    @property
    def seeds_samples(self) -> bool:
        """Whether the data set takes the seeds."""
        return isinstance(self.dataset, SeededSamples)

    def _indices_from_start(self) -> Iterator[int]:
        return super().__iter__()  # type: ignore[misc]  # of the sampler

    def __iter__(self) -> Iterator[SampleKey | int]:
        start, self._start = self._start, 0
        rank, world_size = get_dist_info()
        for position, index in islice(enumerate(self._indices_from_start()), start, None):
            place = position * world_size + rank
            seed = mix(self.seed, SAMPLE, self.epoch, place)
            yield SampleKey(seed, index) if self.seeds_samples else index


@DATA_SAMPLERS.register_module()
class NumberedSampler(_Numbered, DefaultSampler):
    """mmengine's DefaultSampler, which also seeds the samples; see :class:`SeededSamples`.

    It takes the arguments of DefaultSampler. ``seed`` is that of order and augmentation.
    """


@DATA_SAMPLERS.register_module()
class NumberedInfiniteSampler(_Numbered, InfiniteSampler):
    """mmengine's InfiniteSampler, which also seeds the samples; see :class:`SeededSamples`.

    It takes the arguments of InfiniteSampler. ``seed`` is that of order and augmentation.
    """

    def _indices_from_start(self) -> Iterator[int]:
        # InfiniteSampler is its own iterator, which would go on where it was left.
        return self._indices_of_rank()
