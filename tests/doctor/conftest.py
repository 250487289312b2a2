"""Facts of an environment where everything works, for tests to break."""

import copy

import pytest

from mmseg_heritage.doctor.facts import PROBE_ORDER
from mmseg_heritage.doctor.stacks import MIM, PARTS, RUNTIME

GIB = 1 << 30


def _facts(stack="official"):
    names = [*PARTS[stack], *RUNTIME, MIM[stack], "mmseg-heritage"]
    versions = dict.fromkeys(names, "1.0")
    versions.update({"torch": "2.15.0+cu132", "torchvision": "0.29.2", "numpy": "2.4.6"})
    probes = {name: {"error": None} for name in PROBE_ORDER}
    probes["torch"].update(version="2.15.0+cu132", cuda="13.2", file="torch")
    probes["cuda"].update(devices=[], arch_list=[], reason="RuntimeError: Found no NVIDIA driver")
    probes["amp"].update(dtype="bfloat16")
    if stack == "official":
        probes["mmcv._ext"] = {"error": "ModuleNotFoundError: No module named 'mmcv._ext'"}
    return copy.deepcopy(
        {
            "python": {"version": "3.12.1", "executable": "/env/bin/python", "prefix": "/env"},
            "platform": "Linux",
            "package": {"version": "0.1.0", "folder": "/src/mmseg_heritage", "checkout": "/src"},
            "distributions": versions,
            "metadata": {"is_beside_package": stack != "onedl", "is_editable": stack == "onedl"},
            "torchvision_needs": None,
            "probes": probes,
            "nvidia": {
                "cards_on_bus": 0,
                "has_kernel_driver": False,
                "driver": None,
                "cards": [],
            },
            "cuda_visible_devices": None,
            "machine": {
                "cpus": 8,
                "memory_free": 16 * GIB,
                "folder": "/run",
                "disk_free": 99 * GIB,
                "shm_free": 8 * GIB,
            },
        }
    )


@pytest.fixture
def healthy():
    """A function that returns facts without a fault, of a stack on a machine without a GPU."""
    return _facts
