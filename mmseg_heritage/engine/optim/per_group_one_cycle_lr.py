"""One cycle of the learning rate in which every parameter group keeps its own rate."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmseg.registry import PARAM_SCHEDULERS

from mmseg_heritage.errors import InputError


@PARAM_SCHEDULERS.register_module()
class PerGroupOneCycleLR(LRSchedulerMixin, _ParamScheduler):
    """One cycle (Smith and Topin, 2018, arXiv:1708.07120), up to the own rate of each group.

    mmengine's ``OneCycleLR`` takes one ``eta_max`` for all groups, which erases layer decay and
    ``lr_mult``, and a ``total_steps`` that has to be repeated from the length of the training. Here
    the peak of a group is the rate that the optimizer gave it, and the cycle lasts from ``begin``
    to ``end``, by default the whole training. A group of rate r has at step t of n

    - r/d at t = 0, rising along a cosine to r at t = p n - 1,
    - then falling along a cosine to r/(d f) at t = n - 1,

    with p = ``pct_start``, d = ``div_factor`` and f = ``final_div_factor``, as
    :class:`torch.optim.lr_scheduler.OneCycleLR` computes it with ``max_lr`` of each group. Where p
    n is below 2 there is no step to rise in, and the cycle begins at r.

    Args:
        optimizer: Optimizer or optimizer wrapper whose groups hold their peak rates.
        pct_start: Share of the steps in which the rate rises, 0..1.
        div_factor: Peak rate by first rate, above 0.
        final_div_factor: First rate by last rate, above 0.
        **kwargs: ``begin``, ``end``, ``by_epoch``, ``last_step`` and ``verbose``, see
            :class:`mmengine.optim.scheduler.param_scheduler._ParamScheduler`. In a config,
            ``convert_to_iter_based=True`` counts the steps in iterations.

    Raises:
        InputError: If an argument is out of its range.
    """

    def __init__(
        self,
        optimizer: Any,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        **kwargs: Any,
    ) -> None:
        problems = [
            f"{name}={value!r}, expected a number above 0"
            for name, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor))
            if not _is_number(value) or value <= 0
        ]
        if not _is_number(pct_start) or not 0 <= pct_start <= 1:
            problems.append(f"pct_start={pct_start!r}, expected a number in 0..1")
        if kwargs.get("end", INF) == INF:
            problems.append("end is missing: a cycle needs a length")
        if problems:
            raise InputError("PerGroupOneCycleLR cannot be built", problems)
        self.pct_start = pct_start
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        super().__init__(optimizer, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, begin: int = 0, end: int = INF, epoch_length: int, **kwargs: Any
    ) -> PerGroupOneCycleLR:
        """Builds a cycle in iterations from one in epochs, as mmengine's schedulers do.

        Args:
            *args: See the class.
            begin: First epoch.
            end: Epoch after the last.
            epoch_length: Iterations of an epoch.
            **kwargs: See the class; ``by_epoch`` must not be False.
        """
        if not kwargs.pop("by_epoch", True):
            raise InputError(
                "PerGroupOneCycleLR: convert_to_iter_based counts epochs as iterations; it goes "
                "with by_epoch=True"
            )
        last = end if end == INF else end * epoch_length
        return cls(*args, begin=begin * epoch_length, end=last, by_epoch=False, **kwargs)

    def _get_value(self) -> list[float]:
        """Returns the rate of each group at the current step."""
        factor = self._factor(self.last_step, self.end - self.begin)
        return [factor * rate for rate in self.base_values]

    def _factor(self, step: int, length: int) -> float:
        """Returns the share of the peak rate at a step of a cycle, above 0, up to 1."""
        first = 1 / self.div_factor
        peak = self.pct_start * length - 1
        if peak > 0 and step <= peak:
            return _cosine(first, 1.0, step / peak)
        start = max(peak, 0.0)
        if length - 1 <= start:  # nothing is left to fall in
            return 1.0
        return _cosine(1.0, first / self.final_div_factor, (step - start) / (length - 1 - start))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
