"""Batches that batch normalisation can work on."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg_heritage.errors import InputError


def divide_batch(cfg: Config) -> None:
    """Divides the batch of a config that says how many images all processes take together.

    ``batch_size`` counts the images of one process: n processes take n times as many in a step. Who
    wants the same steps on any number of devices sets ``global_batch_size`` instead.

    Args:
        cfg: The run's config; ``train_dataloader.batch_size`` is set where it has
            ``global_batch_size``.

    Raises:
        InputError: If the batch does not divide by the number of processes.
    """
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


def images_per_step(cfg: Config) -> int | None:
    """Returns how many images all processes take in an iteration; None if a sampler decides it."""
    batch_size = cfg.train_dataloader.get("batch_size")
    return batch_size and batch_size * get_world_size()


def fit_batches(cfg: Config, model: nn.Module, num_samples: int) -> None:
    """Sees to it that no training batch of one image meets a head that needs two.

    UPerNet's pyramid pooling and DeepLab's image pooling shrink a feature map to one pixel and
    normalise it over the batch, of which one image is no statistic: torch refuses it. On several
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
            f"{type(model.decode_head).__name__} normalises over the images of a batch and needs "
            f"two: found batch_size={loader.batch_size} and {num_samples} training images. Set "
            "batch_size=2 or more, or a normalisation that needs no batch: model.decode_head."
            "norm_cfg.type=GN model.decode_head.norm_cfg.num_groups=32"
        )
    endless = "Infinite" in str(loader.get("sampler"))
    dataset = loader.dataset
    if dataset.type == "SeededDataset":  # in the config that a run keeps of itself
        dataset = dataset.dataset
    wrapped = "dataset" in dataset  # by RepeatDataset and its like, which change the number
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
    """Whether a head normalises over the batch what it has pooled to one pixel."""
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
