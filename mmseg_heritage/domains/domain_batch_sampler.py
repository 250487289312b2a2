"""Batches of several domains, each with as many images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import DATA_SAMPLERS

from mmseg_heritage.datasets.seeded import NumberedInfiniteSampler
from mmseg_heritage.errors import InputError


@DATA_SAMPLERS.register_module()
class DomainBatchSampler(NumberedInfiniteSampler):
    """Gives endless batches of P domains with n images each, every domain equally often.

    The domains of a training set are drawn without putting back until each was drawn, and so are
    the images of a domain: over any D draws each of D domains comes once, but for an exchange where
    two rounds meet within a batch, which must not hold a domain twice. A domain with few images
    shows each of them more often. The order follows from the seed; a resumed run goes on in it,
    see :class:`~mmseg_heritage.datasets.NumberedInfiniteSampler`.

    With several processes each has P domains x n images of its own in a step; all have the same P
    domains, and together they make the batch that one process with n times as many images makes.

    It stands in ``train_dataloader.sampler``, with ``batch_size`` = P x n.

    Args:
        dataset: Data set whose entries name their ``domain``, such as
            ``ARTeFACTDataset(domain_key='material')``, also inside wrappers.
        domains_per_batch: P, from 2.
        images_per_domain: n of one process, from 2.
        seed: Of order and augmentation; None draws one that all processes share.

    Raises:
        InputError: If images name no domain, or there are fewer domains than a batch holds.
    """

    def __init__(
        self,
        dataset: Any,
        domains_per_batch: int,
        images_per_domain: int,
        seed: int | None = None,
    ) -> None:
        problems = [
            f"{name}={value!r}, expected a whole number from 2"
            for name, value in (
                ("domains_per_batch", domains_per_batch), ("images_per_domain", images_per_domain)
            )
            if not isinstance(value, int) or value < 2
        ]  # fmt: skip
        if problems:
            raise InputError(
                "DomainBatchSampler compares domains within a batch, and images of a domain; it "
                "needs two of both",
                problems,
            )
        super().__init__(dataset, seed=seed)
        self.domains = images_by_domain(dataset)
        if len(self.domains) < domains_per_batch:
            raise InputError(
                f"DomainBatchSampler: domains_per_batch={domains_per_batch}, but the training "
                f"images have {len(self.domains)} of them ({', '.join(self.domains)}); take fewer, "
                "with more images each"
            )
        self.domains_per_batch = domains_per_batch
        self.images_per_domain = images_per_domain

    def _infinite_indices(self) -> Iterator[int]:
        """Yields the images of all processes, domain by domain; a process takes every W-th."""
        generator = torch.Generator()
        generator.manual_seed(self.seed)
        domains = _EvenDraws(list(self.domains), generator)
        images = {name: _EvenDraws(found, generator) for name, found in self.domains.items()}
        while True:
            for name in domains.draw(self.domains_per_batch):
                yield from images[name].draw(self.images_per_domain * self.world_size)


def images_by_domain(dataset: Any) -> dict[str, list[int]]:
    """Returns domain -> numbers of its images, by the names of the domains.

    Raises:
        InputError: If images name no domain.
    """
    found: dict[str, list[int]] = defaultdict(list)
    nameless = []
    for number in range(len(dataset)):
        info = dataset.get_data_info(number)
        name = domain_of(info)
        if name:
            found[name].append(number)
        else:
            nameless.append(str(info.get("sample_id") or info.get("img_path") or number))
    if nameless:
        raise InputError(
            "these training images name no domain; set train_dataloader.dataset.domain_key to "
            "'material' or 'content', and give each image one in the metadata table",
            nameless,
        )
    return dict(sorted(found.items()))


def domain_of(entry: Mapping[str, Any]) -> str:
    """Returns the domain that an entry of a data set, or what is known of a sample, names."""
    return str(entry.get("domain") or "")


class _EvenDraws:
    """Draws things without putting back, again and again.

    Args:
        things: What is drawn; all different.
        generator: Source of the random order.
    """

    def __init__(self, things: Sequence[Any], generator: torch.Generator) -> None:
        self._things, self._generator = things, generator
        self._waiting: list[Any] = []

    def draw(self, number: int) -> list[Any]:
        """Returns things that are all different, where there are as many."""
        drawn: list[Any] = []
        while len(drawn) < number:
            missing = number - len(drawn)
            if not self._waiting:
                order = torch.randperm(len(self._things), generator=self._generator).tolist()
                shuffled = [self._things[i] for i in order]
                # What this draw holds already comes after what it takes first.
                first = [thing for thing in shuffled if thing not in drawn][:missing]
                self._waiting = first + [thing for thing in shuffled if thing not in first]
            drawn += self._waiting[:missing]
            self._waiting = self._waiting[missing:]
        return drawn
