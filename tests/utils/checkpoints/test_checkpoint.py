"""Checkpoints load as stock loading loads them, and run nothing."""

import os
import pickle
import shutil
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as mmengine_checkpoint
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import scheduler as schedulers
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_heritage.datasets.trained_classes import all_classes, classes_of_level
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.checkpoints.checkpoint import (
    check_fits,
    check_resumable,
    checkpoint_reading,
    classes_of,
    load_checkpoint_file,
    meta_of,
    weights_of,
)


def assert_same(found: Any, expected: Any) -> None:
    """Compares nested containers of tensors, arrays and plain values, types included."""
    if isinstance(expected, torch.nn.Parameter):
        assert isinstance(found, torch.nn.Parameter)
    elif not isinstance(expected, HistoryBuffer):
        assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, HistoryBuffer):
        for a, b in zip(found.data, expected.data, strict=True):
            np.testing.assert_array_equal(a, b)
        # Not ==: the score of a class that is absent is nan.
        np.testing.assert_equal(found.statistics("mean"), expected.statistics("mean"))
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    else:
        assert found == expected


class TestWhatLoads:
    """Everything that checkpoints hold arrives as stock loading gives it."""

    def test_a_checkpoint_of_a_real_run(self, tiny_run):
        found = load_checkpoint_file(str(tiny_run.checkpoint))
        stock = torch.load(tiny_run.checkpoint, map_location="cpu", weights_only=False)
        assert found["message_hub"]["log_scalars"]  # the part that stock safe loading refuses
        assert found["optimizer"]["state"]
        assert_same(found, stock)

    @pytest.mark.slow
    def test_a_run_with_moving_average_of_weights(self, tiny_run, tmp_path):
        from mmseg_heritage.apis.training import train

        config = tmp_path / "ema.py"
        config.write_text(
            f"_base_ = [{str(tiny_run.config)!r}]\n"
            "custom_hooks = [dict(type='EMAHook', momentum=0.1)]\n"
        )
        folder = train(config, str(tmp_path / "run"), cfg_options={"max_iters": 1})
        found = load_checkpoint_file(folder / "iter_1.pth")
        assert_same(found, torch.load(folder / "iter_1.pth", weights_only=False))
        assert "ema_state_dict" in found
        longer = {"max_iters": 2}
        train(config, str(folder), resume=str(folder / "iter_1.pth"), cfg_options=longer)
        assert (folder / "iter_2.pth").is_file()

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("OneCycleLR", {"eta_max": 0.1, "total_steps": 9}),
            ("OneCycleLR", {"eta_max": 0.1, "total_steps": 9, "anneal_strategy": "linear"}),
            ("MultiStepLR", {"milestones": [3, 3, 6]}),
            ("CosineAnnealingLR", {"T_max": 9}),
            ("CosineRestartLR", {"periods": [3, 6], "restart_weights": [1, 0.5], "eta_min": 0.0}),
            ("PolyLR", {"end": 9}),
            ("LinearLR", {"end": 9}),
            ("ConstantLR", {"factor": 0.5, "end": 9}),
            ("ExponentialLR", {"gamma": 0.5}),
            ("StepLR", {"step_size": 3}),
            ("ReduceOnPlateauLR", {"monitor": "mIoU"}),
        ],
    )
    def test_the_state_of_every_scheduler(self, name, arguments, tmp_path):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
        scheduler = getattr(schedulers, name)(optimizer, **arguments)
        torch.save(scheduler.state_dict(), tmp_path / "s.pth")
        assert_same(load_checkpoint_file(tmp_path / "s.pth"), scheduler.state_dict())

    @pytest.mark.parametrize("protocol", [2, 4])
    @pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
    def test_what_other_tools_store(self, protocol, as_zip, tmp_path):
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        history = HistoryBuffer([1.0, 2.0, 4.0], [1, 1, 1])
        content = {
            "state_dict": model.state_dict(),  # an OrderedDict with _metadata
            "model": {"weight": torch.nn.Parameter(torch.randn(3))},
            "tensors": [
                torch.arange(6).reshape(2, 3).t(),
                torch.ones(2, dtype=torch.bfloat16),
                torch.ones(2, dtype=torch.float16),
                torch.tensor([True, False]),
                torch.empty(0),
            ],
            "arrays": [np.ones((2, 3)), np.array(["a", "bc"]), np.arange(3, dtype="u1")],
            "scalars": [np.float64(0.25), np.float32(1.5), np.int64(7), np.bool_(True)],
            "plain": {"epoch": 3, "size": torch.Size([2, 3]), "dtype": torch.float16, "b": b"x\xff",
                      "order": np.dtype(">i4"),
                      "set": {1, 2}, "complex": 1j, "device": torch.device("cpu")},
            "history": OrderedDict(loss=history),
        }  # fmt: skip
        path = tmp_path / "c.pth"
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=as_zip)
        found = load_checkpoint_file(path)
        assert_same(found, content)
        assert found["state_dict"]._metadata == content["state_dict"]._metadata

    def test_text_in_meta_that_mmengine_would_execute_is_dropped(self, tmp_path):
        torch.save({"meta": {"config": "import os", "epoch": 1}}, tmp_path / "c.pth")
        assert load_checkpoint_file(tmp_path / "c.pth") == {"meta": {"epoch": 1}}

    def test_shared_numpy_types_are_not_changed(self, tmp_path):
        torch.save({"x": np.arange(3, dtype=">f8")}, tmp_path / "c.pth")
        load_checkpoint_file(tmp_path / "c.pth")
        assert np.dtype("f8").isnative


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def attacks(marker: Path) -> dict[str, Any]:
    """Returns objects, or raw pickles, that would make the file ``marker`` if they ran."""
    import functools
    import os

    command = f"touch {marker}"
    python = f"open({str(marker)!r}, 'w')"
    inner = pickle.dumps(Calls(os.system, command))
    text = command.encode()
    return {
        "os.system": Calls(os.system, command),
        "subprocess": Calls(subprocess.check_output, ["touch", str(marker)]),
        "eval": Calls(eval, python),
        "exec": Calls(exec, python),
        "partial": Calls(functools.partial, os.system, command),
        "load_from_bytes": Calls(torch.storage._load_from_bytes, inner),
        "torch.load": Calls(torch.load, str(marker)),
        "getattr": Calls(getattr, HistoryBuffer, "__init__"),
        "getattr of torch": Calls(getattr, torch.device, "__class__"),
        "import": Calls(__import__, "os"),
        "apply": Calls(map, os.system, [command]),
        "nested in weights": {"state_dict": {"w": torch.ones(1), "x": Calls(os.system, command)}},
        "dotted torch": b"\x80\x04\x8c\x05torch\x8c\x17serialization.os.system\x93\x8c"
        + bytes([len(text)]) + text + b"\x85R.",
        "dotted device": b"\x80\x04\x8c\x05torch\x8c\x10device.__class__\x93.",
        "dotted Storage": b"\x80\x04\x8c\x05torch\x8c\x14storage.TypedStorage\x93.",
        "GLOBAL posix": b"cposix\nsystem\n(S'" + text + b"'\ntR.",
        "INST": b"(S'" + text + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + text + b"'\no.",
        "object array": np.array([Calls(os.system, command)], dtype=object),
        "object dtype": np.dtype(object),
        "memory of ndarray": Calls(np.ndarray, (1,), "O", b"12345678"),
        "rebuild of a subclass": Calls(np.array([]).__reduce__()[0], np.matrix, (0,), b"b"),
        # BUILD with (None, {...}) sets attributes of any object, classes included.
        "attribute of a class": b"\x80\x02cmmengine.logging.history_buffer\nHistoryBuffer\n"
        b"N}X\x03\x00\x00\x00minK\x07s\x86b.",
        "attribute of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"
        b"N}X\x0c\x00\x00\x00__defaults__Ns\x86b.",
        "bytes by codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
    }  # fmt: skip


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", attacks(Path("x")))
def test_code_in_a_checkpoint_is_refused_and_not_run(name, as_zip, write_file, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    attack = attacks(marker)[name]
    if isinstance(attack, bytes):
        path = write_file(attack, as_zip)
    else:
        torch.save(attack, path, _use_new_zipfile_serialization=as_zip)
    minimum = HistoryBuffer.min
    with pytest.raises(InputError) as caught:
        load_checkpoint_file(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: refused, because this checkpoint asks for '"), message
    assert "--trust-checkpoint" in message
    assert not marker.exists()
    assert HistoryBuffer.min is minimum


class TestCheckpointReading:
    """Inside our runs every way of mmengine to a file goes through the safe reader."""

    @pytest.fixture
    def hostile(self, tmp_path: Path) -> str:
        torch.save(attacks(tmp_path / "ran")["os.system"], tmp_path / "evil.pth")
        return str(tmp_path / "evil.pth")

    def test_local_files_and_downloads_are_read_safely(self, hostile, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
        monkeypatch.setattr(
            torch.hub, "download_url_to_file", lambda url, to, **_: shutil.copy(hostile, to)
        )
        with checkpoint_reading():
            with pytest.raises(InputError, match="refused"):
                CheckpointLoader.load_checkpoint(hostile)
            with pytest.raises(InputError, match="refused"):
                load_checkpoint(torch.nn.Linear(1, 1), hostile)
            with pytest.raises(InputError, match="refused"):
                CheckpointLoader.load_checkpoint("https://example.org/evil.pth")
            with pytest.raises(InputError, match="fetch this checkpoint first"):
                CheckpointLoader.load_checkpoint("s3://bucket/evil.pth")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("trust", [False, True])
    def test_everything_is_as_before_at_its_end(self, trust):
        def state() -> tuple[Any, ...]:
            return CheckpointLoader._schemes.copy(), mmengine_checkpoint.load_url, dict(os.environ)

        before = state()
        with pytest.raises(KeyError), checkpoint_reading(trust):
            assert state() != before
            with checkpoint_reading(True):
                pass
            raise KeyError
        assert state() == before

    def test_trust_ends_with_its_block(self, hostile):
        with checkpoint_reading(True):
            pass
        with pytest.raises(InputError, match=r"refused.*posix\.system|refused.*nt\.system"):
            load_checkpoint_file(hostile)

    def test_the_attacks_would_work_on_stock_loading(self, hostile, tmp_path):
        with checkpoint_reading(True):
            CheckpointLoader.load_checkpoint(hostile)
        assert (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused_before_torch_dispatches_it(tmp_path, monkeypatch):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)), tmp_path / "m.pt")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("torch.jit.load ran"))
    with pytest.raises(InputError, match=r"refused.*TorchScript"):
        load_checkpoint_file(tmp_path / "m.pt")


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_named_as_such(share, as_zip, tmp_path):
    path = tmp_path / "c.pth"
    torch.save({"w": torch.randn(1000)}, path, _use_new_zipfile_serialization=as_zip)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a whole checkpoint file") as caught:
        load_checkpoint_file(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.pth: no such checkpoint"):
        load_checkpoint_file("nowhere.pth")
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint_file("x" * 300 + ".pth")


def test_the_checkpoints_that_are_there_are_named(tmp_path):
    (tmp_path / "best_mIoU_epoch_3.pth").touch()
    with pytest.raises(InputError, match=r"epoch_9\.pth: no such.* In .*: best_mIoU_epoch_3\.pth"):
        load_checkpoint_file(tmp_path / "epoch_9.pth")
    with pytest.raises(
        InputError, match=r"a folder; expected a checkpoint.*best_mIoU_epoch_3\.pth"
    ):
        load_checkpoint_file(tmp_path)


class TestCheckFits:
    """Weights against a model."""

    def model(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))

    def test_weights_of_the_same_model_fit(self, tmp_path):
        model = self.model()
        wrapped = {f"module.{key}": value for key, value in model.state_dict().items()}
        torch.save({"state_dict": wrapped}, tmp_path / "c.pth")
        content = check_fits(model, tmp_path / "c.pth")
        assert weights_of(content, "").keys() == model.state_dict().keys()

    def test_every_difference_is_listed(self, tmp_path):
        state = self.model().state_dict()
        state["extra"] = torch.ones(1)
        del state["1.bias"]
        state["0.weight"] = torch.ones(3, 5)
        torch.save(state, tmp_path / "c.pth")
        with pytest.raises(InputError, match="of another model") as caught:
            check_fits(self.model(), tmp_path / "c.pth")
        assert caught.value.problems == [
            "missing: 1.bias",
            "unexpected: extra",
            "0.weight: the model has (3, 2), the file (3, 5)",
        ]

    @pytest.mark.parametrize(
        "content",
        [
            [1],
            {"state_dict": {"a": 1}},
            {"state_dict": [torch.ones(1)]},
            {5: torch.ones(1)},
            torch.ones(1),
            None,
        ],
    )
    def test_a_file_without_weights_is_refused(self, content, tmp_path):
        torch.save(content, tmp_path / "c.pth")
        with pytest.raises(InputError, match="expected a checkpoint with a 'state_dict'"):
            check_fits(self.model(), tmp_path / "c.pth")


RED = (255, 0, 0)


class TestWhatACheckpointSays:
    """The parts of a checkpoint that are no tensors, sound and odd."""

    def test_its_classes(self, tiny_run):
        classes, palette = classes_of(load_checkpoint_file(tiny_run.checkpoint), "c.pth")
        assert (classes[0], len(classes), len(palette)) == ("Clean", 16, 16)
        assert classes_of({"state_dict": {}}, "c.pth") is None
        assert classes_of({"meta": None}, "c.pth") is None
        assert meta_of([], "c.pth") == {}

    @pytest.mark.parametrize("meta", ["text", [1], 5, {5: 1}])
    def test_an_odd_meta(self, meta):
        with pytest.raises(InputError, match=r"^c\.pth: expected 'meta' to be a dict of names"):
            classes_of({"meta": meta}, "c.pth")

    @pytest.mark.parametrize(
        ("found", "problem"),
        [
            ("text", "classes: expected"),
            ({}, "palette: expected"),
            ({"classes": "ab", "palette": [RED, RED]}, "classes: expected"),
            ({"classes": [1], "palette": [RED]}, "classes: expected"),
            ({"classes": ["a", "a"], "palette": [RED, RED]}, "twice"),
            ({"classes": ["a"]}, "palette: expected"),
            ({"classes": ["a"], "palette": [RED, RED]}, "2 colors for 1 classes"),
            ({"classes": ["a"], "palette": 999}, "palette: expected"),
            ({"classes": ["a"], "palette": [999]}, "palette: expected"),
            ({"classes": ["a"], "palette": [(999, 0, 0)]}, "palette: expected"),
            ({"classes": ["a"], "palette": [(-1, 0, 0)]}, "palette: expected"),
            ({"classes": ["a"], "palette": [(0.5, 0, 0)]}, "palette: expected"),
            ({"classes": ["a"], "palette": [(0, 0)]}, "palette: expected"),
            ({"classes": ["a"], "palette": [RED], "mask_values": [256]}, "mask_values: expected"),
            ({"classes": ["a"], "palette": [RED], "kinds": ["lines"]}, "kinds: expected one of"),
            ({"classes": ["a"], "palette": [RED], "kinds": [["line"]]}, "kinds: expected one of"),
            ({"classes": ["a"], "palette": [RED], "kinds": []}, "kinds: expected one of"),
        ],
    )
    def test_odd_classes(self, found, problem):
        with pytest.raises(InputError, match=r"^c\.pth: 'dataset_meta' cannot be used") as caught:
            classes_of({"meta": {"dataset_meta": found}}, "c.pth")
        assert any(problem in line for line in caught.value.problems)

    def test_those_of_every_data_set_can_be_used(self):
        for trained in (all_classes(ARTEFACT), classes_of_level(ARTEFACT, "fine", True),
                        classes_of_level(ARTEFACT, "binary", False)):  # fmt: skip
            meta = {"dataset_meta": trained.metainfo()}
            assert classes_of({"meta": meta}, "c.pth")[0] == list(trained.trained.names)

    def test_a_run_can_be_resumed(self, tiny_run):
        check_resumable(load_checkpoint_file(tiny_run.checkpoint), "c.pth")

    @pytest.mark.parametrize(
        ("place", "value"),
        [("meta", {}), ("meta.epoch", 10**9), ("meta.iter", -1), ("meta.epoch", True),
         ("meta.iter", "3"), ("message_hub", None), ("message_hub", [1]),
         ("message_hub.log_scalars", 5), ("optimizer", None), ("optimizer", "adam"),
         ("optimizer.state", []), ("optimizer.param_groups", {}),
         ("optimizer.param_groups", [{}]), ("optimizer.param_groups", [5])],
    )  # fmt: skip
    def test_an_odd_state_of_a_run(self, place, value, tiny_run):
        checkpoint = load_checkpoint_file(tiny_run.checkpoint)
        part, _, name = place.partition(".")
        if name:
            checkpoint[part][name] = value
        else:
            checkpoint[part] = value
        with pytest.raises(InputError, match=r"^c\.pth: holds weights but not") as caught:
            check_resumable(checkpoint, "c.pth")
        assert all(line.startswith(part) for line in caught.value.problems)

    def test_all_that_is_missing_is_listed(self):
        with pytest.raises(InputError) as caught:
            check_resumable({"state_dict": {}}, "c.pth")
        assert len(caught.value.problems) == 4
