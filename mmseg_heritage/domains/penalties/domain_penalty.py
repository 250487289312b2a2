"""The penalties that a config names: what they are computed from, how much they weigh, and when."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.domains.penalties.domain_batch import DomainBatch
from mmseg_heritage.domains.penalties.penalty_functions import (
    class_coral_penalty,
    coral_penalty,
    cross_entropy_gradients,
    fishr_penalty,
    gradient_variance,
    group_dro_penalty,
    image_gradients,
    irm_penalty,
    pixel_gradient_variance,
    running_variance,
    vrex_penalty,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS


class DomainPenalty:
    """A penalty on the differences between the domains of a batch; base of those below.

    Args:
        weight: Factor on the penalty, from 0. At 0 it is left out altogether.
        anneal: Share of the training after which ``weight`` holds, 0 to below 1; before that, it is
            ``first_weight``.
        first_weight: Factor before, from 0.
        reset_optimizer: Whether the optimizer forgets its moments when the factor changes: they are
            those of another objective.

    Attributes:
        current_weight: Factor of this step, which
            :class:`~mmseg_heritage.domains.DomainPenaltyHook` sets; None before it did.
        state: Domain -> what is remembered of it, which the hook keeps in checkpoints.
    """

    def __init__(
        self,
        weight: float = 1.0,
        anneal: float = 0.0,
        first_weight: float = 0.0,
        reset_optimizer: bool = True,
    ) -> None:
        self._refuse(
            f"{name}={value!r}, expected a number from 0"
            for name, value in (("weight", weight), ("first_weight", first_weight))
            if not _is_number(value) or not 0 <= value < math.inf
        )
        if not _is_number(anneal) or not 0 <= anneal < 1:
            self._refuse([f"anneal={anneal!r}, expected a share of the training, 0 to below 1"])
        self.weight, self.first_weight = weight, first_weight
        self.anneal, self.reset_optimizer = anneal, reset_optimizer
        self.current_weight: float | None = None
        self.state: dict[str, Tensor] = {}

    def _refuse(self, problems: Any) -> None:
        """Raises an error with what is wrong with the arguments, if anything is."""
        if problems := list(problems):
            raise InputError(f"{type(self).__name__} cannot be built", problems)

    @property
    def loss_name(self) -> str:
        """Name in the log."""
        return f"loss_dg_{type(self).__name__.removesuffix('Penalty').lower()}"

    def switches_at(self, max_iters: int) -> int | None:
        """Returns the iteration from which the weight is the last one; None if it always is."""
        return round(self.anneal * max_iters) if self.anneal else None

    def __call__(self, batch: DomainBatch) -> Tensor:
        """Returns the penalty of a batch, without its weight."""
        raise NotImplementedError


@MODELS.register_module()
class CORALPenalty(DomainPenalty):
    """Deep CORAL on the features of pixels, as DomainBed weighs it, see ``coral_penalty``.

    A sample is a labeled cell of the last feature map: vectors of whole images would be two or four
    for a domain, whose covariance is noise.

    Args:
        mode: 'marginal' aligns all cells of a domain (DomainBed), and with them the shares of
            classes; 'class' aligns the cells of each class that two domains share.
        cells: At most so many cells of a domain, evenly spaced, for a class or altogether.
        **kwargs: See :class:`DomainPenalty`.
    """

    def __init__(self, mode: str = "marginal", cells: int = 2048, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in ("marginal", "class"):
            self._refuse([f"mode={mode!r}, expected 'marginal' or 'class'"])
        if not isinstance(cells, int) or cells < 2:
            self._refuse([f"cells={cells!r}, expected a whole number from 2"])
        self.mode, self.cells = mode, cells

    def __call__(self, batch: DomainBatch) -> Tensor:
        """Returns the penalty of a batch, without its weight."""
        features, labels = [], []
        for maps, of_cells in zip(batch.features, batch.cell_labels, strict=True):
            vectors = maps.movedim(1, -1).flatten(0, 2)
            names = of_cells.flatten()
            groups = names[names != NO_CLASS].unique() if self.mode == "class" else [None]
            chosen = [
                _spaced((names != NO_CLASS if name is None else names == name), self.cells)
                for name in groups
            ]
            places = torch.cat(chosen) if chosen else names.new_zeros(0)
            features.append(vectors[places])
            labels.append(names[places])
        if self.mode == "class":
            return class_coral_penalty(features, labels)
        seen = [found for found in features if len(found) >= 2]  # a crop may have no labeled cell
        return coral_penalty(seen) if len(seen) >= 2 else features[0].sum() * 0


@MODELS.register_module()
class IRMPenalty(DomainPenalty):
    """Invariant risk minimization, see ``irm_penalty``; averaged over the domains.

    Defaults are DomainBed's: a tenth of the training at weight 1, then 100.
    """

    def __init__(
        self, weight: float = 100.0, anneal: float = 0.1, first_weight: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(weight, anneal, first_weight, **kwargs)

    def __call__(self, batch: DomainBatch) -> Tensor:
        """Returns the penalty of a batch, without its weight."""
        pairs = zip(batch.full_logits, batch.labels, strict=True)
        return torch.stack([irm_penalty(logits, labels) for logits, labels in pairs]).mean()


@MODELS.register_module()
class VRExPenalty(DomainPenalty):
    """Variance of the losses of the domains, see ``vrex_penalty``.

    Defaults are DomainBed's: a tenth of the training at weight 1, then 10.
    """

    def __init__(
        self, weight: float = 10.0, anneal: float = 0.1, first_weight: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(weight, anneal, first_weight, **kwargs)

    def __call__(self, batch: DomainBatch) -> Tensor:
        """Returns the penalty of a batch, without its weight."""
        return vrex_penalty(batch.losses)


@MODELS.register_module()
class GroupDROPenalty(DomainPenalty):
    """Weighs domains with a higher loss more, see ``group_dro_penalty``.

    The weights of domains grow by ``exp(step * loss)`` in each batch that holds them; in a batch,
    those of its domains add up to 1. With all domains in every batch that is DomainBed's rule.

    Args:
        step: Eta, above 0.
        **kwargs: See :class:`DomainPenalty`.
    """

    def __init__(self, step: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not _is_number(step) or not 0 < step < math.inf:
            self._refuse([f"step={step!r}, expected a number above 0"])
        self.step = step

    def __call__(self, batch: DomainBatch) -> Tensor:
        """Returns the penalty of a batch, without its weight."""
        grown = self.step * _of_all_processes(batch.losses.detach())
        zero = grown.new_zeros(())
        for name, growth in zip(batch.names, grown, strict=True):
            self.state[name] = self.state.get(name, zero).to(growth) + growth
        logs = torch.stack([self.state[name] for name in batch.names])
        return group_dro_penalty(batch.losses, logs)


@MODELS.register_module()
class FishrPenalty(DomainPenalty):
    """Fishr: domains shall agree in the variance of the last layer's gradients over samples.

    See ``fishr_penalty`` and ``running_variance``. Only gradients of the last convolution are
    concerned, so that no second pass through the network is needed. Defaults are DomainBed's: the
    weight is 0 for three tenths of the training, during which the running variances are kept, and
    then 1000.

    Args:
        sample: What a gradient is taken of. 'image': of the mean loss of an image, as in the paper;
            exact, but the variance of two or four numbers. 'patch': of the mean loss of a square of
            ``patch`` x ``patch`` cells of the feature map. 'pixel': of a cell; many, but neighbors
            resemble each other and most are Clean.
        decay: Share of the running variance that is kept in a step, 0 to below 1.
        patch: Side of a patch in cells, from 1.
        weight: See :class:`DomainPenalty`.
        anneal: See :class:`DomainPenalty`.
        **kwargs: See :class:`DomainPenalty`.
    """

    def __init__(
        self,
        sample: str = "image",
        decay: float = 0.95,
        patch: int = 8,
        weight: float = 1000.0,
        anneal: float = 0.3,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, anneal, **kwargs)
        problems = []
        if sample not in ("image", "patch", "pixel"):
            problems.append(f"sample={sample!r}, expected 'image', 'patch' or 'pixel'")
        if not _is_number(decay) or not 0 <= decay < 1:
            problems.append(f"decay={decay!r}, expected 0 to below 1")
        if not isinstance(patch, int) or patch < 1:
            problems.append(f"patch={patch!r}, expected a whole number from 1")
        self._refuse(problems)
        self.sample, self.decay, self.patch = sample, decay, patch

    def __call__(self, batch: DomainBatch) -> Tensor:
        """Returns the penalty of a batch, without its weight."""
        variances = torch.stack([self._variance(batch, place) for place in range(len(batch.names))])
        common = _of_all_processes(variances.detach())
        used = []
        for name, variance, of_all in zip(batch.names, variances, common, strict=True):
            before = self.state.get(name)
            before = None if before is None else before.to(variance)
            used.append(running_variance(before, variance, self.decay)[0])
            self.state[name] = running_variance(before, of_all, self.decay)[1]
        return fishr_penalty(torch.stack(used))

    def _variance(self, batch: DomainBatch, place: int) -> Tensor:
        """Returns the variance of the gradients of a domain, (P,)."""
        features, logits = batch.features[place], batch.logits[place]
        if self.sample == "image":
            found = _image_score_gradients(batch, place)
            return gradient_variance(image_gradients(found, features))
        labels = batch.cell_labels[place]
        if not (labels != NO_CLASS).any():
            return features.new_zeros(logits.shape[1] * (features.shape[1] + 1))
        found = cross_entropy_gradients(logits, labels)
        if self.sample == "pixel":
            taking = labels != NO_CLASS
            return pixel_gradient_variance(
                found.movedim(1, -1)[taking], features.movedim(1, -1)[taking]
            )
        scores, maps, taking = (
            _patches(tensor, self.patch)
            for tensor in (found, features, (labels != NO_CLASS)[:, None].to(features))
        )
        number = taking.sum(dim=(1, 2, 3))
        labeled = number > 0
        gradients = image_gradients(scores[labeled], maps[labeled]) / number[labeled, None]
        return gradient_variance(gradients)


def _image_score_gradients(batch: DomainBatch, place: int) -> Tensor:
    """Returns the gradients of the mean losses of images by the logits, (N, C, h, w)."""
    logits, full = batch.logits[place], batch.full_logits[place]
    labels = batch.labels[place]
    number = (labels != NO_CLASS).sum(dim=(1, 2)).clamp(min=1)
    found = cross_entropy_gradients(full, labels) / number[:, None, None, None]
    if full is logits:
        return found
    # Enlarging is linear: its own gradient carries the one by full logits back to the cells.
    with torch.enable_grad():
        cells = logits if logits.requires_grad else logits.detach().requires_grad_()
        enlarged = torch.nn.functional.interpolate(cells, full.shape[2:], mode="bilinear")
        carried: Tensor = torch.autograd.grad(
            enlarged, cells, found, create_graph=found.requires_grad
        )[0]
    return carried


def _patches(maps: Tensor, side: int) -> Tensor:
    """Cuts maps (N, K, h, w) into squares, (M, K, side, side), filled up by 0 at their ends."""
    height, width = maps.shape[2:]
    maps = torch.nn.functional.pad(maps, (0, -width % side, 0, -height % side))
    cut = maps.unfold(2, side, side).unfold(3, side, side)  # (N, K, rows, columns, side, side)
    return cut.movedim(1, 3).flatten(0, 2)


def _spaced(mask: Tensor, most: int) -> Tensor:
    """Returns places where a mask holds, at most so many, evenly spaced."""
    found = mask.nonzero()[:, 0]
    if len(found) <= most:
        return found
    return found[torch.arange(most, device=found.device) * len(found) // most]


def _of_all_processes(values: Tensor) -> Tensor:
    """Averages values of each domain over processes, which hold the same domains in a step."""
    if get_world_size() > 1:
        values = values.clone()
        all_reduce(values, op="mean")
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
