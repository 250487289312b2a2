"""Checkpoints that survive a kill at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.engine.checkpoint_files import WHOLE, record_checkpoint
from mmseg_heritage.engine.loops import EPOCH_START
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.metric import VALIDATION
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.files import remove_temporaries

BEST_VALIDATION = "best_validation"
"""What the message hub calls the scores of the validation that chose the best checkpoint."""
LAST_VALIDATED = "last_validated_iter"
"""Iteration of the last validation."""


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, safe against kills, full disks and lost validations.

    Files are written under a temporary name and renamed. An old checkpoint is deleted only when the
    new one is whole, so that the disk needs room for one more than are kept. A run that was killed
    between a checkpoint and the validation after it validates first when it is resumed, so that it
    chooses the best checkpoint as the unbroken run does. The best checkpoint and the last hold the
    scores of their validation; mmengine writes the last before it, and again if it is the best.

    Args:
        max_keep_ckpts: How many checkpoints are kept besides the best: 2 or more, or -1 for all.
            With a single one, a damaged file would be the end of the run.
        backend_args: As in mmengine; by default whole local files.
        **kwargs: As in mmengine.

    Raises:
        InputError: If fewer than 2 are to be kept.
    """

    def __init__(
        self,
        *args: Any,
        max_keep_ckpts: int = 2,
        backend_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if max_keep_ckpts != -1 and max_keep_ckpts < 2:
            raise InputError(
                f"default_hooks.checkpoint.max_keep_ckpts is {max_keep_ckpts}; expected 2 or more, "
                "or -1 to keep all: a damaged checkpoint needs another one to go on from"
            )
        # -1: mmengine would delete the old one before it writes the new one.
        super().__init__(*args, max_keep_ckpts=-1, backend_args=backend_args or WHOLE, **kwargs)
        self.keep = max_keep_ckpts

    def before_train(self, runner: Runner) -> None:
        """Cleans up after a kill, and validates where the kill came before the validation."""
        super().before_train(runner)
        if is_main_process():
            remove_temporaries(Path(self.out_dir), alone=True)
        self._find_best()
        self._best_before = self._best()
        _warn_of_lost_gradients(runner)
        if _validation_is_due(runner):
            runner.logger.info("validating first: the checkpoint was written before validation")
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Saves the best checkpoint, which then says that its validation is done."""
        hub = runner.message_hub
        hub.update_info(LAST_VALIDATED, runner.iter)
        self._best_before = before = self._best()
        super().after_val_epoch(runner, metrics)
        self._note_best(runner)
        if self._best() == before:
            self._write_last_again(runner)

    def _write_last_again(self, runner: Runner) -> None:
        """Adds the scores of the last validation to the last checkpoint of the run."""
        step, last = runner.iter, runner.max_iters
        if self.by_epoch:
            step, last = runner.epoch, runner.max_epochs
        name = self.filename_tmpl.format(step)
        if step == last and Path(getattr(self, "last_ckpt", None) or "").name == name:
            self._write(runner, name, {"epoch": runner.epoch, "iter": runner.iter})

    def _note_best(self, runner: Runner) -> None:
        """Keeps the scores of a new best checkpoint; also before the last one is written again."""
        if self._best() != self._best_before:
            self._best_before = self._best()
            found = runner.message_hub.runtime_info.get(VALIDATION) or {}
            runner.message_hub.update_info(BEST_VALIDATION, found)

    def _best(self) -> list[str | None]:
        """Returns the files of the best checkpoints, of each score by which they are chosen."""
        of_scores = getattr(self, "best_ckpt_path_dict", None)
        return list(of_scores.values()) if of_scores else [getattr(self, "best_ckpt_path", None)]

    def save_now(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Saves a checkpoint between two iterations, named after the iteration.

        Args:
            runner: The Runner.
            epoch: Number of finished epochs.
            iteration: Number of finished iterations.
        """
        self._write(runner, f"iter_{iteration}.pth", {"epoch": epoch, "iter": iteration})

    def _find_best(self) -> None:
        """Looks for the best checkpoint in this run's folder only.

        The record may name that of the run this one goes on from, which is not this run's to
        delete, or the place where this folder was before it was moved.
        """

        def own(path: str | None) -> str | None:
            beside = Path(self.out_dir, Path(path).name) if path else None
            return str(beside) if beside and beside.is_file() else None

        for name, value in list(vars(self).items()):  # one of the two, by the number of scores
            if name == "best_ckpt_path":
                setattr(self, name, own(value))
            elif name == "best_ckpt_path_dict":
                setattr(self, name, {score: own(path) for score, path in value.items()})

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        """Replaces mmengine's: its order of deleting and writing, and its mark."""
        self._note_best(runner)
        self._write(runner, self.filename_tmpl.format(step), meta)

    def _write(self, runner: Runner, name: str, meta: dict[str, Any]) -> None:
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            record_checkpoint(Path(runner.work_dir), Path(self.last_ckpt), self.keep)


def _validation_is_due(runner: Runner) -> bool:
    """Whether a resumed run stands where a validation comes that its checkpoint has not seen."""
    loop = runner.train_loop
    by_epoch = hasattr(loop, "run_epoch")
    step = runner.epoch if by_epoch else runner.iter
    last = runner.max_epochs if by_epoch else runner.max_iters
    done = runner.message_hub.runtime_info.get(LAST_VALIDATED)
    if by_epoch and _in_the_middle_of_an_epoch(runner):
        return False
    return (
        runner.val_loop is not None
        and step > 0
        and done != runner.iter
        and step >= loop.val_begin
        and (step % loop.val_interval == 0 or step == last)
    )


def _in_the_middle_of_an_epoch(runner: Runner) -> bool:
    """Whether the checkpoint was written between two iterations of an epoch that is not over."""
    epoch, _ = runner.message_hub.runtime_info.get(EPOCH_START, (-1, 0))
    return epoch == runner.epoch


def _warn_of_lost_gradients(runner: Runner) -> None:
    """Says where gradient accumulation and several processes make a resumed run differ."""
    counts = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
    if counts > 1 and get_world_size() > 1:
        runner.logger.warning(
            f"accumulative_counts={counts} on several processes: gradients that wait for their "
            "step are not in checkpoints. Let the checkpoint's interval be a multiple of it"
        )
