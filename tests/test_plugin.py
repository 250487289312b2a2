"""What importing does: the package little, the plugin everything, and one message without mmseg."""

import subprocess
import sys
from importlib import import_module

import pytest

BLOCK = """
import sys
BLOCKED = %r
finders = list(sys.meta_path)
class Filter:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in BLOCKED:
            return None
        for finder in finders:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
sys.meta_path[:] = [Filter()]
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("blocked", ["mmseg", "mmengine", "mmcv"])
def test_without_the_stack_one_error_names_both_install_lines(blocked):
    done = run_python(BLOCK % [blocked] + "import mmseg_heritage.plugin")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1  # no chain of causes
    assert "\nImportError: mmseg_heritage is a plugin of mmsegmentation" in done.stderr
    assert f"not installed here: {blocked}" in done.stderr
    assert 'pip install "mmseg_heritage[official]"' in done.stderr
    assert 'pip install "mmseg_heritage[onedl]"' in done.stderr


@pytest.mark.parametrize(
    "command", ["train c.py", "test c.py x.pth", "predict c.py x.pth i --out o"]
)
def test_the_command_line_without_the_stack_says_the_same_without_traceback(command):
    code = f"from mmseg_heritage.cli import main; sys.exit(main({command.split()!r}))"
    done = run_python(BLOCK % ["mmseg", "mmengine"] + code)
    assert done.returncode == 2
    assert done.stderr.startswith("error: mmseg_heritage is a plugin of mmsegmentation")
    assert "mmseg_heritage[official]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_package_alone_loads_neither_torch_nor_openmmlab():
    done = run_python(
        "import sys, mmseg_heritage\n"
        "heavy = {'torch', 'mmseg', 'mmengine', 'mmcv', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(mmseg_heritage.__version__)"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "before",
    ["import mmseg_heritage.apis.training\n", pytest.param("", marks=pytest.mark.slow)],
)
def test_functions_are_functions_even_after_their_modules_were_imported(before):
    done = run_python(
        f"{before}from mmseg_heritage import Predictor, compare, predict, test, train\n"
        "import mmseg_heritage.apis.testing, mmseg_heritage.apis.predicting\n"
        "import mmseg_heritage, mmseg_heritage.apis as apis\n"
        "from types import FunctionType\n"
        "for name in ('compare', 'predict', 'test', 'train'):\n"
        "    assert type(getattr(apis, name)) is FunctionType, name\n"
        "    assert getattr(apis, name) is getattr(mmseg_heritage, name), name\n"
        "assert isinstance(Predictor, type)\n"
        "for package in (mmseg_heritage, apis):\n"
        "    assert set(package.__all__) <= set(dir(package))\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_there_is_an_attribute_error():
    import mmseg_heritage

    assert not hasattr(mmseg_heritage, "segment")
    with pytest.raises(ImportError, match="cannot import name 'segment'"):
        from mmseg_heritage import segment  # noqa: F401


def _registered_classes():
    """Yields what this package registers, in mmengine's registries and in those below them."""
    import mmengine.registry
    from mmengine.registry import Registry

    import mmseg_heritage.plugin  # noqa: F401

    def below(registry):
        yield from registry.module_dict.values()
        for child in registry.children.values():
            yield from below(child)

    for registry in vars(mmengine.registry).values():
        if isinstance(registry, Registry):
            for part in below(registry):
                if isinstance(part, type) and part.__module__.startswith("mmseg_heritage."):
                    yield part


def test_every_registered_class_is_imported_from_the_package_of_its_room():
    pytest.importorskip("mmseg")
    classes = set(_registered_classes())
    assert len(classes) > 30
    for part in classes:
        room = part.__module__.split(".")[1]
        assert room in ("models", "datasets", "engine", "evaluation", "inference", "domains")
        package = import_module(f"mmseg_heritage.{room}")
        assert getattr(package, part.__name__, None) is part
        assert part.__name__ in package.__all__


def test_the_plugin_registers_every_name_that_configs_use():
    done = run_python(
        "import mmseg_heritage.plugin\n"
        "from mmseg.registry import DATASETS, HOOKS, METRICS, MODELS, OPTIM_WRAPPERS, TRANSFORMS\n"
        "for registry, names in (\n"
        "    (DATASETS, ['ARTeFACTDataset']),\n"
        "    (HOOKS, ['InferenceTimeHook', 'PredictionHook']),\n"
        "    (METRICS, ['ConfusionMetric']),\n"
        "    (MODELS, ['ClassWeightedDiceLoss', 'EncoderDecoder', 'MixVisionTransformer']),\n"
        "    (OPTIM_WRAPPERS, ['DeviceAmpOptimWrapper']),\n"
        "    (TRANSFORMS, ['LoadHeritageImage', 'LoadARTeFACTAnnotations', 'RandomSquareCrop',\n"
        "                  'LimitLongEdge']),\n"
        "):\n"
        "    for name in names:\n"
        "        assert registry.get(name) is not None, name\n"
    )
    assert done.returncode == 0, done.stderr
