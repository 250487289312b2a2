"""What a training run was made with and on, so that its weights can be traced."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size

from mmseg_heritage.apis.stamp import device_stamp, git_commit, versions
from mmseg_heritage.data.splits import Split

SCHEMA = "mmseg_heritage/environment/1"


def environment(
    cfg: Config, config: str | Path, split: Split, training: dict[str, Any]
) -> dict[str, Any]:
    """Returns what ``<work_dir>/environment.json`` holds.

    Args:
        cfg: The run's config.
        config: Config file, as it was named.
        split: What is trained on.
        training: From :func:`mmseg_heritage.apis.resume.training_config`; a run that is resumed is
            compared with it.
    """
    randomness = cfg.get("randomness", {})
    return {
        "schema": SCHEMA,
        "config_file": str(config),
        "seed": randomness.get("seed"),
        "deterministic": bool(randomness.get("deterministic")),
        "split": {"name": split.name, "sha256": split.digest()},
        "git": git_commit(),
        "versions": {**versions(), "cuda": torch.version.cuda},
        "hardware": _hardware(),
        "processes": get_world_size(),
        "config": training,
    }


def _hardware() -> dict[str, Any]:
    """Describes the machine of the main process."""
    cuda = torch.cuda.is_available()
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "device": device_stamp(torch.device("cuda" if cuda else "cpu")),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }
