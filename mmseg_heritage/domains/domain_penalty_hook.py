"""When the penalties on domains weigh how much, and what they remember over a restart."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.domains.domain_batch_sampler import DomainBatchSampler
from mmseg_heritage.domains.penalties.domain_penalty import DomainPenalty
from mmseg_heritage.errors import InputError

STATE = "domain_penalties"
"""In checkpoints: name of a penalty -> domain -> what it remembers, a tensor."""


@HOOKS.register_module()
class DomainPenaltyHook(Hook):
    """Runs the penalties of ``model.dg``, see :class:`~mmseg_heritage.domains.DomainPenalty`.

    The weight follows from the iteration alone. Where it changes, the optimizer's state is cleared,
    in place and once: a run that is resumed just there clears it too, one that is resumed later
    does not. Optimizer, schedules and gradients stay. What penalties remember is a part of
    checkpoints, beside the weights of the model.
    """

    priority = "NORMAL"

    def check_model(self, model: Any) -> None:
        """Verifies that there is something to do.

        Raises:
            InputError: If the model has no penalties.
        """
        if getattr(model, "penalties", None) is None:
            raise InputError(
                "DomainPenaltyHook needs a HeritageEncoderDecoder with penalties: "
                "model.dg=[dict(type='CORALPenalty')]"
            )

    def before_train(self, runner: Runner) -> None:
        """Verifies that all processes compare the same domains."""
        self.check_model(_plain(runner.model))
        sampler = getattr(runner.train_dataloader, "sampler", None)
        if get_world_size() > 1 and not isinstance(sampler, DomainBatchSampler):
            raise InputError(
                "penalties on several processes need the same domains on each of them; take "
                "train_dataloader.sampler=dict(type='DomainBatchSampler', ...)"
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Sets the weights of this iteration, and clears the optimizer where one changes."""
        for penalty in _penalties(runner):
            switch = penalty.switches_at(runner.max_iters)
            is_first = switch is not None and runner.iter < switch
            penalty.current_weight = penalty.first_weight if is_first else penalty.weight
            if switch == runner.iter and penalty.reset_optimizer:
                runner.logger.info(
                    f"{type(penalty).__name__}: weight {penalty.first_weight:g} -> "
                    f"{penalty.weight:g}; the optimizer's state is cleared"
                )
                runner.optim_wrapper.optimizer.state.clear()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Puts what the penalties remember into a checkpoint."""
        checkpoint[STATE] = {
            type(penalty).__name__: {name: value.cpu() for name, value in penalty.state.items()}
            for penalty in _penalties(runner)
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Takes up what the penalties remembered, where a run goes on."""
        if runner._resume:
            for penalty in _penalties(runner):
                penalty.state = dict(checkpoint.get(STATE, {}).get(type(penalty).__name__, {}))


def _plain(model: Any) -> Any:
    return model.module if is_model_wrapper(model) else model


def _penalties(runner: Runner) -> list[DomainPenalty]:
    """Returns the penalties of a model; those of weight 0 are none."""
    found = getattr(_plain(runner.model), "penalties", None)
    return [] if found is None else found.penalties
