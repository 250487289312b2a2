"""MixStyle: mixing the statistics of feature maps of images of different domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor, nn

from mmseg_heritage.domains.domain_batch_sampler import domain_of
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.text import did_you_mean


@HOOKS.register_module()
class MixStyleHook(Hook):
    """Mixes the style of early feature maps in training (Zhou et al., ICLR 2021, arXiv:2104.02008).

    See :func:`mix_style`. Each image gets a partner of another domain; the model itself, its
    checkpoints, validation and tests are as without the hook.

    Args:
        modules: Names of modules of the model whose outputs are mixed, such as
            ``['backbone.layers.0.2', 'backbone.layers.1.2']`` of MiT. Early ones: late feature maps
            carry the classes in their statistics.
        prob: Share of the iterations and modules in which it is applied, 0..1.
        alpha: Of the Beta distribution of lambda, above 0.
        channels_last: Whether 4-dimensional maps are (N, H, W, C), as in timm's Swin, and not
            (N, C, H, W). Of 3 dimensions are tokens, (N, L, C).

    Raises:
        InputError: If an argument is out of its range; when a training starts, if a module is not
            there.
    """

    priority = "NORMAL"

    def __init__(
        self,
        modules: Sequence[str],
        prob: float = 0.5,
        alpha: float = 0.1,
        channels_last: bool = False,
    ) -> None:
        problems = [] if modules and not isinstance(modules, str) else [f"modules={modules!r}"]
        if not 0 <= prob <= 1:
            problems.append(f"prob={prob!r}, expected a number in 0..1")
        if not alpha > 0:
            problems.append(f"alpha={alpha!r}, expected a number above 0")
        if problems:
            raise InputError("MixStyleHook cannot be built", problems)
        self.modules, self.prob = list(modules), prob
        self.alpha, self.channels_last = alpha, channels_last
        self._partners: Tensor | None = None
        self._handles: list[Any] = []

    def check_model(self, model: nn.Module) -> None:
        """Verifies that the modules are there.

        Raises:
            InputError: With those that are not.
        """
        known = [name for name, _ in model.named_modules()]
        missing = [name for name in self.modules if name not in known]
        if missing:
            raise InputError(
                "MixStyleHook: the model has no such module",
                [f"{name}{did_you_mean(name, known)}" for name in missing],
            )

    def before_train(self, runner: Runner) -> None:
        """Starts to listen to the modules."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.check_model(model)
        for name in self.modules:
            self._handles.append(model.get_submodule(name).register_forward_hook(self._mix))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Draws a partner for each image of the batch."""
        samples = data_batch["data_samples"]
        self._partners = partners([domain_of(sample.metainfo) for sample in samples])

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stops mixing until the next iteration."""
        self._partners = None

    def after_train(self, runner: Runner) -> None:
        """Stops listening."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _mix(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        if self._partners is None or not module.training or torch.rand(()) >= self.prob:
            return None
        share = torch.distributions.Beta(self.alpha, self.alpha).sample((len(output),))
        if output.dim() == 4 and not self.channels_last:
            return mix_style(output, self._partners, share)
        return mix_style(output.movedim(-1, 1), self._partners, share).movedim(1, -1)


def mix_style(maps: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    r"""Gives feature maps means and deviations between their own and those of others.

    .. math::
        x' = \frac{x - \mu}{\sigma} (\lambda \sigma + (1 - \lambda) \sigma_p)
            + \lambda \mu + (1 - \lambda) \mu_p

    with mean and deviation of each image and channel, :math:`\sigma^2` by n - 1 plus 1e-6; they
    carry no gradient.

    Args:
        maps: (N, C, ...).
        partner: int64 (N,), the image whose statistics are mixed into each image.
        share: Lambda, (N,), 0..1; 1 changes nothing.
    """
    values = maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps
    flat = values.detach().flatten(2)
    shape = (*flat.shape[:2], *(1 for _ in maps.shape[2:]))
    mean = flat.mean(dim=2).reshape(shape)
    deviation = (flat.var(dim=2) + 1e-6).sqrt().reshape(shape)
    partner = partner.to(maps.device)
    own = share.to(values).reshape(-1, *(1 for _ in maps.shape[1:]))
    scale = own * deviation + (1 - own) * deviation[partner]
    found = (values - mean) / deviation * scale + own * mean + (1 - own) * mean[partner]
    return found.to(maps.dtype)


def partners(domains: Sequence[str]) -> Tensor:
    """Returns a random permutation that maps no image to one of its own domain.

    Args:
        domains: Of N images.

    Returns:
        int64 (N,).

    Raises:
        InputError: If a domain has more than half of the images, or images name none.
    """
    names = sorted(set(domains))
    most = max(map(domains.count, names))
    if "" in names or 2 * most > len(domains):
        raise InputError(
            "MixStyleHook needs images of other domains for each image of a batch; take "
            "train_dataloader.sampler=dict(type='DomainBatchSampler', ...) and set "
            "train_dataloader.dataset.domain_key",
            [f"{domains.count(name)} of {len(domains)} images: {name or 'no name'}"
             for name in names],
        )  # fmt: skip
    rank = {names[i]: place for place, i in enumerate(torch.randperm(len(names)).tolist())}
    shuffled = torch.randperm(len(domains)).tolist()
    order = sorted(shuffled, key=lambda i: rank[domains[i]])  # by domain, both in random order
    found = torch.empty(len(domains), dtype=torch.int64)
    found[order] = torch.tensor(order[most:] + order[:most])
    return found
