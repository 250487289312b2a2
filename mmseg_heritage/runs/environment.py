"""What a training run was made with and on, so that its weights can be traced."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size

from mmseg_heritage.dataprep.splits.split import Split
from mmseg_heritage.runs.provenance import device_stamp, git_commit, versions

SCHEMA = "mmseg_heritage/environment/1"
_OF_A_START = ("config_file", "git", "versions", "hardware", "processes")


def environment(
    cfg: Config,
    config: str | Path,
    split: Split | None,
    training: dict[str, Any],
    before: dict[str, Any],
) -> dict[str, Any]:
    """Returns what ``<work_dir>/environment.json`` holds.

    Args:
        cfg: The run's config.
        config: Config file, as it was named.
        split: What is trained on; None for a data set that has none.
        training: From :func:`mmseg_heritage.runs.resume.training_config`; a run that is resumed is
            compared with it.
        before: What the file holds where a run is resumed, else nothing. Where the run goes on with
            another commit, version or machine, what it had before is kept under 'earlier'.
    """
    randomness = cfg.get("randomness", {})
    now = {
        "schema": SCHEMA,
        "config_file": str(config),
        "seed": randomness.get("seed"),
        "deterministic": bool(randomness.get("deterministic")),
        "split": split and {"name": split.name, "sha256": split.digest()},
        "git": git_commit(),
        "versions": {**versions(), "cuda": torch.version.cuda},
        "hardware": _hardware(),
        "processes": get_world_size(),
        "config": training,
    }
    earlier = before.get("earlier", [])
    if before and any(before.get(name) != now[name] for name in _OF_A_START):
        earlier = [*earlier, {name: before.get(name) for name in _OF_A_START}]
    return {**now, "earlier": earlier}


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
