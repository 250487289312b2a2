"""What the official OpenMMLab releases need to run on current torch.

A no-op where full mmcv (compiled ops) or the maintained forks (guarded imports) are installed.

Ends: when the official releases are no longer supported, or when an ``mmcv-lite`` ships whose
``mmcv.ops`` can be imported without the compiled extension.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

_OPS_MODULE = "mmcv._ext"


def _missing_op(name: str) -> Callable[..., NoReturn]:
    """Returns a stand-in for a compiled op that says what to install when it is called."""

    def raise_missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"the compiled op '{name}' is not in mmcv-lite; models that need it run with full mmcv "
            "(the 'classic' stack: make env STACK=classic)"
        )

    return raise_missing


class _OpsStub(ModuleType):
    """Answers for the absent ``mmcv._ext``: any op can be looked up, none can be called."""

    def __init__(self) -> None:
        super().__init__(_OPS_MODULE, "Stand-in for mmcv's compiled ops, made by mmseg_heritage.")
        # mmengine asks pkgutil for this module's loader, which raises if the spec is missing; a
        # spec without a loader makes it answer "no compiled ops", which is the truth.
        self.__spec__ = ModuleSpec(_OPS_MODULE, None)

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing_op(name)


def _is_installed(distribution: str) -> bool:
    """Whether a distribution of this name is installed."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def stub_missing_mmcv_ops() -> bool:
    """Lets ``mmcv.ops``, which ``mmseg.models`` imports, load without the compiled extension.

    Returns:
        Whether the stub was needed and installed.
    """
    if _is_installed("onedl-mmcv"):
        # mmseg of the forks does without the ops by itself; its warning would begin every run.
        warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformableAttention")
        return False
    try:
        importlib.import_module("mmcv.ops")
    except ModuleNotFoundError as error:
        if error.name != _OPS_MODULE:
            raise
        sys.modules[_OPS_MODULE] = _OpsStub()
        importlib.import_module("mmcv.ops")
        return True
    return False
