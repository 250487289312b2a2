"""Every fault, from facts that have it and nothing else."""

import re
from pathlib import Path

import pytest

from mmseg_heritage.doctor.diagnosis import (
    FAULT,
    NEWEST_PYTHON,
    NOTE,
    OLDEST_PYTHON,
    diagnose,
    supports,
)

ROOT = Path(__file__).resolve().parents[2]
CURRENT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]  # torch 2.15 for CUDA 13.2
NO_KERNEL = "AcceleratorError: CUDA error: no kernel image is available for execution on the device"


def only_fault(facts):
    """Returns the one fault, after making sure that it says what to do."""
    (fault,) = (finding for finding in diagnose(facts) if finding.severity == FAULT)
    assert fault.fix
    return fault


def with_card(facts, name, capability, error=None):
    card = {"name": name, "capability": list(capability), "error": error}
    facts["probes"]["cuda"].update(devices=[card], arch_list=CURRENT, reason=None)
    facts["nvidia"].update(cards_on_bus=1, has_kernel_driver=True, driver="580.1", cards=[name])
    return facts


def with_unused_card(facts, **nvidia):
    facts["nvidia"].update(cards_on_bus=1, **nvidia)
    return facts


@pytest.mark.parametrize("stack", ["official", "onedl", "classic"])
def test_nothing_is_wrong_where_nothing_is(healthy, stack):
    assert diagnose(healthy(stack)) == []


class TestPackages:
    """What is installed, and what is installed over what."""

    @pytest.mark.parametrize("version", ["3.9.18", "3.14.0", "3.8.1", "4.0.0"])
    def test_python_out_of_range(self, healthy, version):
        facts = healthy()
        facts["python"]["version"] = version
        fault = only_fault(facts)
        assert fault.kind == "python-range"
        assert f"found {version}" in fault.message
        assert "make env PYTHON=" in fault.fix

    @pytest.mark.parametrize("version", ["3.10.0", "3.13.9"])
    def test_python_at_the_ends_of_the_range(self, healthy, version):
        facts = healthy()
        facts["python"]["version"] = version
        assert diagnose(facts) == []

    def test_the_range_is_that_of_the_package(self):
        oldest, newest = OLDEST_PYTHON, (NEWEST_PYTHON[0], NEWEST_PYTHON[1] + 1)
        written = ">={}.{},<{}.{}".format(*oldest, *newest)
        assert f'python_requires="{written}"' in (ROOT / "setup.py").read_text()

    def test_both_stacks(self, healthy):
        facts = healthy()
        facts["distributions"].update({"onedl-mmcv": "2.3.6", "onedl-mim": "0.5.1"})
        fault = only_fault(facts)
        assert fault.kind == "both-stacks"
        remove, install = fault.fix.split(" && ")
        for name in ("mmengine", "mmcv-lite", "openmim", "onedl-mmcv", "onedl-mim"):
            assert name in remove.split()
        assert install.endswith('"/src[official]"')  # of which there is more

    def test_both_commands_mim(self, healthy):
        facts = healthy("onedl")
        facts["distributions"]["openmim"] = "0.3.9"
        fault = only_fault(facts)
        assert fault.kind == "both-stacks"
        assert fault.fix.endswith('"/src[onedl]"')

    def test_two_mmcv(self, healthy):
        facts = healthy()
        facts["distributions"]["mmcv"] = "2.1.0"
        assert only_fault(facts).kind == "two-mmcv"

    @pytest.mark.parametrize(
        ("stack", "part"),
        [
            ("official", "mmcv-lite"),
            ("official", "mmengine"),
            ("official", "ftfy"),
            ("official", "torch"),
            ("onedl", "onedl-mmengine"),
            ("onedl", "onedl-mmsegmentation"),
            ("onedl", "tifffile"),
            ("classic", "mmsegmentation"),
        ],
    )
    def test_half_a_stack(self, healthy, stack, part):
        facts = healthy(stack)
        del facts["distributions"][part]
        failed = "ModuleNotFoundError: no such module"
        facts["probes"]["mmseg"]["error"] = facts["probes"]["plugin"]["error"] = failed
        fault = only_fault(facts)
        assert fault.kind == "missing-parts"
        assert fault.message.endswith(f"not installed: {part}")
        assert f"'{stack}'" in fault.message
        assert stack in fault.fix

    def test_no_stack(self, healthy):
        facts = healthy()
        facts["distributions"] = {}
        facts["probes"] = {name: {"error": "No module"} for name in facts["probes"]}
        fault = only_fault(facts)
        assert fault.kind == "no-stack"
        assert "constraints-official.txt" in fault.fix

    def test_an_installed_package_has_no_constraints_to_point_to(self, healthy):
        facts = healthy()
        facts["package"]["checkout"] = None
        del facts["distributions"]["timm"]
        assert only_fault(facts).fix == (
            '/env/bin/python -m pip install "mmseg_heritage[official]"'
        )

    def test_opencv_twice_in_two_versions(self, healthy):
        facts = healthy()
        facts["distributions"].update(
            {"opencv-python": "5.0.0.93", "opencv-python-headless": "4.13.0.1"}
        )
        fault = only_fault(facts)
        assert fault.kind == "two-opencv"
        assert "uninstall -y opencv-python-headless" in fault.fix
        assert fault.fix.endswith("opencv-python==5.0.0.93")

    def test_opencv_twice_in_one_version_works(self, healthy):
        facts = healthy()
        facts["distributions"].update({"opencv-python": "5.0", "opencv-python-headless": "5.0"})
        (note,) = diagnose(facts)
        assert (note.kind, note.severity) == ("two-opencv", NOTE)

    def test_opencv_of_another_name_will_do(self, healthy):
        facts = healthy()
        facts["distributions"]["opencv-python-headless"] = facts["distributions"].pop(
            "opencv-python"
        )
        assert diagnose(facts) == []
        facts["probes"]["cv2"]["error"] = "ImportError: libGL.so.1"
        assert only_fault(facts).kind == "missing-parts"

    def test_numpy_2_beside_torch_2_1(self, healthy):
        facts = healthy("classic")
        facts["distributions"].update({"torch": "2.1.2+cu121", "numpy": "2.2.6"})
        facts["probes"]["torch_numpy"]["error"] = "RuntimeError: Numpy is not available"
        fault = only_fault(facts)
        assert fault.kind == "torch-numpy"
        assert "numpy<2" in fault.fix

    @pytest.mark.parametrize(
        ("needed", "error"),
        [
            ("2.14.1", None),
            (None, "RuntimeError: operator torchvision::nms does not exist"),
        ],
    )
    def test_torchvision_of_another_torch(self, healthy, needed, error):
        facts = healthy()
        facts["torchvision_needs"] = needed
        facts["probes"]["torchvision"]["error"] = error
        fault = only_fault(facts)
        assert fault.kind == "torchvision-pair"
        assert (needed or error) in fault.message

    def test_torchvision_of_this_torch(self, healthy):
        facts = healthy()
        facts["torchvision_needs"] = "2.15.0"  # torch says 2.15.0+cu132
        assert diagnose(facts) == []

    def test_openmim_without_pkg_resources(self, healthy):
        facts = healthy()
        facts["distributions"]["setuptools"] = "84.2.1"
        facts["probes"]["pkg_resources"]["error"] = "ModuleNotFoundError: pkg_resources"
        fault = only_fault(facts)
        assert fault.kind == "mim-pkg-resources"
        assert "84.2.1" in fault.message
        forks = healthy("onedl")
        forks["probes"]["pkg_resources"]["error"] = "ModuleNotFoundError: pkg_resources"
        assert diagnose(forks) == []  # their mim does without

    def test_the_bound_on_setuptools_is_that_of_the_requirements(self, healthy):
        facts = healthy()
        facts["probes"]["pkg_resources"]["error"] = "ModuleNotFoundError"
        bound = re.search(r"setuptools.*?(<\d+)", only_fault(facts).fix).group(1)
        assert f"setuptools{bound} " in (ROOT / "requirements" / "official.txt").read_text()

    def test_the_first_import_that_fails_is_named(self, healthy):
        facts = healthy()
        for name in ("mmcv", "mmseg", "plugin"):
            facts["probes"][name]["error"] = f"the process ended at {name}"
        fault = only_fault(facts)
        assert fault.kind == "import"
        assert fault.message == "mmcv cannot be imported: the process ended at mmcv"
        # pip leaves what has the right version as it is.
        assert fault.fix.endswith("--force-reinstall --no-deps mmcv-lite==1.0")

    def test_a_library_of_the_system_is_missing(self, healthy):
        facts = healthy()
        facts["probes"]["cv2"]["error"] = (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
        )
        assert "libgl1" in only_fault(facts).fix

    def test_a_plugin_that_does_not_register(self, healthy):
        facts = healthy()
        facts["probes"]["plugin"]["error"] = "RuntimeError: ARTeFACTDataset is not in the registry"
        fault = only_fault(facts)
        assert fault.kind == "plugin"
        assert "mmseg_heritage.plugin cannot be imported" in fault.message

    def test_a_package_found_by_its_path_is_worth_a_note(self, healthy):
        facts = healthy()
        del facts["distributions"]["mmseg-heritage"]
        (note,) = diagnose(facts)
        assert (note.kind, note.severity) == ("not-installed", NOTE)


class TestCards:
    """Graphics cards, their driver, and the torch that should use them."""

    @pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0), (12, 1)])
    def test_cards_that_this_torch_supports(self, healthy, capability):
        assert diagnose(with_card(healthy(), "card", capability)) == []

    @pytest.mark.parametrize(
        ("name", "capability", "fix"),
        [
            ("Tesla V100S-PCIE-32GB", (7, 0), "make env STACK=classic"),
            ("NVIDIA GeForce GTX 1080 Ti", (6, 1), "make env STACK=classic"),
            ("of next year", (13, 0), "--upgrade torch"),
            ("Tesla K80", (3, 7), "use another card"),
        ],
    )
    def test_cards_without_kernels(self, healthy, name, capability, fix):
        fault = only_fault(with_card(healthy(), name, capability, NO_KERNEL))
        assert fault.kind == "cuda-arch"
        assert name in fault.message
        assert fix in fault.fix

    def test_a_card_that_fails_for_another_reason(self, healthy):
        fault = only_fault(with_card(healthy(), "A100", (8, 0), "RuntimeError: busy"))
        assert fault.kind == "card-error"
        assert "busy" in fault.message

    def test_no_driver(self, healthy):
        fault = only_fault(with_unused_card(healthy()))
        assert fault.kind == "cuda-driver"
        assert "no driver" in fault.message
        assert "driver 580" in fault.fix

    def test_an_old_driver(self, healthy):
        facts = with_unused_card(healthy(), has_kernel_driver=True, driver="470.82", cards=["A100"])
        facts["probes"]["cuda"]["reason"] = "RuntimeError: The NVIDIA driver is too old"
        fault = only_fault(facts)
        assert fault.kind == "cuda-driver"
        for part in ("470.82", "CUDA 13.2", "too old"):
            assert part in fault.message

    def test_a_torch_without_cuda(self, healthy):
        facts = with_unused_card(healthy(), driver="580.1", cards=["A100"])
        facts["probes"]["torch"].update(version="2.15.0+cpu", cuda=None)
        assert only_fault(facts).kind == "torch-without-cuda"

    @pytest.mark.parametrize("hidden", ["", "-1", "7"])
    def test_cards_that_the_user_hides(self, healthy, hidden):
        facts = with_unused_card(healthy(), driver="580.1", cards=["A100"])
        facts["cuda_visible_devices"] = hidden
        facts["probes"]["cuda"]["reason"] = "RuntimeError: No CUDA GPUs are available"
        (note,) = diagnose(facts)
        assert (note.kind, note.severity) == ("cards-hidden", NOTE)

    def test_cards_that_the_job_or_container_was_not_given(self, healthy):
        (note,) = diagnose(with_unused_card(healthy(), has_kernel_driver=True))
        assert (note.kind, note.severity) == ("cards-not-given", NOTE)
        assert "--gres=gpu:1" in note.fix

    def test_a_driver_that_hangs(self, healthy):
        facts = with_unused_card(healthy(), driver="580.1", cards=["A100"])
        facts["probes"]["cuda"] = {"error": "no end after 300 s"}
        assert "no end after 300 s" in only_fault(facts).message

    def test_a_cpu_machine_needs_no_driver(self, healthy):
        assert diagnose(healthy()) == []


@pytest.mark.parametrize(
    ("arch_list", "capability", "expected"),
    [
        (["sm_80"], (8, 0), True),
        (["sm_80"], (8, 9), True),
        (["sm_86"], (8, 0), False),
        (["sm_80"], (9, 0), False),
        (["compute_80"], (9, 0), True),
        (["compute_90"], (8, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_120f"], (12, 1), False),
        (["sm_100"], (10, 3), True),
        (["gfx90a"], (9, 0), False),
        ([], (9, 0), False),
    ],
)
def test_which_build_runs_on_which_card(arch_list, capability, expected):
    assert supports(arch_list, capability) is expected


class TestRoom:
    """Room for workers and checkpoints."""

    def test_the_shared_memory_of_a_container(self, healthy):
        facts = healthy()
        facts["machine"]["shm_free"] = 64 << 20  # what docker gives
        fault = only_fault(facts)
        assert fault.kind == "small-shm"
        assert "64 MiB" in fault.message
        assert "--shm-size" in fault.fix

    def test_systems_without_dev_shm(self, healthy):
        facts = healthy()
        facts["machine"].update(shm_free=None, memory_free=None)
        assert diagnose(facts) == []

    def test_a_full_disk(self, healthy):
        facts = healthy()
        facts["machine"]["disk_free"] = 300 << 20
        fault = only_fault(facts)
        assert fault.kind == "disk-full"
        assert "/run has 300 MiB free" in fault.message


def test_faults_of_packages_and_of_the_machine_are_found_at_once(healthy):
    facts = with_card(healthy(), "V100", (7, 0), NO_KERNEL)
    facts["machine"]["shm_free"] = 0
    facts["distributions"]["mmcv"] = "2.1.0"
    assert [f.kind for f in diagnose(facts)] == ["two-mmcv", "cuda-arch", "small-shm"]
