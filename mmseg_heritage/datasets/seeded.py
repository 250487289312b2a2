"""Training samples whose augmentation is a function of the seed and of their place in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from itertools import islice
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Sampler

from mmseg_heritage.utils.seeding import SAMPLE, mix, seeded

Key = tuple[int, int]
"""What the sampler asks the data set for: seed of the sample, index of the image."""


@DATASETS.register_module()
class SeededDataset:
    """Seeds each sample of another data set; goes with :class:`NumberedSampler`.

    Args:
        dataset: Config of the data set, wrappers such as RepeatDataset included.
    """

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

    def __getitem__(self, key: Key) -> Any:
        seed, index = key
        with seeded(seed):
            return self.dataset[index]


@DATA_SAMPLERS.register_module()
class NumberedSampler(Sampler):
    """Gives each index that another sampler draws the seed of its place in the run.

    The place is counted over all processes, so that two processes make the samples that one process
    with twice the batch makes.

    Args:
        dataset: What is sampled.
        sampler: Config of a sampler whose order follows from its seed and epoch, as that of
            DefaultSampler and InfiniteSampler does.
        seed: Seed of order and augmentation, not negative; None draws one that processes share.
    """

    def __init__(self, dataset: Sized, sampler: Mapping[str, Any], seed: int | None = None) -> None:
        self.seed = sync_random_seed() if seed is None else seed
        self._config = {"dataset": dataset, "seed": self.seed, **sampler}
        self._sampler = DATA_SAMPLERS.build(dict(self._config))
        self.endless = isinstance(self._sampler, InfiniteSampler)
        self._epoch = 0
        self._start = 0

    def __len__(self) -> int:
        return len(self._sampler)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order, and the seeds, of an epoch."""
        self._epoch = epoch
        if hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(epoch)

    def start_at(self, num_samples: int) -> None:
        """Leaves out, once, the first samples of this process: they have been trained on."""
        self._start = num_samples

    def __iter__(self) -> Iterator[Key]:
        start, self._start = self._start, 0
        rank, world_size = get_dist_info()
        # InfiniteSampler is its own iterator: only a new one begins at the beginning.
        sampler = DATA_SAMPLERS.build(dict(self._config)) if self.endless else self._sampler
        for position, index in islice(enumerate(sampler), start, None):
            place = position * world_size + rank
            yield mix(self.seed, SAMPLE, self._epoch, place), index
