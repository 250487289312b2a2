"""What only an import can tell. Runs in a process of its own, because an import may crash or hang.

Each probe raises what is wrong, or returns what it saw.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # annotations alone need it, and Python 3.8, which is turned away, lacks it
    Result = dict[str, Any]

_LONGEST = 400  # characters of an error


def main(names: Sequence[str]) -> None:
    """Runs probes in turn and prints a line of JSON for each as soon as it ends.

    Args:
        names: Of :data:`PROBES`; any other name is a module to import.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print must not mix with the answers
    for name in names:
        answer: Result = {"name": name, "error": None}
        try:
            answer.update(PROBES[name]() if name in PROBES else _module(name))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # some packages end the process when imported
            answer["error"] = describe(error)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def describe(error: BaseException) -> str:
    """Returns an error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]


def _module(name: str) -> Result:
    module = import_module(name)
    version = getattr(module, "__version__", None)
    return {"version": None if version is None else str(version), "file": module.__file__}


def _torch() -> Result:
    import torch

    return {**_module("torch"), "cuda": torch.version.cuda}


def _torch_numpy() -> Result:
    """Exchanges an array; torch built for NumPy 1 imports beside NumPy 2, and fails here."""
    import numpy as np
    import torch

    torch.from_numpy(np.zeros(1)).numpy()
    return {}


def _torchvision() -> Result:
    """Calls a compiled operator, which a torchvision made for another torch does not have."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return _module("torchvision")


def _cuda() -> Result:
    """Computes on every card, which fails where torch has no kernels for it."""
    import torch

    devices, reason = [], None
    if torch.cuda.is_available():
        devices = [_device(index) for index in range(torch.cuda.device_count())]
    elif torch.version.cuda:
        try:
            torch.cuda.init()
        except Exception as error:
            reason = describe(error)
    return {"devices": devices, "arch_list": torch.cuda.get_arch_list(), "reason": reason}


def _device(index: int) -> Result:
    import torch

    device: Result = {"name": torch.cuda.get_device_name(index), "error": None}
    device["capability"] = list(torch.cuda.get_device_capability(index))
    try:
        device["memory_free"], device["memory_total"] = torch.cuda.mem_get_info(index)
        (torch.ones(8, device=f"cuda:{index}") * 2).sum().item()
    except RuntimeError as error:
        device["error"] = describe(error)
    return device


def _plugin() -> Result:
    import mmseg_heritage.plugin  # noqa: F401  registration

    from mmseg.registry import DATASETS, MODELS  # isort: skip  not before the shims of the plugin

    for registry, name in ((DATASETS, "ARTeFACTDataset"), (MODELS, "TimmBackboneAdapter")):
        if registry.get(name) is None:
            raise RuntimeError(f"{name} is not in mmseg's registry '{registry.name}'")
    return {}


def _amp() -> Result:
    """Asks what training with mixed precision will choose."""
    import torch

    from mmseg_heritage.utils.precision import automatic_dtype

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    return {"dtype": str(automatic_dtype(kind)).removeprefix("torch.")}


PROBES: dict[str, Callable[[], Result]] = {
    "torch": _torch,
    "torch_numpy": _torch_numpy,
    "torchvision": _torchvision,
    "cuda": _cuda,
    "plugin": _plugin,
    "amp": _amp,
}
