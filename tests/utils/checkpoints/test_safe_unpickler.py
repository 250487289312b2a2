"""Crafted pickles: none runs, none builds what it should not, each ends in one InputError."""

import os
import pickle
import random
import resource
import struct
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.checkpoints import safe_unpickler
from mmseg_heritage.utils.checkpoints.checkpoint import load_checkpoint_file
from mmseg_heritage.utils.checkpoints.safe_builders import NAMES, Builder

FORMATS = pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])

# Functions and classes that would do harm; {marker} is a file that must not appear.
CALLABLES = {
    "posix system": "touch {marker}",
    "os system": "touch {marker}",
    "subprocess getoutput": "touch {marker}",
    "builtins eval": "open({marker!r}, 'w')",
    "builtins exec": "open({marker!r}, 'w')",
    "__builtin__ eval": "open({marker!r}, 'w')",
    "builtins __import__": "os",
    "builtins open": "{marker}",
    "io open": "{marker}",
    "pathlib Path.touch": "{marker}",
    "pickle loads": "x",
    "torch load": "{marker}",
    "torch.storage _load_from_bytes": "x",
    "torch.jit load": "{marker}",
    "torch.hub load": "{marker}",
    "torch.serialization load": "{marker}",
    "torch._utils _rebuild_wrapper_subclass": "x",
    "torch._tensor _rebuild_from_type_v2": "x",
    "torch Tensor": "x",
    "torch FloatTensor": "x",
    "torch Storage": "x",
    "torch TypedStorage": "x",
    "torch.storage TypedStorage": "x",
    "torch.nn.parameter UninitializedParameter": "x",
    "torch.nn.modules.linear Linear": "x",
    "torch.cuda _lazy_init": "x",
    "numpy load": "{marker}",
    "numpy ndarray": "x",
    "numpy frombuffer": "x",
    "numpy.core.multiarray fromfile": "{marker}",
    "numpy._core.multiarray _reconstruct.__call__": "x",
    "mmengine.config.config Config.fromstring": "x",
    "mmengine.registry.registry Registry": "x",
    "mmengine.logging.history_buffer HistoryBuffer.__init__": "x",
    "functools partial": "x",
    "types FunctionType": "x",
    "ctypes string_at": "x",
    "shutil rmtree": "{marker}",
    "runpy run_path": "{marker}",
    "operator attrgetter": "x",
    "copyreg _reconstructor": "x",
    "torch.utils._foreach_utils _device_has_foreach_support": "x",
    "torch._utils _rebuild_sparse_tensor": "x",
    "torch._utils _rebuild_meta_tensor_no_storage": "x",
    "torch._utils _rebuild_qtensor": "x",
    "torch._utils _rebuild_device_tensor_from_numpy": "x",
    "torch._utils _import_dotted_name": "os",
    "torch.storage UntypedStorage._new_shared": "x",
    "torch.storage UntypedStorage.from_file": "{marker}",
    "torch.multiprocessing.reductions rebuild_storage_filename": "{marker}",
}
# What stands in for these names takes no such argument.
NAMED = ["torch UntypedStorage", "torch FloatStorage", "torch.storage UntypedStorage",
         "torch device", "torch Size", "torch float32", "torch._utils _rebuild_tensor_v2",
         "torch._utils _rebuild_parameter", "builtins getattr", "builtins bytearray",
         "builtins int", "numpy dtype", "numpy ndarray", "numpy._core.multiarray _reconstruct",
         "numpy._core.multiarray scalar", "_codecs encode",
         "mmengine.logging.history_buffer HistoryBuffer",
         "mmengine.logging.history_buffer HistoryBuffer.min",
         "mmengine.optim.scheduler.param_scheduler OneCycleParamScheduler"]  # fmt: skip


def text(value: str) -> bytes:
    """Returns the instruction that pushes a text."""
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + len(data).to_bytes(4, "little") + data


def named(name: str) -> bytes:
    """Returns the instruction that pushes what a name stands for."""
    module, _, attribute = name.partition(" ")
    return f"c{module}\n{attribute}\n".encode()


def calls(name: str, argument: bytes) -> list[bytes]:
    """Returns every way of a pickle to call something with one argument, or to change it."""
    module, _, attribute = name.partition(" ")
    stack_global = text(module) + text(attribute) + b"\x93"
    return [
        b"\x80\x02" + named(name) + argument + b"\x85R.",
        b"\x80\x04" + stack_global + argument + b"\x85R.",
        b"\x80\x02" + named(name) + argument + b"\x85\x81.",  # NEWOBJ
        b"\x80\x04" + named(name) + b")}" + text("allocator") + argument + b"s\x92.",  # NEWOBJ_EX
        b"\x80\x02(" + named(name) + argument + b"o.",  # OBJ
        b"\x80\x02(" + argument + f"i{module}\n{attribute}\n.".encode(),  # INST
        b"\x80\x02" + named(name) + b"}" + text("x") + argument + b"sb.",  # state
        b"\x80\x02" + named(name) + b"N}" + text("__class__") + argument + b"s\x86b.",  # slots
        b"\x80\x02" + named(name) + text("x") + argument + b"s.",  # item
        b"\x80\x02" + named(name) + argument + b"a.",
    ]


def other_ways(name: str, argument: bytes) -> list[bytes]:
    """Returns pickles that put a call into a container, or hide it from a reader."""
    module, _, attribute = name.partition(" ")
    stack_global = text(module) + text(attribute) + b"\x93"
    return [
        b"\x80\x02" + named(name) + b"(" + argument + b"e.",  # APPENDS
        b"\x80\x02" + named(name) + b"(" + text("x") + argument + b"u.",  # SETITEMS
        b"\x80\x04" + named(name) + b"(" + argument + b"\x90.",  # ADDITEMS
        b"\x80\x04(" + named(name) + argument + b"\x85R\x91.",  # FROZENSET of a call
        b"\x80\x04\x8f(" + named(name) + argument + b"\x81\x90.",  # set of a new object
        b"\x80\x02" + named(name) + argument + b"\x85Q.",  # BINPERSID of (class, argument)
        b"\x80\x02P" + name.encode() + b"\n.",  # PERSID
        b"\x80\x02\x82\x01" + argument + b"\x85R.",  # EXT1: codes of the registry of copyreg
        b"\x80\x02\x83\x01\x00" + argument + b"\x85R.",  # EXT2
        b"\x80\x02\x84\x01\x00\x00\x00" + argument + b"\x85R.",  # EXT4
        b"\x80\x02}" + text("state_dict") + named(name) + argument + b"\x85Rs.",  # in a dict
        b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f" + stack_global + argument + b"\x85R.",  # FRAME
    ]


def demands() -> Iterator[bytes]:
    """Yields pickles that state sizes, places and depths that they do not have."""
    huge = (1 << 31) - 1, (1 << 40), (1 << 62), (1 << 63) - 1
    for size in huge:
        whole = b"\x8a\x08" + size.to_bytes(8, "little")
        for kind in ("Float", "Untyped", "Bool", "ComplexDouble"):
            held = (b"(" + text("storage") + named(f"torch {kind}Storage") + text("0")
                    + text("cpu"))  # fmt: skip
            yield b"\x80\x02" + held + whole + b"tQ."
            small = held + b"K\x02tQ"
            for place in (whole + b"K\x01\x85K\x01\x85", b"K\x00" + whole + b"\x85K\x01\x85",
                          b"K\x00K\x02\x85" + whole + b"\x85",
                          b"K\x00" + whole * 2 + b"\x86K\x00K\x00\x86",
                          b"J\xff\xff\xff\xffK\x01\x85K\x01\x85",
                          b"K\x00K\x01\x85J\xff\xff\xff\xff\x85",
                          b"K\x00J\xff\xff\xff\xff\x85K\x01\x85",
                          b"K\x00K\x01\x85)", b"K\x00)K\x01\x85"):  # fmt: skip
                yield (b"\x80\x02" + named("torch._utils _rebuild_tensor_v2") + b"(" + small + place
                       + b"\x89" + named("collections OrderedDict") + b")RtR.")  # fmt: skip
        for code in b"\x8d\x8e\x95\x96":  # BINUNICODE8, BINBYTES8, FRAME, BYTEARRAY8
            yield b"\x80\x04" + bytes([code]) + size.to_bytes(8, "little") + b"x."
        for name in ("builtins bytearray", "builtins bytes", "builtins set", "torch Size",
                     "torch UntypedStorage", "collections Counter",
                     "collections OrderedDict"):  # fmt: skip
            yield b"\x80\x02" + named(name) + whole + b"\x85R."
    for code in b"BTX":  # BINBYTES, BINSTRING, BINUNICODE
        yield b"\x80\x04" + bytes([code]) + struct.pack("<I", (1 << 31) - 1) + b"x."
    for number in (1 << 31) - 1, -1, -(1 << 31):
        yield b"\x80\x04\x8b" + struct.pack("<i", number) + b"x."  # LONG4
    for index in (1 << 32) - 1, 10**6:
        yield b"\x80\x04]r" + struct.pack("<I", index) + b"j" + struct.pack("<I", index ^ 1) + b"."
    yield b"\x80\x04](" + b"K\x01\x94" * 200_000 + b"\x8a\x01"  # MEMOIZE, and no end
    yield b"\x80\x04" + b"(" * 100_000 + b"."  # marks
    yield b"\x80\x04N" + b"2" * 100_000 + b"."  # DUP
    for code in b"]})(":  # nothing in them to take
        yield b"\x80\x02" + bytes([code]) + b"R."
    doubled = b")q\x00"
    for n in range(60):
        doubled += b"(h%ch%ctq%c" % (n, n, n + 1)
    for use in (
        b"",
        b"(h\x3c\x91",
        b"\x8f(h\x3c\x90",
        b"}h\x3cNs",
        b"}(h\x3cNu",
        *(named(name) + b"]h\x3ca\x85R" for name in ("builtins set", "builtins frozenset")),
        named("collections OrderedDict") + b"]h\x3cN\x86a\x85R",
    ):
        yield b"\x80\x04" + doubled + use + b"."  # 2^60 empty tuples, which a hash would walk
    equal = b"".join(
        b"\x8a\x1f" + (n * ((1 << 61) - 1)).to_bytes(31, "little") + b"N" for n in range(50_000)
    )
    yield b"\x80\x02}(" + equal + b"u."  # keys of one hash
    for dtype in ("O", "O8", "|O", "V8", "M8", "S999999999", "f8,O", "<f9999999999"):
        yield b"\x80\x02" + named("numpy dtype") + text(dtype) + b"\x85R."
        yield (b"\x80\x02" + named("numpy.core.multiarray scalar") + named("numpy dtype")
               + text(dtype) + b"\x85RC\x08" + bytes(8) + b"\x86R.")  # fmt: skip


@FORMATS
@pytest.mark.parametrize("name", [*CALLABLES, *NAMED])
def test_no_way_to_call_something_works(name, as_zip, write_file, tmp_path):
    marker = tmp_path / "ran"
    before = dict(vars(HistoryBuffer))
    for argument in (text(CALLABLES.get(name, "x").format(marker=str(marker))),
                     b"\x8a\x08" + (1 << 40).to_bytes(8, "little")):  # fmt: skip
        for pickled in calls(name, argument):
            path = write_file(pickled, as_zip)
            with pytest.raises(InputError) as caught:
                load_checkpoint_file(path)
            assert str(caught.value).startswith(f"{path}: ")
    assert not marker.exists()
    assert dict(vars(HistoryBuffer)) == before


@FORMATS
def test_other_instructions_do_not_exist(as_zip, write_file):
    for code in set(range(256)) - set(safe_unpickler.SafeUnpickler.dispatch):
        path = write_file(b"\x80\x02]]" + bytes([code]) + b"1\n\x00\x00\x00\x00.", as_zip)
        with pytest.raises(InputError, match="instruction"):
            load_checkpoint_file(path)


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.slow)])
def test_none_of_them_takes_time_or_memory_or_ends_the_process(every, write_file, tmp_path):
    """In a child with limits: every call and demand, zip and legacy."""
    marker = tmp_path / "ran"
    pickles = list(demands())
    for name in (*CALLABLES, *NAMED):
        argument = text(CALLABLES.get(name, "{marker}").format(marker=str(marker)))
        pickles += calls(name, argument) + other_ways(name, argument)
    files = [(pickled, as_zip) for as_zip in (True, False) for pickled in pickles][::every]
    assert len(files) * every > 3000
    report = tmp_path / "report"
    child = os.fork()
    if child == 0:
        try:
            report.write_text("\n".join(_wrong(files, write_file)))
        finally:
            os._exit(not report.exists())
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"ended by signal or error: {status}"
    assert report.read_text() == ""
    assert not marker.exists()


def _wrong(files: list[tuple[bytes, bool]], write_file) -> Iterator[str]:
    """Yields what was neither refused with one line nor read as plain values, or took long."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 29),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for pickled, as_zip in files:
        path = write_file(pickled, as_zip, {"0": bytes(8)} if as_zip else {})
        start = time.process_time()
        try:
            found = load_checkpoint_file(path)
            if not isinstance(found, PLAIN):
                yield f"{pickled[:200]!r}: {type(found)}"
        except InputError as error:
            if "\n" in str(error):
                yield f"{pickled[:200]!r}: {error}"
        except BaseException as error:
            yield f"{pickled[:200]!r}: {error!r}"
        if time.process_time() - start > 1:
            yield f"{pickled[:200]!r}: {time.process_time() - start:.1f} s"


VALUES = [
    b"N", b"\x88", b"K\x00", b"K\x07", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 7 + b"\x3f",
    b"G" + b"\x7f\xf0" + bytes(6), text(""), text("f8"), text("O8"), text("latin1"), text("cpu"),
    text("\udcff"), text("S99999"), b"C\x00", b"C\x08" + bytes(8), b")", b"]", b"}", b"\x8f",
    b"K\x01\x85", b"K\x02K\x03\x86", b"\x8a\x05\x00\x00\x00\x00\x01\x85", b"]K\x01aK\x02a",
    named("torch float32"), named("numpy ndarray"), named("torch FloatStorage"),
    named("numpy dtype") + text("f8") + b"\x85R", named("collections OrderedDict") + b")R",
    b"(X\x07\x00\x00\x00storage" + named("torch FloatStorage") + text("0") + text("cpu")
    + b"K\x02tQ",
]  # fmt: skip
"""Instructions that push one value each, of every kind that a stand-in may be handed."""


def random_pickles(seed: int, number: int) -> Iterator[bytes]:
    """Yields calls, states and items of allowed names with arguments of any kind."""
    generator = random.Random(seed)
    builders = [" ".join(name) for name, value in NAMES.items() if isinstance(value, Builder)]
    for _ in range(number):
        content = named(generator.choice(builders))
        arguments = generator.choices(VALUES, k=generator.choice([0, 1, 1, 2, 2, 3, 4, 6, 7, 9]))
        content += b"(" + b"".join(arguments) + b"tR"
        if generator.random() < 0.5:
            state = generator.choices(VALUES, k=generator.choice([1, 2, 5, 5, 8]))
            content += b"(" + b"".join(state) + b"t" * (len(state) > 1) + b"b"
        yield b"\x80\x02" + content + b"."


PLAIN = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool,
         type(None), torch.Tensor, torch.Size, torch.device, torch.dtype, np.ndarray, np.generic,
         np.dtype, HistoryBuffer)  # fmt: skip


@FORMATS
@pytest.mark.parametrize("seed", range(8))
def test_allowed_names_with_any_arguments_give_a_value_or_one_error(seed, as_zip, write_file):
    values = 0
    for content in random_pickles(seed, 150):
        path = write_file(content, as_zip, {"0": bytes(8)} if as_zip else {})
        try:
            found = load_checkpoint_file(path)
        except InputError:
            continue
        values += 1
        assert isinstance(found, PLAIN), content
        if isinstance(found, (torch.Tensor, np.ndarray)):
            assert found.nbytes < 1000
    assert values  # else nothing of the stand-ins was reached


def mutants(content: bytes, seed: int, number: int) -> Iterator[bytes]:
    """Yields copies of a pickle with a few bytes changed, doubled or taken out."""
    generator = random.Random(seed)
    for _ in range(number):
        data = bytearray(content)
        for _ in range(generator.choice([1, 1, 2, 5])):
            at = generator.randrange(len(data))
            change = generator.randrange(3)
            if change == 0:
                data[at] = generator.randrange(256)
            elif change == 1:
                del data[at : at + generator.randrange(1, 9)]
            else:
                data[at:at] = data[at : at + generator.randrange(1, 9)]
        yield bytes(data)


@FORMATS
def test_a_real_pickle_with_changed_bytes_gives_a_value_or_one_error(as_zip, write_file, tmp_path):
    content = {
        "meta": {"epoch": 1, "cfg": "x = 1", "dataset_meta": {"classes": ("a",)}},
        "state_dict": torch.nn.BatchNorm2d(2).state_dict(),
        "message_hub": {"log_scalars": OrderedDict(loss=HistoryBuffer([1.0], [1]))},
        "more": [np.float64(1), np.arange(3), defaultdict(list), Counter("aa"), {1, 2}, 1j],
    }
    torch.save(content, tmp_path / "whole.pth")
    reader = torch._C.PyTorchFileReader(str(tmp_path / "whole.pth"))
    pickled = reader.get_record("data.pkl")
    keys = [name for name in reader.get_all_records() if name.startswith("data/")]
    storages = {name.removeprefix("data/"): reader.get_record(name) for name in keys}
    if not as_zip:  # the same pickle, whose storages are not those of a legacy file
        storages = {}
    errors = 0
    for mutant in mutants(pickled, 1, 300):
        path = write_file(mutant, as_zip, storages)
        try:
            load_checkpoint_file(path)
        except InputError:
            errors += 1
    assert errors > 100


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02" + b"]" * 200 + b"a" * 199 + b".",
        b"\x80\x02N" + b"\x85" * 100_000 + b".",
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02}q\x00" + text("x") + b"h\x00s.",
        b"\x80\x02]q\x00"
        + b"".join(
            b"](h%ch%ch%ce" % (n, n, n) + b"q" + bytes([n + 1]) for n in range(40)
        )
        + b".",
    ],
    ids=["lists", "tuples", "cycle", "cycle of dicts", "each level thrice the last"],
)  # fmt: skip
@FORMATS
def test_nesting_is_bounded(pickled, as_zip, write_file):
    with pytest.raises(InputError, match="levels deep"):
        load_checkpoint_file(write_file(pickled, as_zip))


def test_instructions_and_integers_are_bounded(write_file, monkeypatch):
    with pytest.raises(InputError, match="integer of 8000 bits"):
        load_checkpoint_file(write_file(pickle.dumps(1 << 7999, 2), True))
    monkeypatch.setattr(safe_unpickler._Instructions, "left", 1000)
    with pytest.raises(InputError, match="instructions"):
        load_checkpoint_file(write_file(b"\x80\x02" + b"]" * 1000 + b".", True))


@pytest.mark.parametrize("where", ["key", "value", "metadata"])
def test_text_that_cannot_be_printed_is_refused(where, write_file):
    odd, state = "\udcff", OrderedDict()
    content = {"key": {odd: 1}, "value": [odd], "metadata": state}[where]
    state._metadata = {odd: {"version": 1}}
    with pytest.raises(InputError, match="surrogates"):
        load_checkpoint_file(write_file(pickle.dumps(content, 2), True))


def test_a_state_dict_takes_its_metadata_and_no_other_attribute(write_file):
    state = OrderedDict(a=1)
    state.items_ = 5
    with pytest.raises(InputError, match="the state of OrderedDict"):
        load_checkpoint_file(write_file(pickle.dumps(state, 2), True))


def test_a_log_history_is_checked_before_it_is_one(write_file):
    class Odd(HistoryBuffer):
        def __reduce__(self):
            return HistoryBuffer.__new__, (HistoryBuffer,), vars(self)

    for change in ({"max_length": -1}, {"_log_history": np.ones((2, 2))},
                   {"_count_history": np.ones(3)}, {"_log_history": [1.0, 2.0]},
                   {"update": 1}, {"_log_history": np.array(["a", "b"])}):  # fmt: skip
        buffer = HistoryBuffer([1.0, 2.0], [1, 1])
        vars(buffer).update(change)
        with pytest.raises(InputError, match="the state of HistoryBuffer"):
            load_checkpoint_file(write_file(pickle.dumps(buffer, 2), True))
