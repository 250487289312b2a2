"""Training the levels of a hierarchical head one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE_LEVEL

DEFAULT_STAGES = (
    {"end": 0.2, "level_weights": {"binary": 1.0, "coarse": 0.0, "fine": 0.0}},
    {"end": 0.4, "level_weights": {"binary": 0.2, "coarse": 1.0, "fine": 0.0}},
    {"end": 1.0, "level_weights": {"binary": 0.2, "coarse": 0.3, "fine": 1.0}},
)
"""First Clean/Damage, then the groups of damage, then everything."""


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        end: Share of all iterations after which it is over, in 0..1, 1 included.
        level_weights: Weight of each level's loss.
        lr_factor: Factor on the learning rate that the schedule asks for.
    """

    end: float
    level_weights: Mapping[str, float] = field(default_factory=dict)
    lr_factor: float = 1.0


@HOOKS.register_module()
class CurriculumHook(Hook):
    """Changes the level weights of a :class:`HierarchicalUPerHead` in stages (Bengio et al., 2009).

    The stage follows from the iteration alone, so that a run resumed anywhere goes on in the right
    one. While the classes are not trained, validation does not choose a best checkpoint. The log
    gets ``curriculum_stage``, counted from 1, and the learning rate that is really used.

    Args:
        stages: Dicts with ``end``, ``level_weights`` and, optionally, ``lr_factor``, see
            :class:`Stage`; ends rise and the last is 1. Default: :data:`DEFAULT_STAGES`.
        freeze_idle: Freezes classifiers that no level of positive weight needs. Distributed
            training then needs ``find_unused_parameters=True`` in the config.

    Raises:
        InputError: With all that is wrong with the stages.
    """

    priority = "NORMAL"  # before ParamSchedulerHook, which must find its own learning rates

    def __init__(
        self, stages: Sequence[Mapping[str, Any]] = DEFAULT_STAGES, freeze_idle: bool = True
    ) -> None:
        self.stages = _read(stages)
        self.freeze_idle = freeze_idle
        self._current: int | None = None
        self._scheduled: list[float] = []
        self._save_best: dict[CheckpointHook, Any] = {}

    def check_model(self, model: Any) -> None:
        """Verifies that the stages weigh the levels that a model has.

        Raises:
            InputError: If the model has no levels, or a stage leaves one out or names another.
        """
        head = _head(model)
        problems = [
            f"stage {number}: {problem}"
            for number, stage in enumerate(self.stages, start=1)
            for problem in head.wrong_level_weights(stage.level_weights)
        ]
        if problems:
            raise InputError("the stages of CurriculumHook do not fit the decode head", problems)

    def before_run(self, runner: Runner) -> None:
        """Verifies that the model has levels that can be weighed."""
        model = runner.model
        self.check_model(model)
        if (
            self.freeze_idle
            and isinstance(model, MMDistributedDataParallel)
            and not model.find_unused_parameters
        ):
            raise InputError(
                "CurriculumHook freezes classifiers, which distributed training takes for a fault; "
                "set find_unused_parameters=True in the config, or freeze_idle=False in the hook"
            )

    def before_train(self, runner: Runner) -> None:
        """Remembers by what the best checkpoint is chosen."""
        self._save_best = {
            hook: hook.save_best for hook in runner.hooks if isinstance(hook, CheckpointHook)
        }
        self._current = None
        if runner.iter:  # resumed: a validation may come before the next iteration
            self._start_stage(runner, self._position(runner.iter - 1, runner.max_iters))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Enters the stage of this iteration and applies its factor to the learning rate."""
        position = self._position(runner.iter, runner.max_iters)
        if position != self._current:
            self._start_stage(runner, position)
        factor = self.stages[position].lr_factor
        groups = runner.optim_wrapper.param_groups
        self._scheduled = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] *= factor
        runner.message_hub.update_scalar("train/curriculum_stage", position + 1)
        if factor != 1:
            for name, rates in runner.optim_wrapper.get_lr().items():
                # Of the first group, which is the one that mmengine logs.
                runner.message_hub.update_scalar(f"train/{name}", rates[0])

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Gives the schedule its learning rates back, before it computes the next ones."""
        groups = runner.optim_wrapper.param_groups
        for group, rate in zip(groups, self._scheduled, strict=True):
            group["lr"] = rate

    def _position(self, iteration: int, max_iters: int) -> int:
        """Returns the stage of an iteration."""
        done = iteration / max_iters
        return next(i for i, stage in enumerate(self.stages) if done < stage.end)

    def _start_stage(self, runner: Runner, position: int) -> None:
        """Sets weights, frozen classifiers and the choice of checkpoints for a stage."""
        stage = self.stages[position]
        _head(runner.model).set_level_weights(stage.level_weights, self.freeze_idle)
        chooses = stage.level_weights[FINE_LEVEL] > 0
        for hook, save_best in self._save_best.items():
            hook.save_best = save_best if chooses else None
        weights = ", ".join(f"{name} {weight:g}" for name, weight in stage.level_weights.items())
        runner.logger.info(
            f"curriculum stage {position + 1} of {len(self.stages)}: weights {weights}; learning "
            f"rate x {stage.lr_factor:g}"
            + ("" if chooses else "; no best checkpoint is chosen until the classes are trained")
        )
        self._current = position


def _head(model: Any) -> Any:
    """Returns the decoder that has levels."""
    model = model.module if is_model_wrapper(model) else model
    head = getattr(model, "decode_head", None)
    if not hasattr(head, "set_level_weights"):
        raise InputError(
            "CurriculumHook needs a decode head with levels, such as HierarchicalUPerHead; found "
            f"{type(head).__name__}"
        )
    return head


def _read(stages: Sequence[Mapping[str, Any]]) -> list[Stage]:
    """Builds the stages, with all that is wrong with them in one error."""
    read: list[Stage] = []
    problems: list[str] = []
    for number, entry in enumerate(stages, start=1):
        try:
            stage = Stage(**entry)
        except TypeError as error:
            problems.append(f"stage {number}: {error}")
            continue
        previous = read[-1].end if read else 0.0
        wrong = _wrong_values(stage, previous)
        problems += [f"stage {number}: {problem}" for problem in wrong]
        if not wrong:
            read.append(stage)
    if not stages:
        problems.append("there are no stages")
    elif not problems and read[-1].end != 1:
        problems.append(f"the last stage ends at {read[-1].end}, expected 1")
    elif not problems and not read[-1].level_weights[FINE_LEVEL]:
        problems.append("the last stage does not train the classes: its weight of 'fine' is 0")
    if problems:
        raise InputError("CurriculumHook cannot be built", problems)
    return read


def _wrong_values(stage: Stage, previous_end: float) -> list[str]:
    """Lists what is wrong with a stage by itself; the model knows the names of the levels."""
    problems = []
    if not _is_number(stage.end) or not previous_end < stage.end <= 1:
        problems.append(f"end={stage.end!r}, expected to rise from 0 to 1")
    if not _is_number(stage.lr_factor) or not 0 < stage.lr_factor < math.inf:
        problems.append(f"lr_factor={stage.lr_factor!r}, expected more than 0")
    if not isinstance(stage.level_weights, Mapping) or FINE_LEVEL not in stage.level_weights:
        problems.append(
            f"level_weights={stage.level_weights!r}, expected a weight for each level and for "
            f"'{FINE_LEVEL}'"
        )
    return problems


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
