"""Fitting a config to the machine and the data that it runs on: all that differs from the file.

What a run dumps equals what ``mmengine.Config.fromfile`` gives, except for the fields named here,
and for what the command line sets (``work_dir``, ``launcher``, ``resume``, ``load_from`` and the
options):

====================================  ==============================================================
``model``: SyncBN becomes BN          on several processes without GPUs, for which it has no kernel
                                      (of one process mmengine converts the built model)
``env_cfg.dist_cfg.backend``,         on processes without GPUs: gloo, and a wrapper that is told to
``model_wrapper_cfg``                 use the CPU
``*_dataloader.persistent_workers``   False with ``num_workers=0``, which torch refuses otherwise
``*_dataloader.pin_memory``           True where there is a GPU, which copies from there at once
``*_dataloader.num_workers``          fewer where shared memory or open files are too few for them
``train_dataloader.batch_size``       the share of ``global_batch_size``
``train_dataloader.drop_last``        True where the last batch of an epoch could hold one image,
                                      and the head normalizes over the images of a batch
``pretrained_license``                that of the weights of timm that a backbone begins with
``default_hooks``                     without those that are None, at which mmengine stops
====================================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg_heritage.errors import InputError

FITTED_FIELDS = (
    "model_wrapper_cfg",
    "env_cfg.dist_cfg.backend",
    "train_dataloader.batch_size",
    "train_dataloader.drop_last",
    *(
        f"{part}_dataloader.{field}"
        for part in ("train", "val", "test")
        for field in (
            "persistent_workers",
            "num_workers",
            "prefetch_factor",
            "timeout",
            "pin_memory",
        )
    ),
)
"""Fields that may differ, besides the ``type`` of norms and hooks that are None."""


def fit_loaders(cfg: Config) -> None:
    """Divides a batch of all processes, and leaves out workers and hooks that there are none of.

    ``batch_size`` counts the images of one process: n processes take n times as many in a step. Who
    wants the same steps on any number of devices sets ``global_batch_size`` instead.

    Args:
        cfg: The run's config, on the processes that it will run on; changed in place.

    Raises:
        InputError: If the batch does not divide by the number of processes.
    """
    for name in ("train", "val", "test"):
        loader = cfg.get(f"{name}_dataloader")
        if loader and not loader.get("num_workers"):
            loader.persistent_workers = False
        if loader and torch.cuda.is_available():
            loader.setdefault("pin_memory", True)
    for name, hook in list((cfg.get("default_hooks") or {}).items()):
        if hook is None and name not in _STOCK_HOOKS:
            del cfg.default_hooks[name]
    wanted = cfg.get("global_batch_size")
    if wanted is None:
        return
    processes = get_world_size()
    if not isinstance(wanted, int) or wanted < 1 or wanted % processes:
        raise InputError(
            f"global_batch_size={wanted} must be a multiple of the number of processes, which is "
            f"{processes}: set it to one, or set batch_size, the images of one process, instead"
        )
    cfg.train_dataloader.batch_size = wanted // processes


# mmengine adds these by itself, unless they are None.
_STOCK_HOOKS = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")


def images_per_step(cfg: Config) -> int | None:
    """Returns how many images all processes take in an iteration; None if a sampler decides it."""
    batch_size = cfg.train_dataloader.get("batch_size")
    return batch_size and batch_size * get_world_size()


def training_length(cfg: Config, num_samples: int) -> int | None:
    """Returns how many iterations a training by epochs has.

    Args:
        cfg: The run's config.
        num_samples: Number of training images.

    Returns:
        None for a training by iterations, and where a sampler or a wrapper of the data set decides
        how many images an epoch has.
    """
    loader, epochs = cfg.train_dataloader, cfg.train_cfg.get("max_epochs")
    batch, known = loader.get("batch_size"), ("DefaultSampler", "NumberedSampler")
    plain = loader.get("sampler", {}).get("type") in known and not _repeats(loader.dataset)
    if not (epochs and batch and plain):
        return None
    of_process = -(-num_samples // get_world_size())  # round_up of the samplers
    return epochs * (of_process // batch if loader.get("drop_last") else -(-of_process // batch))


def _repeats(dataset: Mapping[str, Any]) -> bool:
    """Whether a wrapper can change the number of images."""
    if dataset.get("type") == "SeededDataset":
        return _repeats(dataset["dataset"])
    return "dataset" in dataset or "datasets" in dataset


def fit_last_batch(cfg: Config, model: nn.Module, num_samples: int) -> None:
    """Sees to it that no training batch of one image meets a head that needs two.

    UPerNet's pyramid pooling and DeepLab's image pooling shrink a feature map to one pixel and
    normalize it over the batch, of which one image is no statistic: torch refuses it. On several
    devices SyncBN counts the images of all.

    Args:
        cfg: The run's config; ``train_dataloader.drop_last`` is set where the last batch of an
            epoch would hold one image.
        model: The segmentor.
        num_samples: Number of training images.

    Raises:
        InputError: If every batch would hold one image.
    """
    loader = cfg.train_dataloader
    if get_world_size() > 1 or not _pools_to_one_pixel(model):
        return
    if loader.batch_size == 1 or num_samples == 1:
        raise InputError(
            f"{type(model.decode_head).__name__} normalizes over the images of a batch and needs "
            f"two: found batch_size={loader.batch_size} and {num_samples} training images. Set "
            "batch_size=2 or more, or a normalization that needs no batch: model.decode_head."
            "norm_cfg.type=GN model.decode_head.norm_cfg.num_groups=32"
        )
    sampler = str(loader.get("sampler"))
    endless = "Infinite" in sampler or "DomainBatch" in sampler
    wrapped = _repeats(loader.dataset)
    if endless or loader.get("drop_last"):
        return
    if wrapped or num_samples % loader.batch_size == 1:
        loader.drop_last = True
        print_log(
            f"{num_samples} training images in batches of {loader.batch_size} can leave a last "
            "batch of one, which the decode head cannot be trained on: the images of an incomplete "
            "last batch are left out, other ones in each epoch",
            logger="current",
        )


def _pools_to_one_pixel(model: nn.Module) -> bool:
    """Whether a head normalizes over the batch what it has pooled to one pixel."""
    heads = [model.decode_head]
    if model.with_auxiliary_head:
        aux = model.auxiliary_head
        heads += list(aux) if isinstance(aux, nn.ModuleList) else [aux]
    return any(
        any(isinstance(m, _BatchNorm) for m in head.modules())
        and any(
            isinstance(m, nn.AdaptiveAvgPool2d) and m.output_size in (1, (1, 1))
            for m in head.modules()
        )
        for head in heads
    )
