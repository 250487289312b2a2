"""What the official OpenMMLab releases need to run on current torch.

docs/reference/compat.md lists it.

Nothing is changed where full mmcv (compiled ops) or the maintained forks are installed.

Ends: when the official releases are no longer supported, or when an ``mmcv-lite`` ships whose
``mmcv.ops`` can be imported without the compiled extension.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

_OPS_MODULE = "mmcv._ext"


def turns_channels(preprocessor: Any) -> bool:
    """Whether a ``SegDataPreProcessor`` swaps red and blue; the forks name that otherwise."""
    names = ("channel_conversion", "_channel_conversion")
    return any(getattr(preprocessor, name, False) for name in names)


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

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing_op(name)


class _OpsStubLoader(Loader):
    """Loads the stub."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Returns an empty stub."""
        return _OpsStub(spec.name, "Stand-in for mmcv's compiled ops, made by mmseg_heritage.")

    def exec_module(self, module: ModuleType) -> None:
        """Takes itself out of the stub's spec.

        mmengine asks pkgutil for this module's loader to learn whether there are compiled ops: no
        loader is the truth, and no spec is an error.
        """
        module.__spec__ = ModuleSpec(module.__name__, None)


class OpsStubFinder(MetaPathFinder):
    """Lets ``mmcv.ops``, which ``mmseg.models`` imports, load with mmcv-lite.

    Stands at the end of ``sys.meta_path``, so that it is asked only for what nothing else finds.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns a spec for ``mmcv._ext`` while ``mmcv.ops`` of mmcv-lite is being imported.

        Whoever only asks whether there are compiled ops, before or after, is told that there are
        none.
        """
        if fullname != _OPS_MODULE or "mmcv.ops" not in sys.modules or not _is_mmcv_lite():
            return None
        return ModuleSpec(fullname, _OpsStubLoader())


def _is_mmcv_lite() -> bool:
    """Whether the installed mmcv is the official one without compiled ops."""
    from importlib import metadata  # slow to import, and seldom needed

    try:
        metadata.version("mmcv-lite")
    except metadata.PackageNotFoundError:
        return False
    return True


def install_ops_stub() -> None:
    """Appends the finder to ``sys.meta_path``, once."""
    if not any(isinstance(finder, OpsStubFinder) for finder in sys.meta_path):
        sys.meta_path.append(OpsStubFinder())


def fix_checkpoint_loading() -> None:
    """Lets mmengine 0.10 read its own checkpoints again on torch 2.6 and later.

    mmengine calls ``torch.load`` without ``weights_only``, whose default is True since torch 2.6;
    that refuses the log history in every checkpoint that mmengine writes. Local files that torch
    refuses are read by :func:`mmseg_heritage.utils.checkpoints.checkpoint.load_checkpoint_file`;
    everything else stays as it was. The forks have a fallback of their own and are left alone.
    """
    import functools
    import pickle

    import mmengine.runner.checkpoint as mmengine_checkpoint

    from mmseg_heritage.errors import InputError
    from mmseg_heritage.utils.checkpoints.checkpoint import load_checkpoint_file

    loader = mmengine_checkpoint.CheckpointLoader
    stock = loader._schemes[""]
    if stock is not mmengine_checkpoint.load_from_local:  # fixed, or another package's
        return
    if hasattr(mmengine_checkpoint, "_safe_torch_load"):  # the forks
        return

    @functools.wraps(stock)
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        try:
            return stock(filename, map_location)
        except pickle.UnpicklingError as refusal:
            try:
                return load_checkpoint_file(filename, map_location)
            except InputError as error:
                raise refusal from error

    loader.register_scheme(prefixes="", loader=load_from_local, force=True)
