"""What a checkpoint gets for the names of functions and classes that it holds.

Stand-ins: each checks every argument before it builds a tensor, an array or a container, so that
nothing of the file reaches native code unchecked ("Restricting Globals" in Python's documentation
of ``pickle``). A name that is not in :data:`NAMES` is refused.
"""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

_MAX_INDEX = 1 << 62  # sizes, strides and offsets below this do not overflow in torch
_MAX_DIMS = 64
_MAX_KEY = 100  # parts of a tuple that is a key
_MAX_KEY_BITS = 60
_PLAIN_DTYPE = re.compile(r"[biufc]\d{1,2}|[SU]\d{1,5}")
"""Names of numpy dtypes whose elements are bytes, not references to objects."""


class Refused(Exception):
    """The file asks for something that no weights need. The message names it."""


class Malformed(ValueError):
    """The file contradicts itself, or asks for more than it holds."""


@dataclass(frozen=True)
class StorageType:
    """Stands in for a class of storage, such as ``torch.FloatStorage``."""

    dtype: torch.dtype


@dataclass
class Storage:
    """Memory that tensors share, and the dtype it was saved as."""

    untyped: torch.UntypedStorage
    dtype: torch.dtype


@dataclass(frozen=True)
class Named:
    """Stands in for a class that a checkpoint may name but not call."""

    name: str


@dataclass(frozen=True)
class Builder:
    """Stands in for something a checkpoint may call: ``build(unpickler, *arguments)``."""

    name: str
    build: Callable[..., Any]


class Reading(Protocol):
    """What a stand-in knows of the file that is read."""

    size: int
    """Bytes of the whole file."""

    def copying(self, size: int) -> None:
        """Accounts for memory, as :class:`.safe_unpickler.SafeUnpickler` does."""


def shown(value: Any) -> str:
    """Names a stand-in, or the type of a value."""
    return value.name if isinstance(value, (Builder, Named)) else type(value).__name__


def as_index(value: Any) -> int:
    """Returns a size, stride, offset or count, if it is one."""
    if type(value) is not int or not 0 <= value < _MAX_INDEX:
        raise Malformed("a size, stride or offset that is no number from 0 on")
    return value


def check_keys(values: Iterable[Any]) -> None:
    """Verifies that keys of a dict, or elements of a set, have hashes that take no time.

    The hash of a tuple walks all that is in it, and tuples that hold one another twice are walked
    2^n times; integers apart by a multiple of 2^61 - 1 have one hash, and a dict of them is slow.
    """
    for value in values:
        if type(value) is str:
            continue
        left, seen = [value], 0
        while left:
            part = left.pop()
            seen += 1
            if isinstance(part, (tuple, frozenset)):
                if len(part) + seen > _MAX_KEY:
                    raise Malformed(f"a key of more than {_MAX_KEY} parts")
                left += part
            elif type(part) is int and part.bit_length() > _MAX_KEY_BITS:
                raise Malformed(f"a key that is an integer of {part.bit_length()} bits")
            if seen > _MAX_KEY:
                raise Malformed(f"a key of more than {_MAX_KEY} parts")


def _indices(values: Any) -> tuple[int, ...]:
    """Returns a shape or strides, if they are."""
    if type(values) not in (tuple, list, torch.Size) or len(values) > _MAX_DIMS:
        raise Malformed("a shape that is no tuple of numbers")
    return tuple(map(as_index, values))


def _tensor_v3(
    u: Reading, storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any,
    hooks: Any, dtype: Any, metadata: Any = None,
) -> torch.Tensor:  # fmt: skip
    """Stands in for ``torch._utils._rebuild_tensor_v3``; the hooks are not kept."""
    if not isinstance(storage, Storage) or type(requires_grad) is not bool:
        raise Malformed("a tensor without a storage")
    dtype = storage.dtype if dtype is None else dtype
    if not isinstance(dtype, torch.dtype) or dtype not in _DTYPES or metadata:
        raise Refused(f"a tensor of {dtype if isinstance(dtype, torch.dtype) else shown(dtype)}")
    offset, shape, strides = as_index(offset), _indices(shape), _indices(strides)
    elements = math.prod(shape)
    needed = offset
    if elements:
        needed += 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    # An expanded tensor has more elements than its storage, but never more than fit into the file.
    if needed * dtype.itemsize > storage.untyped.nbytes() or elements * dtype.itemsize > u.size:
        raise Malformed("a tensor that is larger than its storage")
    empty = torch.empty(0, dtype=dtype, device=storage.untyped.device)
    return empty.set_(storage.untyped, offset, shape, strides).requires_grad_(requires_grad)


def _tensor_v2(
    u: Reading, storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any = False,
    hooks: Any = None, metadata: Any = None,
) -> torch.Tensor:  # fmt: skip
    """Stands in for ``_rebuild_tensor`` and ``_rebuild_tensor_v2``: the storage's dtype."""
    return _tensor_v3(u, storage, offset, shape, strides, requires_grad, hooks, None, metadata)


def _size(u: Reading, shape: Any) -> torch.Size:
    return torch.Size(_indices(shape))


def _parameter(
    u: Reading, data: Any, requires_grad: Any, hooks: Any = None, state: Any = None
) -> torch.nn.Parameter:
    """Stands in for ``_rebuild_parameter`` with and without state; hooks and state are not kept."""
    if not isinstance(data, torch.Tensor) or type(requires_grad) is not bool:
        raise Malformed("a parameter without a tensor")
    return torch.nn.Parameter(data, requires_grad)


def _device(u: Reading, kind: str, *index: Any) -> torch.device:
    if type(kind) is not str or len(kind) > 20 or len(index) > 1:
        raise Malformed("a device without a name")
    return torch.device(kind, *map(as_index, index))


def _getattr(u: Reading, owner: Any, name: Any) -> Any:
    """Stands in for ``getattr``, which would reach anything."""
    if isinstance(owner, Named) and type(name) is str:
        module, _, class_name = owner.name.rpartition(".")
        if (found := NAMES.get((module, f"{class_name}.{name}"))) is not None:
            return found
    raise Refused(f"getattr({shown(owner)}, {name!r})")


def _encode(u: Reading, text: Any, encoding: Any) -> bytes:
    """Stands in for ``_codecs.encode``, with which old pickle protocols spell bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode with {encoding!r}")
    u.copying(len(text))
    return text.encode("latin-1")


def _bytearray(u: Reading, *arguments: Any) -> bytearray:
    """Stands in for ``bytearray``, which would make any number of zeros."""
    if not arguments:
        return bytearray()
    if len(arguments) == 1 and type(arguments[0]) is bytes:
        u.copying(len(arguments[0]))
        return bytearray(arguments[0])
    return bytearray(_encode(u, *arguments))


def _bytes(u: Reading) -> bytes:
    """Stands in for ``bytes()``, with which protocol 2 spells empty ones."""
    return b""


def _complex(u: Reading, real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise Malformed("a complex number of other parts than numbers")
    return complex(real, imaginary)


def _container(kind: Callable[..., Any], *known: type) -> Callable[..., Any]:
    """Returns a builder of a container, empty or from one of a known type."""

    def build(u: Reading, *arguments: Any) -> Any:
        if len(arguments) > 1 or any(type(argument) not in known for argument in arguments):
            raise Malformed(f"a {kind} of something else than items")
        for argument in arguments:
            u.copying(2 * len(argument))
            if kind is not OrderedDict:
                check_keys(argument)
            elif all(type(pair) in (list, tuple) and len(pair) == 2 for pair in argument):
                check_keys(pair[0] for pair in argument)
            else:
                raise Malformed("an OrderedDict of something else than pairs")
        return kind(*arguments)

    return build


def _defaultdict(u: Reading, factory: Any = None) -> defaultdict[Any, Any]:
    factory = set if factory is _SET else factory
    if factory not in (None, list, dict, set, int, float):
        raise Refused(f"a defaultdict of {shown(factory)}")
    return defaultdict(factory)


def _dtype(u: Reading, name: Any, *_: Any) -> np.dtype:
    """Stands in for ``numpy.dtype``: plain types only, and never numpy's shared instance."""
    if type(name) is not str or not _PLAIN_DTYPE.fullmatch(name):
        raise Refused(f"numpy.dtype({name!r})")
    return np.dtype(name, False, True)


def _empty_array(u: Reading, array_type: Any, *_: Any) -> np.ndarray:
    """Stands in for numpy's ``_reconstruct``; the content follows as the array's state."""
    if array_type is not _NDARRAY:
        raise Refused(f"numpy._reconstruct of {shown(array_type)}")
    return np.empty(0, dtype=np.int8)


def _scalar(u: Reading, dtype: Any, data: Any) -> Any:
    """Stands in for numpy's ``scalar``."""
    if not isinstance(dtype, np.dtype) or type(data) is not bytes or len(data) != dtype.itemsize:
        raise Malformed("a numpy scalar without its bytes")
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def is_metadata(state: Any) -> bool:
    """Whether this is the ``_metadata`` of a state dict: versions by the names of modules."""
    if type(state) is not dict or list(state) != ["_metadata"]:
        return False
    metadata = state["_metadata"]
    return type(metadata) in (dict, OrderedDict) and all(
        type(name) is str and type(entry) is dict for name, entry in metadata.items()
    )


def is_history(state: Any) -> bool:
    """Whether this is what mmengine's HistoryBuffer keeps: two rows of numbers and their bound."""
    names = {"max_length", "_log_history", "_count_history"}
    if type(state) is not dict or set(state) - {"statistics_methods"} != names:
        return False
    rows = state["_log_history"], state["_count_history"]
    length = state["max_length"]
    return (
        type(length) is int
        and length > 0
        and all(type(row) is np.ndarray and row.dtype.kind in "biuf" for row in rows)
        and rows[0].ndim == rows[1].ndim == 1
        and len(rows[0]) == len(rows[1]) <= length
    )


def is_array_state(state: Any) -> bool:
    """Whether this is (version, shape, dtype, is_fortran, bytes) of an array without references."""
    return (
        type(state) is tuple
        and len(state) == 5
        and isinstance(state[2], np.dtype)
        and type(state[4]) is bytes
        and len(_indices(state[1])) <= 32  # numpy 1
        and math.prod(state[1]) * state[2].itemsize == len(state[4])
    )


def is_dtype_state(dtype: np.dtype, state: Any) -> bool:
    """Whether this changes nothing but the byte order of a dtype."""
    return (
        type(state) is tuple
        and len(state) == 8
        and state[0] in (3, 4)  # version
        and state[1] in ("<", ">", "|", "=")
        and state[2:5] == (None, None, None)
        and state[5] in (-1, dtype.itemsize)
        and state[6] in (-1, dtype.alignment)
        and state[7] in (0, dtype.flags)
    )


HISTORY_BUFFER = Named(f"{HistoryBuffer.__module__}.HistoryBuffer")
_ONE_CYCLE = Named(f"{OneCycleParamScheduler.__module__}.OneCycleParamScheduler")
_NDARRAY = Named("numpy.ndarray")
_SET = Builder("set", _container(set, list, tuple))
_STORAGES = {
    f"{name}Storage": StorageType(dtype)
    for name, dtype in {
        "Double": torch.float64, "Float": torch.float32, "Half": torch.float16,
        "BFloat16": torch.bfloat16, "Long": torch.int64, "Int": torch.int32, "Short": torch.int16,
        "Char": torch.int8, "Byte": torch.uint8, "Bool": torch.bool,
        "ComplexDouble": torch.complex128, "ComplexFloat": torch.complex64, "Untyped": torch.uint8,
    }.items()
}  # fmt: skip
_YOUNG_DTYPES = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
                 "float8_e5m2fnuz", "float8_e8m0fnu")  # fmt: skip
_DTYPES = {kind.dtype for kind in _STORAGES.values()} | {
    getattr(torch, name) for name in _YOUNG_DTYPES if hasattr(torch, name)
}
_BUILTINS = [_SET, Builder("frozenset", _container(frozenset, list, tuple)),
             Builder("bytearray", _bytearray), Builder("bytes", _bytes),
             Builder("complex", _complex), Builder("getattr", _getattr)]  # fmt: skip


def _names() -> dict[tuple[str, str], Any]:
    """Maps (module, name) to what a checkpoint gets for it."""
    table: dict[tuple[str, str], Any] = {("torch", name): kind for name, kind in _STORAGES.items()}
    table["torch.storage", "UntypedStorage"] = _STORAGES["UntypedStorage"]
    table |= {
        ("torch", name): value
        for name, value in vars(torch).items()
        if isinstance(value, torch.dtype)
    }
    # Protocol 2, which torch writes, spells builtins as Python 2 did.
    for module in ("builtins", "__builtin__"):
        table |= {(module, builder.name): builder for builder in _BUILTINS}
        table |= {(module, kind.__name__): kind for kind in (list, dict, int, float)}
    builders: dict[tuple[str, str], Callable[..., Any]] = {
        ("torch", "Size"): _size,
        ("torch", "device"): _device,
        ("torch._utils", "_rebuild_tensor"): _tensor_v2,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
        ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
        ("collections", "OrderedDict"): _container(OrderedDict, list),
        ("collections", "Counter"): _container(Counter, dict),
        ("collections", "defaultdict"): _defaultdict,
        ("_codecs", "encode"): _encode,
        ("numpy", "dtype"): _dtype,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # numpy 1 and 2
        builders[module, "_reconstruct"] = _empty_array
        builders[module, "scalar"] = _scalar
    table |= {key: Builder(".".join(key), build) for key, build in builders.items()}
    for named in (HISTORY_BUFFER, _ONE_CYCLE, _NDARRAY):
        module, _, name = named.name.rpartition(".")
        table[module, name] = named
    # Methods that mmengine's log history and schedulers hold. Protocol 4 spells them with a dot.
    methods = {
        HistoryBuffer: ("min", "max", "mean", "current"),
        OneCycleParamScheduler: ("_annealing_cos", "_annealing_linear"),
    }
    for owner, names in methods.items():
        for name in names:
            table[owner.__module__, f"{owner.__name__}.{name}"] = getattr(owner, name)
    return table


NAMES = _names()
