"""Loading checkpoints without running code from them.

A checkpoint is a pickle, and a pickle names the functions that rebuild its content. Stock loading
calls whatever is named. Here only what torch and mmengine store is allowed ("Restricting Globals" in
Python's documentation of pickle); anything else is refused with its name.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_heritage.errors import InputError

_TRUST_VARIABLE = "MMSEG_HERITAGE_TRUST_CHECKPOINTS"
"""Environment variable, so that a choice made on the command line reaches worker processes too."""

_TENSOR_PARTS = {
    "torch._utils": {
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
    },
    "torch": {"Size", "device"},
    "torch.serialization": {"_get_layout"},
    "torch.storage": {"UntypedStorage"},
    "collections": {"OrderedDict", "defaultdict"},
    "builtins": {"set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bool"},
    "_codecs": {"encode"},  # numpy's bytes in old pickle protocols
}
_NUMPY_PARTS = {"dtype", "ndarray", "scalar", "_reconstruct"}
_HISTORY_STATISTICS = {"min", "max", "mean", "current"}


def _history_statistic(owner: Any, name: str) -> Any:
    """Stands in for ``getattr``, which mmengine's log history needs for four of its own methods."""
    if owner is HistoryBuffer and name in _HISTORY_STATISTICS:
        return getattr(owner, name)
    raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r})")


class _RestrictedUnpickler(pickle.Unpickler):
    """Finds only classes and functions that rebuild tensors, arrays and mmengine's log history."""

    def find_class(self, module: str, name: str) -> Any:
        # torch writes pickle protocol 2, which spells this module as Python 2 did.
        module = "builtins" if module == "__builtin__" else module
        if (module, name) == ("builtins", "getattr"):
            return _history_statistic
        if (module, name) == ("mmengine.logging.history_buffer", "HistoryBuffer"):
            return HistoryBuffer
        numpy_part = module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        torch_type = module == "torch" and (
            name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)
        )
        if (
            name in _TENSOR_PARTS.get(module, ())
            or (numpy_part and name in _NUMPY_PARTS)
            or torch_type
        ):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


class _RestrictedPickle:
    """The part of the ``pickle`` module's interface that torch.load uses."""

    Unpickler = _RestrictedUnpickler
    __name__ = __name__

    @staticmethod
    def load(file: Any, **kwargs: Any) -> Any:
        return _RestrictedUnpickler(file, **kwargs).load()


def load_checkpoint_file(
    path: str, map_location: str | torch.device | Callable[..., Any] | None = "cpu"
) -> Any:
    """Loads a checkpoint from a local file.

    Args:
        path: File made by ``torch.save``.
        map_location: As in :func:`torch.load`.

    Returns:
        What was saved, usually a dict with 'state_dict' and 'meta'. A 'config' in 'meta', which
        mmengine would execute as Python when it resumes, is left out.

    Raises:
        InputError: If the file is missing, damaged, or names code that no checkpoint needs.
    """
    path = os.path.expanduser(path)  # noqa: PTH111  mmengine hands over plain strings
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"{path}: no such checkpoint")
    if os.environ.get(_TRUST_VARIABLE) == "1":
        return torch.load(path, map_location=map_location, weights_only=False)
    try:
        checkpoint = torch.load(
            path, map_location=map_location, weights_only=False, pickle_module=_RestrictedPickle
        )
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: refused, because this checkpoint asks to run '{error}', which no weights need. "
            "If you made the file yourself or trust who did, add --trust-checkpoint"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a whole checkpoint file ({reason}); copy it again"
        ) from error
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict):
        checkpoint["meta"].pop("config", None)
    return checkpoint


def load_from_local_safely(filename: str, map_location: Any = None) -> Any:
    """Replaces mmengine's loader for local files; the name is what mmengine's log line shows."""
    return load_checkpoint_file(filename, map_location)


def register_safe_loader() -> None:
    """Makes every load of a local file in mmengine go through :func:`load_checkpoint_file`."""
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_local_safely, force=True)


@contextlib.contextmanager
def trusting_checkpoints(trust: bool) -> Iterator[None]:
    """Lets checkpoints run code inside the block, if ``trust`` is true."""
    before = os.environ.get(_TRUST_VARIABLE)
    if trust:
        os.environ[_TRUST_VARIABLE] = "1"
    try:
        yield
    finally:
        if trust:
            if before is None:
                del os.environ[_TRUST_VARIABLE]
            else:
                os.environ[_TRUST_VARIABLE] = before


def check_fits(model: torch.nn.Module, path: str) -> None:
    """Verifies that a checkpoint holds exactly the weights of a model.

    Stock loading only logs what does not fit and goes on with random weights.

    Args:
        model: The built model.
        path: Checkpoint file.

    Raises:
        InputError: With every weight that is missing, unexpected or of another shape.
    """
    checkpoint = load_checkpoint_file(path)
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"{path}: expected a checkpoint with a 'state_dict' of tensors")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    expected = model.state_dict()
    problems = [f"missing: {key}" for key in expected if key not in state]
    problems += [f"unexpected: {key}" for key in state if key not in expected]
    problems += [
        f"{key}: the model has {tuple(expected[key].shape)}, the file {tuple(state[key].shape)}"
        for key in expected
        if key in state and expected[key].shape != state[key].shape
    ]
    if problems:
        raise InputError(
            f"{path}: this checkpoint is of another model than the config describes; "
            "give the config it was trained with",
            problems,
        )
