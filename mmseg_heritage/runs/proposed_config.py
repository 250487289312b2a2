"""A config that fits a data set and a machine, for somebody who has written none yet."""

from __future__ import annotations

import math
import os
import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from mmseg_heritage.runs.config.config_files import config_folder

_GIB = 2**30
_VALIDATIONS = 10
_WORKERS = 4


@dataclass(frozen=True)
class Base:
    """A shipped config that a plan starts from.

    Attributes:
        config: Its name.
        network: What it trains, in words.
        batch_size: Images per step.
        crop: Side of the training crops in pixels, at most.
        steps: Of the training.
        rate: Peak learning rate.
        backbone: Fields of ``model.backbone`` that it leaves open.
    """

    config: str
    network: str
    batch_size: int
    crop: int
    steps: int
    rate: float
    backbone: Mapping[str, str] = field(default_factory=dict)


_MIT = "SegFormer on MiT-B3"
_ON_GPU = {
    20: Base("segformer_mitb3_artefact", _MIT, 16, 512, 4000, 0.0002),
    5: Base("segformer_mitb3_artefact-6gb", _MIT, 8, 384, 4000, 0.0002),
}
"""GiB of the GPU from which on -> what is trained there."""
_LITE = {"model_name": "tf_efficientnet_lite0"}
_ON_CPU = Base("unet_timm_artefact", "U-Net on EfficientNet-Lite0", 4, 256, 400, 0.001, _LITE)


@dataclass(frozen=True)
class Plan:
    """How a model will be trained.

    Attributes:
        base: What it starts from.
        batch_size: Images per step.
        crop: Side of the training crops in pixels, a multiple of 32.
        epochs: Of the training.
        device: What it was made for, in words.
        native_prob: Share of the crops that are not resized.
    """

    base: Base
    batch_size: int
    crop: int
    epochs: int
    device: str
    native_prob: float

    def sentences(self, num_train: int) -> list[str]:
        """Explains the plan.

        Args:
            num_train: Training photographs.
        """
        steps = self.epochs * math.ceil(num_train / self.batch_size)
        return [
            f"{self.base.network} ({self.base.config}), for {self.device}",
            f"{self.epochs} epochs, {steps} steps of {self.batch_size} crops of {self.crop} px, "
            f"half of them where a rare class is, {100 * self.native_prob:.0f} % of them at the "
            "size of the photograph, the others of all sizes",
            "photographs are predicted at their full size, in windows",
        ]


def plan_training(sizes: Sequence[tuple[int, int]], num_train: int) -> Plan:
    """Chooses a model, its crops and its length.

    Args:
        sizes: (width, height) of the photographs in pixels.
        num_train: How many of them are trained on, at least 1.
    """
    memory = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0
    fitting = [choice for least, choice in _ON_GPU.items() if memory >= least * _GIB]
    base = fitting[0] if fitting else _ON_CPU
    device = torch.cuda.get_device_name(0) if fitting else "this machine's CPU"
    short = int(np.median([min(size) for size in sizes]))
    crop = max(min(base.crop, short) // 32 * 32, 32)
    batch = min(base.batch_size, num_train)
    epochs = max(base.steps // math.ceil(num_train / batch), 1)
    # Where photographs are hardly larger than a crop, shrinking them teaches nothing.
    native_prob = 0.5 if short > 2 * crop else 0.75
    return Plan(base, batch, crop, epochs, device, native_prob)


def config_text(
    plan: Plan, data_root: Path, split_file: str, num_classes: int, weights: Sequence[float]
) -> str:
    """Writes a plan as a config file.

    Args:
        plan: See :func:`plan_training`.
        data_root: Folder of the data set.
        split_file: Its split manifest, below the folder.
        num_classes: Classes of the data set.
        weights: One for each class, for the losses.
    """
    base = str(config_folder() / f"{plan.base.config}.py")
    workers = min(_WORKERS, os.cpu_count() or 1)
    fields = ", ".join(f"{key}={value!r}" for key, value in plan.base.backbone.items())
    backbone = f"\n    backbone=dict({fields})," if fields else ""
    interval = max(plan.epochs // _VALIDATIONS, 1)
    numbers = pprint.pformat([round(float(weight), 4) for weight in weights], width=80, indent=1)
    numbers = numbers.replace("\n", "\n    ")
    return f"""\
# Made by `mmseg-heritage init`; yours to change (docs/how-to/write-config.md).
_base_ = [{base!r}]

__data = dict(data_root={str(data_root)!r}, ann_file={split_file!r})
# Counted on the training photographs: rare classes weigh more.
__weights = {numbers}
_base_.train_dataloader.dataset.pipeline[2].update(  # RareClassCrop
    size={plan.crop}, rare_class_prob=0.5, native_prob={plan.native_prob})
train_dataloader = dict(batch_size={plan.batch_size}, num_workers={workers}, dataset=__data)
val_dataloader = test_dataloader = dict(num_workers={workers}, dataset=__data)
model = dict({backbone}
    decode_head=dict(
        num_classes={num_classes},
        loss_decode=[dict(type='ClassWeightedDiceLoss', class_weight=__weights),
                     dict(type='MaskedCrossEntropyLoss', class_weight=__weights)]))
optim_wrapper = dict(optimizer=dict(lr={plan.base.rate}))
train_cfg = dict(max_epochs={plan.epochs}, val_interval={interval})
default_hooks = dict(checkpoint=dict(interval={interval}))
"""
