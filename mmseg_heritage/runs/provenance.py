"""What a score was made from: written beside it, so that a number can be traced."""

from __future__ import annotations

import platform
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from torch.utils.flop_counter import FlopCounterMode

import mmseg_heritage
import mmseg_heritage.plugin
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.inference.window_inference import WindowInference
from mmseg_heritage.utils.files import sha256
from mmseg_heritage.version import __version__

FLOPS_SIDE = 512
"""Pixels, for all models alike."""

_STACK = ("mmengine", "mmcv", "mmseg", "timm", "torch", "numpy")


def run_stamp(
    cfg: Config, config: str | Path, dataset: BaseDataset, model: torch.nn.Module
) -> dict[str, Any]:
    """Returns the part 'run' of ``metrics.json``.

    Args:
        cfg: The config as it was run; ``load_from`` is the checkpoint.
        config: Config file, as it was named.
        dataset: What was tested on.
        model: What was tested.
    """
    own = isinstance(dataset, ARTeFACTDataset)
    split = dataset.read_split()[0] if own else None
    device = next(model.parameters()).device
    return {
        "config": str(config),
        "experiment": cfg.get("experiment_name") or Path(config).stem,
        "checkpoint": cfg.load_from,
        "checkpoint_sha256": sha256(cfg.load_from),
        "seed": cfg.get("randomness", {}).get("seed"),
        "split": split and {"name": split.name, "sha256": split.digest(), "part": dataset.split},
        "data_root": str(dataset.data_root),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "model": {"flops": flops(model), "flops_side": FLOPS_SIDE},
        "inference": inference_settings(model),
        "device": device_stamp(device),
        "processes": get_world_size(),
        "git": git_commit(),
        "versions": versions(),
    }


def inference_settings(model: torch.nn.Module) -> dict[str, Any] | None:
    """Returns how a model is applied to photographs; None where it is not in our windows."""
    windows = getattr(model.module if is_model_wrapper(model) else model, "window_inference", None)
    if not isinstance(windows, WindowInference):
        return None
    names = ("mode", "crop", "overlap", "scales", "tta")
    return {name: getattr(windows, name) for name in names}


def versions() -> dict[str, str]:
    """Returns the versions of this package, of Python and of the stack."""
    return {
        "mmseg_heritage": __version__,
        "python": platform.python_version(),
        **{name: str(import_module(name).__version__) for name in _STACK},
    }


def flops(model: torch.nn.Module) -> int | None:
    """Counts the floating point operations of a model for one square image of a fixed size.

    A multiplication with its addition counts as two. Matrix products, convolutions and attention
    are counted, as :class:`torch.utils.flop_counter.FlopCounterMode` knows them.

    Returns:
        None for a model that cannot be run on such an image.
    """
    model = model.module if is_model_wrapper(model) else model
    device = next(model.parameters()).device
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, FLOPS_SIDE, FLOPS_SIDE, device=device), mode="tensor")
    except Exception:  # a model of the user's own may fail in any way, and has been tested by now
        return None
    return int(counter.get_total_flops())


def git_commit() -> dict[str, Any] | None:
    """Returns the commit of this package's checkout, and whether files differ from it.

    Returns:
        'commit' and 'changed'; None where the package is no checkout, or git is missing.
    """
    folder = Path(mmseg_heritage.__file__).resolve().parent
    # An environment inside someone else's checkout is not a checkout of this package.
    if _git(folder, "ls-files", "--error-unmatch", "version.py") is None:
        return None
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", ".")
    return None if commit is None else {"commit": commit, "changed": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns what git prints, or None where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def device_stamp(device: torch.device) -> dict[str, Any]:
    """Names what a model ran on."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = platform.processor() or platform.machine()
    return {"type": device.type, "name": name, "threads": torch.get_num_threads()}
