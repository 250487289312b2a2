"""The config of a short training that goes on from a checkpoint with a few corrected images."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.segmentors.tuning import TUNE
from mmseg_heritage.runs.config.variables import innermost_datasets, missing_place, set_variable

_ONLY_OF_THE_RUN = ("val_dataloader", "val_cfg", "val_evaluator", "test_dataloader", "test_cfg",
                    "test_evaluator", "auto_scale_lr", "global_batch_size", "tta_pipeline",
                    "tta_model", "class_weights_file", "test_pipeline")  # fmt: skip
# What a data set has chosen of its own images, or kept of them.
_OF_OTHER_IMAGES = ("materials", "contents", "domain_key", "cache", "cache_dir", "indices",
                    "classes_file")  # fmt: skip
_KEPT_HOOKS = ("NanLossHook", "ThroughputHook", "ClassFrequencyHook", "PreemptionHook")
_WARM_UP = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a model learns from a few images.

    Attributes:
        steps: Steps of the training.
        lr: Peak learning rate.
        tune: What of the backbone is trained, see
            :data:`mmseg_heritage.models.segmentors.tuning.TUNE`. The decoder is trained always.
        batch_size: Images in a step.
        rare_class_prob: Share of the crops that are placed on a rare class, where the pipeline of
            the checkpoint's run can do that.
        native_prob: Share of the crops that are not resized, where the model looks at photographs
            at their own size: a few images do not show damage at all sizes.
        seed: Of order and augmentation.
    """

    steps: int = 120
    lr: float = 1e-3
    tune: str = "all"
    batch_size: int = 4
    rare_class_prob: float = 0.5
    native_prob: float = 1.0
    seed: int = 0

    def problems(self) -> list[str]:
        """Says which of the values cannot be used."""
        found = [
            f"{name}={value!r}, expected a whole number from {least}"
            for name, value, least in (
                ("steps", self.steps, 1), ("batch_size", self.batch_size, 1), ("seed", self.seed, 0)
            )
            if isinstance(value, bool) or not isinstance(value, int) or value < least
        ]  # fmt: skip
        if not 0 < self.lr < math.inf:
            found.append(f"lr={self.lr!r}, expected a number above 0")
        found += [
            f"{name}={value!r}, expected a share, 0 to 1"
            for name, value in (
                ("rare_class_prob", self.rare_class_prob), ("native_prob", self.native_prob)
            )
            if not 0 <= value <= 1
        ]  # fmt: skip
        if self.tune not in TUNE:
            found.append(f"tune={self.tune!r}, expected one of {', '.join(TUNE)}")
        return found


def learning_config(
    parent: Config,
    checkpoint: Path,
    data_root: Path,
    manifest: Path,
    recipe: Recipe,
    replay: Path | None = None,
    repeats: int = 1,
) -> Config:
    """Returns the config of the training, made from that of the checkpoint.

    Model, losses, pipeline and optimizer are those of the checkpoint's run. Curricula, penalties of
    domains and validation are left out: they are for many images.

    Args:
        parent: Config inside the checkpoint; it stays as it is.
        checkpoint: The checkpoint.
        data_root: Folder of the corrected images.
        manifest: Split manifest whose part 'train' is learned from.
        recipe: See :class:`Recipe`.
        replay: Folder of the data of the checkpoint's run: the images that it was trained on are
            learned from too; None for none.
        repeats: How often a corrected image is listed for each one of ``replay``.

    Raises:
        InputError: If the checkpoint's run was of another kind.
    """
    cfg = copy.deepcopy(parent)
    datasets = innermost_datasets(cfg, "train_dataloader")
    if not datasets or datasets[0].get("type") != "ARTeFACTDataset":
        raise InputError(
            f"{checkpoint}: was not trained on an ARTeFACTDataset, so that nobody can tell how it "
            "reads images; train it with a config of your own and load_from"
        )
    if (cfg.get("model") or {}).get("type") != "HeritageEncoderDecoder":
        raise InputError(f"{checkpoint}: only models of a HeritageEncoderDecoder can learn")
    for name in _ONLY_OF_THE_RUN:
        cfg.pop(name, None)
    _set_model(cfg, recipe)
    corrected = {k: v for k, v in datasets[0].items() if k not in _OF_OTHER_IMAGES}
    corrected.update(data_root=str(data_root), ann_file=str(manifest), split="train")
    dataset = corrected
    if replay is not None:
        earlier = {**datasets[0], "data_root": str(replay), "split": "train", "cache": "none"}
        repeated = {"type": "RepeatDataset", "dataset": corrected, "times": repeats}
        both = {"type": "ConcatDataset", "datasets": [repeated, earlier]}
        dataset = {"type": "SeededDataset", "dataset": both}
    cfg.pop("train_dataloader")
    cfg.train_dataloader = {
        "batch_size": recipe.batch_size,
        "num_workers": 0,
        "persistent_workers": False,
        "sampler": {"type": "NumberedInfiniteSampler", "shuffle": True},
        "dataset": dataset,
    }
    if not missing_place(cfg, "rare_class_prob"):
        set_variable(cfg, "rare_class_prob", recipe.rare_class_prob)
    if not missing_place(cfg, "native_prob") and _looks_at_native_size(cfg):
        set_variable(cfg, "native_prob", recipe.native_prob)
    _set_schedule(cfg, recipe)
    cfg.load_from, cfg.resume = str(checkpoint.absolute()), False
    cfg.experiment_name = f"learn_{manifest.stem}"
    cfg.pop("work_dir", None)
    cfg.launcher = "none"
    return cfg


def _set_model(cfg: Config, recipe: Recipe) -> None:
    set_variable(cfg, "pretrained", None)  # its weights come from the checkpoint
    for name in ("calibration", "dg"):  # of the weights that are changed
        cfg.model.pop(name, None)
    if recipe.tune == "all":
        cfg.model.pop("tune", None)
    else:
        cfg.model.tune = recipe.tune


def _looks_at_native_size(cfg: Config) -> bool:
    scales = (cfg.model.get("inference") or {}).get("scales") or ["native"]
    return list([scales] if isinstance(scales, str) else scales) == ["native"]


def _set_schedule(cfg: Config, recipe: Recipe) -> None:
    cfg.pop("train_cfg", None)
    cfg.train_cfg = {"type": "ResumableIterLoop", "max_iters": recipe.steps}
    cfg.param_scheduler = [{"type": "PerGroupOneCycleLR", "pct_start": _WARM_UP, "by_epoch": False}]
    cfg.optim_wrapper.optimizer.lr = recipe.lr
    cfg.optim_wrapper.pop("accumulative_counts", None)
    cfg.custom_hooks = [h for h in cfg.get("custom_hooks") or [] if h.get("type") in _KEPT_HOOKS]
    cfg.randomness = {**(cfg.get("randomness") or {}), "seed": recipe.seed}
    checkpoint = cfg.default_hooks.get("checkpoint") or {"type": "WholeCheckpointHook"}
    checkpoint = {k: v for k, v in checkpoint.items() if k not in ("save_best", "rule")}
    checkpoint.update(by_epoch=False, interval=recipe.steps, save_optimizer=False)
    cfg.default_hooks.checkpoint = {**checkpoint, "save_param_scheduler": False}
    cfg.default_hooks.preemption = None  # a signal ends it: there is no going on later
    cfg.default_hooks.logger = {"type": "LoggerHook", "interval": max(recipe.steps // 10, 1)}
    cfg.log_processor = {"by_epoch": False, "window_size": 10}
