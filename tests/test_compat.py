"""The stand-in for mmcv's compiled ops, on every stack."""

import importlib
import pkgutil
import subprocess
import sys
import warnings
from importlib.util import find_spec

import pytest

from mmseg_heritage import compat


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_models_of_mmseg_can_be_imported_after_the_stub():
    done = run_python(
        "from mmseg_heritage import compat\n"
        "needed = compat.stub_missing_mmcv_ops()\n"
        "import mmseg.models\n"
        "assert compat.stub_missing_mmcv_ops() is False  # nothing left to do\n"
        "print('needed', needed)"
    )
    assert done.returncode == 0, done.stderr
    compiled = find_spec(compat._OPS_MODULE)
    if compiled is not None and compiled.loader is not None:  # full mmcv, not our stub
        assert "needed False" in done.stdout


def test_a_missing_op_says_what_to_install_when_it_is_called_and_not_before():
    op = compat._OpsStub().deform_conv_forward
    with pytest.raises(NotImplementedError, match=r"'deform_conv_forward'.*STACK=classic"):
        op(1, x=2)


def test_the_stub_does_not_pretend_to_have_dunder_attributes():
    stub = compat._OpsStub()
    assert stub.__spec__ is not None
    with pytest.raises(AttributeError):
        stub.__path__  # noqa: B018


def test_mmcv_finds_no_compiled_ops_in_the_stub(monkeypatch):
    monkeypatch.setitem(sys.modules, compat._OPS_MODULE, compat._OpsStub())
    if not hasattr(pkgutil, "find_loader"):
        pytest.skip("removed in Python 3.14")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert pkgutil.find_loader(compat._OPS_MODULE) is None


def test_a_stack_that_imports_is_left_alone(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda name: None)
    monkeypatch.delitem(sys.modules, compat._OPS_MODULE, raising=False)
    assert compat.stub_missing_mmcv_ops() is False
    assert compat._OPS_MODULE not in sys.modules


def test_another_missing_module_is_not_hidden(monkeypatch):
    def fail(name: str) -> None:
        raise ModuleNotFoundError("No module named 'addict'", name="addict")

    monkeypatch.setattr(compat, "_is_installed", lambda name: False)  # as without the forks
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match="addict"):
        compat.stub_missing_mmcv_ops()
