"""What importing the package changes in its dependencies, on every stack: in fresh processes."""

import pathlib
import pickle
import subprocess
import sys
from collections import OrderedDict
from importlib import metadata
from importlib.util import find_spec

import mmengine.runner.checkpoint as mmengine_checkpoint
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from mmseg_heritage.compat import (
    OpsStubFinder,
    _OpsStub,
    fix_checkpoint_loading,
    turns_channels,
)
from mmseg_heritage.errors import InputError


def is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


LITE = is_installed("mmcv-lite")
FORKS = is_installed("onedl-mmengine")
WEIGHTS_ONLY = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 6)


def run_python(code: str, *arguments: str) -> str:
    """Runs code in a fresh process and returns what it prints."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_mmseg_can_be_imported_first_and_nobody_is_told_of_compiled_ops():
    printed = run_python(
        "import mmseg_heritage\n"
        "from mmengine.model.utils import mmcv_full_available, revert_sync_batchnorm\n"
        "print(mmcv_full_available())\n"
        "from mmseg.apis import init_model\n"
        "import mmseg_heritage.plugin, torch\n"
        "print(mmcv_full_available())\n"
        "norm = revert_sync_batchnorm(torch.nn.SyncBatchNorm(2))\n"
        "assert not isinstance(norm, torch.nn.SyncBatchNorm)"
    )
    answers = [line for line in printed.splitlines() if line in ("True", "False")]
    assert answers == [str(not LITE and not FORKS)] * 2


@pytest.mark.skipif(not LITE, reason="full mmcv has mmcv._ext")
def test_without_the_package_nothing_is_mended():
    code = "try:\n    import mmcv.ops\nexcept ImportError as error:\n    print(error.name)"
    # When this fails, mmcv-lite has learned it, and compat.py can go.
    assert run_python(code).strip() == "mmcv._ext"


@pytest.mark.parametrize("turns", [True, False])
def test_every_stack_says_whether_a_preprocessor_turns_channels(turns):
    import mmseg_heritage.plugin  # noqa: F401  lets mmseg.models load with mmcv-lite

    # isort: split
    from mmseg.models import SegDataPreProcessor

    assert turns_channels(SegDataPreProcessor(bgr_to_rgb=turns, size_divisor=1)) is turns


def test_the_finder_is_last_and_there_once_and_answers_for_one_name_only():
    printed = run_python(
        "import sys\n"
        "before = list(sys.meta_path)\n"
        "import importlib, mmseg_heritage\n"
        "importlib.reload(mmseg_heritage)\n"
        "assert sys.meta_path[:-1] == before\n"
        "finder = sys.meta_path[-1]\n"
        "names = ['mmcv._ext', 'mmcv._flash', 'mmcv', '_ext', 'mmdet._ext']\n"
        "sys.modules['mmcv.ops'] = None\n"
        "print([name for name in names if finder.find_spec(name, None)])"
    )
    assert printed.strip() == ("['mmcv._ext']" if LITE else "[]")


def test_the_package_alone_loads_nothing_heavy_and_sets_no_filter():
    run_python(
        "import sys, warnings\n"
        "before = list(warnings.filters)\n"
        "import mmseg_heritage\n"
        "assert not {'torch', 'numpy', 'mmengine', 'importlib.metadata'} & set(sys.modules)\n"
        "assert warnings.filters == before"
    )


@pytest.mark.skipif(not LITE, reason="the stub is for mmcv-lite")
def test_models_with_a_missing_op_say_what_to_install_when_it_is_called():
    import mmcv.ops

    assert find_spec("mmcv._ext").loader is None
    with pytest.raises(NotImplementedError, match=r"'\w+' is not in mmcv-lite.*STACK=classic"):
        mmcv.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def test_the_stub_does_not_pretend_to_have_dunder_attributes():
    with pytest.raises(AttributeError):
        _OpsStub("mmcv._ext").__path__  # noqa: B018


def test_who_only_asks_for_compiled_ops_hears_of_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmcv.ops", raising=False)
    assert OpsStubFinder().find_spec("mmcv._ext", None) is None


@pytest.mark.slow
def test_the_plugin_replaces_one_loader_of_the_official_stack_and_no_other():
    printed = run_python(
        "import mmengine.runner.checkpoint as stock\n"
        "schemes, load_url = dict(stock.CheckpointLoader._schemes), stock.load_url\n"
        "import mmseg_heritage.plugin\n"
        "found = stock.CheckpointLoader._schemes\n"
        "assert stock.load_url is load_url and found.keys() == schemes.keys()\n"
        "print([name for name in schemes if found[name] is not schemes[name]])"
    )
    assert printed.splitlines()[-1] == str([] if FORKS else [""])


@pytest.mark.skipif(FORKS, reason="the forks have a fallback of their own")
class TestMendedLoading:
    """Local files are loaded as before, but for mmengine's own checkpoints on torch 2.6."""

    @pytest.fixture(autouse=True)
    def fixed(self, monkeypatch):
        schemes = OrderedDict(CheckpointLoader._schemes)
        schemes[""] = mmengine_checkpoint.load_from_local  # as before the plugin was imported
        monkeypatch.setattr(CheckpointLoader, "_schemes", schemes)
        fix_checkpoint_loading()
        fix_checkpoint_loading()  # which changes nothing more

    def test_checkpoints_of_mmengine_can_be_read_again(self, tmp_path):
        path = str(tmp_path / "own.pth")
        torch.save({"message_hub": {"loss": HistoryBuffer([1.0], [1])}}, path)
        if WEIGHTS_ONLY:  # when this fails, mmengine has learned it
            with pytest.raises(pickle.UnpicklingError):
                mmengine_checkpoint.load_from_local(path, "cpu")
        assert CheckpointLoader.load_checkpoint(path)["message_hub"]["loss"].mean() == 1
        assert CheckpointLoader._get_checkpoint_loader(path).__name__ == "load_from_local"

    def test_what_torch_reads_is_given_as_torch_reads_it(self, tmp_path):
        content = {"meta": {"config": "x = 1"}}  # our reader leaves it out
        torch.save(content, tmp_path / "c.pth")
        assert CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth")) == content
        with pytest.raises(FileNotFoundError):
            CheckpointLoader.load_checkpoint(str(tmp_path / "absent.pth"))

    @pytest.mark.skipif(not WEIGHTS_ONLY, reason="torch before 2.6 runs code of checkpoints")
    def test_what_both_refuse_is_refused_as_torch_refuses_it(self, tmp_path):
        torch.save({"x": pathlib.PurePosixPath("x")}, tmp_path / "c.pth")
        with pytest.raises(pickle.UnpicklingError, match="weights_only") as caught:
            CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))
        assert isinstance(caught.value.__cause__, InputError)
