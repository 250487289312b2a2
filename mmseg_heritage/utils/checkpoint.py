"""Loading checkpoints without running code from them.

A checkpoint is a pickle, and a pickle names the functions that rebuild its content. Stock loading
calls whatever is named. Here only what torch and mmengine store is allowed ("Restricting Globals"
in Python's documentation of pickle); anything else is refused with its name.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import tarfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import mmengine.runner.checkpoint as mmengine_checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import replacing

_TRUST_VARIABLE = "MMSEG_HERITAGE_TRUST_CHECKPOINTS"
"""Environment variable, so that a choice made on the command line reaches worker processes too."""

_HISTORY_STATISTICS = ("min", "max", "mean", "current")
# Methods that mmengine's log history and schedulers hold; a pickle fetches them with getattr.
_METHODS = {(HistoryBuffer, name) for name in _HISTORY_STATISTICS} | {
    (OneCycleParamScheduler, name) for name in ("_annealing_cos", "_annealing_linear")
}
_PLAIN_KINDS = "biufcSU"  # numpy dtypes whose elements are bytes, not references to objects


class DamagedCheckpoint(InputError):
    """A checkpoint is cut short or otherwise no whole file."""


class _Refused(pickle.UnpicklingError):
    """The pickle asks for something that no weights need."""


class _Named:
    """Stands in for a class that a checkpoint may name but not call."""

    def __init__(self, owner: type) -> None:
        self.owner = owner

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise _Refused(f"{self!r}()")

    def __repr__(self) -> str:
        return f"{self.owner.__module__}.{self.owner.__qualname__}"


def _getattr(owner: Any, name: str) -> Any:
    """Stands in for ``getattr``, which would reach anything."""
    owner = owner.owner if isinstance(owner, _Named) else owner
    for known, method in _METHODS:
        if owner is known and name == method:
            return getattr(owner, name)
    raise _Refused(f"getattr({owner!r}, {name!r})")


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for ``_codecs.encode``, with which old pickle protocols spell bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"_codecs.encode with {encoding!r}")
    return text.encode("latin-1")


def _dtype(name: str, *_: Any) -> np.dtype:
    """Stands in for ``numpy.dtype``: plain types only, and never numpy's shared instance."""
    dtype = np.dtype(name, False, True)
    if not isinstance(name, str) or dtype.kind not in _PLAIN_KINDS:
        raise _Refused(f"numpy.dtype({name!r})")
    return dtype


def _empty_array(array_type: Any, *_: Any) -> np.ndarray:
    """Stands in for numpy's ``_reconstruct``; the content follows as the array's state."""
    if not isinstance(array_type, _Named) or array_type.owner is not np.ndarray:
        raise _Refused(f"numpy._reconstruct({array_type!r})")
    return np.empty(0, dtype=np.int8)


def _scalar(dtype: Any, data: bytes) -> Any:
    """Stands in for numpy's ``scalar``."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in _PLAIN_KINDS:
        raise _Refused(f"numpy.scalar of {dtype!r}")
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _allowed() -> dict[tuple[str, str], Any]:
    """Maps (module, name) to what a checkpoint gets for it."""
    table: dict[tuple[str, str], Any] = {
        ("torch", name): value
        for name, value in vars(torch).items()
        if isinstance(value, torch.dtype)
        or (name.endswith("Storage") and isinstance(value, type))
        or name in ("Size", "device")
    }
    table["torch.storage", "UntypedStorage"] = torch.UntypedStorage
    for name in (
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
    ):
        if hasattr(torch._utils, name):  # v3 is younger than torch 2.1
            table["torch._utils", name] = getattr(torch._utils, name)
    # Protocol 2, which torch writes, spells builtins as Python 2 did.
    for module in ("builtins", "__builtin__"):
        for value in (set, frozenset, list, dict, tuple, int, float, complex, bool, bytearray):
            table[module, value.__name__] = value
        table[module, "getattr"] = _getattr
    for container in (OrderedDict, defaultdict, Counter):
        table["collections", container.__name__] = container
    table["_codecs", "encode"] = _encode
    table["numpy", "dtype"] = _dtype
    table["numpy", "ndarray"] = _Named(np.ndarray)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # numpy 1 and 2
        table[module, "_reconstruct"] = _empty_array
        table[module, "scalar"] = _scalar
    table[HistoryBuffer.__module__, "HistoryBuffer"] = HistoryBuffer
    table[OneCycleParamScheduler.__module__, "OneCycleParamScheduler"] = _Named(
        OneCycleParamScheduler
    )
    for owner, method in _METHODS:  # protocol 4 and later use the dotted name
        table[owner.__module__, f"{owner.__name__}.{method}"] = getattr(owner, method)
    return table


_ALLOWED = _allowed()


class _RestrictedUnpickler(pickle._Unpickler):
    """Rebuilds tensors, arrays, containers and mmengine's log history, and nothing else.

    Python's own implementation, not the C one: in that, the instruction that sets the state of an
    object cannot be restricted, and would also set attributes of classes and functions.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def load_build(self) -> None:
        """Sets the state of the object on top of the stack."""
        stack: list[Any] = vars(self)["stack"]
        state = stack.pop()
        owner = stack[-1]
        if type(owner) is OrderedDict and isinstance(state, dict):
            owner.__dict__.update(state)  # a state dict's _metadata
        elif type(owner) is HistoryBuffer and isinstance(state, dict):
            # __setstate__ would put these into a table that all buffers share.
            state["statistics_methods"] = {
                name: getattr(HistoryBuffer, name) for name in _HISTORY_STATISTICS
            }
            owner.__setstate__(state)
        elif _is_plain_numpy_state(owner, state):
            owner.__setstate__(state)
        else:
            raise _Refused(f"set the state of {owner!r}")

    dispatch[pickle.BUILD[0]] = load_build


def _is_plain_numpy_state(owner: Any, state: Any) -> bool:
    """Whether this is an array or dtype with a state that holds no references to objects."""
    if type(owner) is np.ndarray:
        return _is_plain_array_state(state)
    return isinstance(owner, np.dtype) and _is_plain_dtype_state(owner, state)


def _is_plain_array_state(state: Any) -> bool:
    """Whether this is (version, shape, dtype, is_fortran, bytes) of an array without references."""
    return (
        isinstance(state, tuple)
        and len(state) == 5
        and isinstance(state[2], np.dtype)
        and state[2].kind in _PLAIN_KINDS
        and isinstance(state[4], bytes)
    )


def _is_plain_dtype_state(dtype: np.dtype, state: Any) -> bool:
    """Whether this changes nothing but the byte order of a dtype."""
    return (
        isinstance(state, tuple)
        and len(state) == 8
        and state[1] in ("<", ">", "|", "=")
        and state[2:5] == (None, None, None)
        and state[5] in (-1, dtype.itemsize)
        and state[6] in (-1, dtype.alignment)
        and state[7] in (0, dtype.flags)
    )


class _RestrictedPickle:
    """The part of the ``pickle`` module's interface that torch.load uses."""

    Unpickler = _RestrictedUnpickler
    __name__ = __name__

    @staticmethod
    def load(file: Any, **kwargs: Any) -> Any:
        return _RestrictedUnpickler(file, **kwargs).load()


def missing_checkpoint(path: str | Path) -> InputError:
    """Returns the error for a checkpoint that is no file, naming those that lie there."""
    file = Path(path).expanduser()
    folder = file if file.is_dir() else file.parent
    names = ", ".join(sorted(other.name for other in folder.glob("*.pth"))[:10])
    what = "a folder; expected a checkpoint file" if file.is_dir() else "no such checkpoint"
    return InputError(f"{path}: {what}" + (f". In {folder}: {names}" if names else ""))


def load_checkpoint_file(
    path: str | Path, map_location: str | torch.device | Callable[..., Any] | None = "cpu"
) -> Any:
    """Loads a checkpoint from a local file.

    Args:
        path: File made by ``torch.save``.
        map_location: As in :func:`torch.load`; None means the CPU.

    Returns:
        What was saved, usually a dict with 'state_dict' and 'meta'. A 'config' in 'meta', which
        mmengine would execute as Python when it resumes, is left out.

    Raises:
        DamagedCheckpoint: If the file is not whole.
        InputError: If the file is missing, or names code that no checkpoint needs.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise missing_checkpoint(path)
    device = "cpu" if map_location is None else map_location
    if os.environ.get(_TRUST_VARIABLE) == "1":
        return torch.load(file, map_location=device, weights_only=False)
    try:
        _refuse_archives(file)
        checkpoint = torch.load(
            file, map_location=device, weights_only=False, pickle_module=_RestrictedPickle
        )
    except _Refused as error:
        raise InputError(
            f"{path}: refused, because this checkpoint asks to run '{error}', which no weights "
            "need. If you made the file yourself or trust who did, add --trust-checkpoint"
        ) from error
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # damaged bytes read as instructions can fail in any way
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise DamagedCheckpoint(
            f"{path}: not a whole checkpoint file ({reason}); copy it again"
        ) from error
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("meta"), dict):
        checkpoint["meta"].pop("config", None)
    return checkpoint


def _refuse_archives(file: Path) -> None:
    """Refuses the two formats in which torch.load would not use the restricted unpickler alone."""
    with file.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
    if is_zip:
        # torch.load hands TorchScript to torch.jit.load, which runs its __setstate__ methods.
        if "constants.pkl" in _record_names(file):
            raise _Refused("TorchScript")
    elif tarfile.is_tarfile(file):
        raise _Refused("a tar archive of torch 0.1")


def _record_names(file: Path) -> list[str]:
    """Returns the names in a zip as torch's own reader sees them."""
    names: list[str] = torch._C.PyTorchFileReader(str(file)).get_all_records()
    return names


def load_from_local_safely(filename: str, map_location: Any = None) -> Any:
    """Replaces mmengine's loader for local files; the name is what mmengine's log line shows."""
    return load_checkpoint_file(filename, map_location)


def load_from_elsewhere_not(filename: str, map_location: Any = None) -> Any:
    """Replaces mmengine's loaders for its storage services."""
    raise InputError(f"{filename}: fetch this checkpoint first and give the path of the local file")


def _load_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    **_: Any,
) -> Any:
    """Replaces ``torch.hub.load_state_dict_from_url`` in mmengine: the same cache, safe loading."""
    folder = Path(model_dir) if model_dir else Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rsplit("/", 1)[-1].split("?", 1)[0]
    if not path.is_file():
        try:
            with replacing(path) as temporary:
                torch.hub.download_url_to_file(url, str(temporary), progress=progress)
        except OSError as error:  # includes urllib's errors
            raise InputError(f"{url}: cannot be downloaded ({error})") from error
    return load_checkpoint_file(path, map_location)


def register_safe_loader() -> None:
    """Makes every load of a checkpoint in mmengine go through :func:`load_checkpoint_file`."""
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_local_safely, force=True)
    services = ["pavi://", r"(\S+\:)?s3://", r"(\S+\:)?petrel://"]
    CheckpointLoader.register_scheme(prefixes=services, loader=load_from_elsewhere_not, force=True)
    # http, torchvision and openmmlab addresses all end in this one function.
    mmengine_checkpoint.load_url = _load_url


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


def weights_of(checkpoint: Any, path: str | Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of a checkpoint by name, without a wrapper's 'module.' before them.

    Raises:
        InputError: If there are none.
    """
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise InputError(f"{path}: expected a checkpoint with a 'state_dict' of tensors")
    return {key.removeprefix("module."): value for key, value in state.items()}


def check_fits(model: torch.nn.Module, path: str | Path) -> Any:
    """Verifies that a checkpoint holds exactly the weights of a model.

    Stock loading only logs what does not fit and goes on with random weights.

    Args:
        model: The built model.
        path: Checkpoint file.

    Returns:
        The loaded checkpoint.

    Raises:
        InputError: With every weight that is missing, unexpected or of another shape.
    """
    checkpoint = load_checkpoint_file(path)
    check_weights_fit(model, weights_of(checkpoint, path), path)
    return checkpoint


def check_weights_fit(
    model: torch.nn.Module, state: Mapping[str, torch.Tensor], path: str | Path
) -> None:
    """Verifies that weights are exactly those of a model, see :func:`check_fits`.

    Args:
        model: The built model.
        state: Name -> tensor.
        path: Where they were read from, for messages.

    Raises:
        InputError: With every weight that is missing, unexpected or of another shape.
    """
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
            "give the checkpoint alone, which holds its config",
            problems,
        )
