"""Preparing a run for the launcher and the device it will find."""

from __future__ import annotations

import os
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")


def prepare_distributed(cfg: Config) -> None:
    """Lets a distributed run start on a machine without a GPU; on GPU machines nothing changes.

    mmengine sets a CUDA device and passes it to DistributedDataParallel whatever the backend. Here
    the process group is made before the Runner, which then leaves it alone, and the wrapper is told
    to use the CPU.

    Args:
        cfg: The run's config; changed in place.
    """
    if cfg.launcher == "none" or torch.cuda.is_available():
        return
    cfg.merge_from_dict({"env_cfg.dist_cfg.backend": "gloo"})
    cfg.model_wrapper_cfg = {
        "type": "MMDistributedDataParallel",
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
        "device_ids": None,
    }
    cfg.model = without_sync_bn(cfg.model)
    if cfg.launcher == "pytorch":
        torch.distributed.init_process_group("gloo")
    else:
        init_dist(cfg.launcher, **cfg.env_cfg.dist_cfg)


def without_sync_bn(node: Any) -> Any:
    """Returns a config with every SyncBN replaced by BN, which also runs on CPU."""
    if isinstance(node, dict):
        changed = {key: without_sync_bn(value) for key, value in node.items()}
        if changed.get("type") == "SyncBN":
            changed["type"] = "BN"
        return type(node)(changed)
    if isinstance(node, (list, tuple)):
        return type(node)(without_sync_bn(value) for value in node)
    return node


def is_main_process() -> bool:
    """Whether this process reports and writes, told from the environment before torch is set up."""
    rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"
    return rank == "0"
