"""An unpickler that runs no code from the file.

A pickle names functions and classes, and instructions that call them with arguments of its choice.
Here a name leads to a stand-in (:mod:`mmseg_heritage.utils.checkpoints.safe_builders`), and
instructions that checkpoints do not need do not exist.

Torch's own weights-only reader (``torch.load(weights_only=True)``) is not used, also where it is
installed. It reads mmengine's checkpoints only with names added to a list of the whole process. It
calls storages, tensors and ``bytearray`` with sizes from the file, so that 200 bytes may ask for
gigabytes. It knows one pickle protocol, and torch before 2.4 has no such list.
"""

from __future__ import annotations

import pickle
import pickletools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmseg_heritage.utils.checkpoints.safe_builders import (
    HISTORY_BUFFER,
    NAMES,
    Builder,
    Malformed,
    Named,
    Refused,
    Storage,
    StorageType,
    as_index,
    check_keys,
    is_array_state,
    is_dtype_state,
    is_history,
    is_metadata,
    shown,
)

MAX_INSTRUCTIONS = 10_000_000  # a checkpoint of the largest shipped model has about 40,000
MAX_VALUES = 300_000
MAX_DEPTH = 100
_MAX_INTEGER_BITS = 256
_HARMLESS = (
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.NONE, pickle.NEWTRUE,
    pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1,
    pickle.LONG4, pickle.BINFLOAT, pickle.BINSTRING, pickle.SHORT_BINSTRING,
    pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES,
    pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.EMPTY_LIST, pickle.EMPTY_DICT,
    pickle.EMPTY_SET, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2,
    pickle.TUPLE3, pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.BINPERSID,
    pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.MEMOIZE,
)  # fmt: skip
"""Instructions that read values and move them; the others are written again below or refused."""
_DICTS = (dict, OrderedDict, defaultdict, Counter)


class SafeUnpickler(pickle._Unpickler):
    """Rebuilds tensors, arrays, containers and mmengine's log history, and nothing else.

    Python's own implementation, not the C one, in which single instructions cannot be replaced.

    Args:
        file: Binary file whose ``read(n)`` refuses sizes that are out of proportion.
        storage: Called with (type, key, location, number of elements, the rest) for each storage
            that the pickle refers to.
        size: Bytes of the whole file. What is built is bounded by it.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        code[0]: pickle._Unpickler.dispatch[code[0]] for code in _HARMLESS
    }

    def __init__(
        self, file: Any, storage: Callable[[StorageType, str, str, int, tuple[Any, ...]], Storage],
        size: int,
    ) -> None:  # fmt: skip
        super().__init__(file, encoding="utf-8")
        self.dispatch = _Instructions(self.dispatch)  # type: ignore[misc]  # counts for this file
        self._storage = storage
        self.size = size
        self._copied = 0

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands in for a name of the file."""
        try:
            return NAMES[module, name]
        except KeyError:
            raise Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Storage:
        """Returns the storage that ("storage", type, key, location, elements, ...) stands for."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise Refused("an object stored outside of the pickle")
        kind, key, location, elements = pid[1:5]
        if not isinstance(kind, StorageType) or type(key) is not str or type(location) is not str:
            raise Malformed("a storage of no known kind")
        return self._storage(kind, key, location, as_index(elements), pid[5:])

    def copying(self, size: int) -> None:
        """Accounts for memory that one instruction takes, by references to data used before.

        Raises:
            Malformed: If all of them take more than a file of this length can need.
        """
        self._copied += size
        if self._copied > 2 * self.size + (1 << 20):
            raise Malformed("asks for more memory than the file's length explains")

    def load_reduce(self) -> None:
        """Calls what is under the arguments."""
        stack: list[Any] = vars(self)["stack"]
        arguments, builder = stack.pop(), stack[-1]
        if not isinstance(builder, Builder) or type(arguments) is not tuple:
            raise Refused(f"a call of {shown(builder)}")
        try:
            stack[-1] = builder.build(self, *arguments)
        except TypeError as error:
            raise Malformed(f"{builder.name} with other arguments than torch writes") from error

    def load_newobj(self) -> None:
        """Makes an object by its class's ``__new__``; only mmengine's log history is one."""
        stack: list[Any] = vars(self)["stack"]
        arguments, owner = stack.pop(), stack.pop()
        if owner is not HISTORY_BUFFER or arguments != ():
            raise Refused(f"a new {shown(owner)}")
        stack.append(HistoryBuffer())

    def load_build(self) -> None:
        """Sets the state of the object on top of the stack."""
        stack: list[Any] = vars(self)["stack"]
        state, owner = stack.pop(), stack[-1]
        if type(owner) is OrderedDict and is_metadata(state):
            owner.__dict__.update(state)
        elif type(owner) is HistoryBuffer and is_history(state):
            history, counts = state["_log_history"], state["_count_history"]
            self.copying(history.nbytes + counts.nbytes)
            # Not __setstate__, which puts what the file says into a table that all buffers share.
            HistoryBuffer.__init__(owner, history, counts, state["max_length"])
        elif type(owner) is np.ndarray and is_array_state(state):
            self.copying(len(state[4]))
            owner.__setstate__(state)
        elif isinstance(owner, np.dtype) and is_dtype_state(owner, state):
            owner.__setstate__(state)  # type: ignore[attr-defined]
        else:
            raise Refused(f"the state of {shown(owner)}")

    def load_appends(self) -> None:
        """Extends the list under the mark."""
        items = self._items()
        self._top(list).extend(items)

    def load_append(self) -> None:
        """Appends to the list under the value."""
        value = vars(self)["stack"].pop()
        self._top(list).append(value)

    def load_setitems(self) -> None:
        """Fills the dict under the mark."""
        items = self._items()
        target = self._top(*_DICTS)
        check_keys(items[::2])
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key] = value

    def load_setitem(self) -> None:
        """Sets one key of the dict under key and value."""
        stack: list[Any] = vars(self)["stack"]
        value, key = stack.pop(), stack.pop()
        check_keys([key])
        self._top(*_DICTS)[key] = value

    def load_additems(self) -> None:
        """Fills the set under the mark."""
        items = self._items()
        check_keys(items)
        self._top(set).update(items)

    def load_frozenset(self) -> None:
        """Makes a frozenset of what is above the mark."""
        items = self._items()
        check_keys(items)
        vars(self)["stack"].append(frozenset(items))

    def _items(self) -> list[Any]:
        """Returns what lies above the mark, and takes it and the mark away."""
        items: list[Any] = self.pop_mark()  # type: ignore[attr-defined]  # is in Python's sources
        return items

    def _top(self, *kinds: type) -> Any:
        """Returns the top of the stack if it is of one of these types."""
        top = vars(self)["stack"][-1]
        if type(top) not in kinds:
            raise Refused(f"items of {shown(top)}")
        return top

    dispatch.update({
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
    })  # fmt: skip


class _Instructions(dict[int, Callable[..., None]]):
    """The instructions there are, counted as they are looked up."""

    left = MAX_INSTRUCTIONS

    def __getitem__(self, code: int) -> Callable[..., None]:
        self.left -= 1
        if self.left < 0:
            raise Malformed(f"more than {MAX_INSTRUCTIONS} instructions")
        found = self.get(code)
        if found is None:
            known = pickletools.code2op.get(chr(code))  # type: ignore[attr-defined]
            if known is None:
                raise Malformed(f"no pickle instruction: {code}")
            raise Refused(f"the pickle instruction {known.name}")
        return found


def check_values(content: Any) -> None:
    """Verifies that everything in a container is a value, of a size that others can work with.

    Whoever walks through the result later meets no cycle, no depth that ends in a RecursionError,
    no text that cannot be printed and no stand-in.

    Raises:
        Malformed: If not.
        Refused: If a class or function that only the reading knows is among the values.
    """
    left = [(content, 1)]
    seen = 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > MAX_VALUES or depth > MAX_DEPTH:
            raise Malformed(f"more than {MAX_VALUES} values, or more than {MAX_DEPTH} levels deep")
        kind = type(value)
        if kind in _DICTS:
            left += ((item, depth + 1) for pair in value.items() for item in pair)
            if kind is OrderedDict and hasattr(value, "_metadata"):
                left.append((value._metadata, depth + 1))
        elif kind in (list, tuple, set, frozenset, torch.Size):
            left += ((item, depth + 1) for item in value)
        elif kind is str:
            value.encode()  # a UnicodeEncodeError if half of a surrogate pair is in it
        elif kind is int:
            if value.bit_length() > _MAX_INTEGER_BITS:
                raise Malformed(f"an integer of {value.bit_length()} bits")
        elif isinstance(value, (Builder, Named, Storage, StorageType)):
            raise Refused(shown(value))
