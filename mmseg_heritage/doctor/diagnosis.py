"""Judges the facts: what is wrong, and the line that fixes it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmseg_heritage.doctor.stacks import (
    CLASSIC,
    FORKED,
    OFFICIAL,
    ONEDL,
    PARTS,
    RELEASED,
    RUNTIME,
    install_line,
    missing,
    pip,
    present,
    reinstall_line,
    stack_of,
)

if TYPE_CHECKING:
    from mmseg_heritage.doctor.stacks import Facts

FAULT, NOTE = "fault", "note"

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
SHM_NEEDED = 512 << 20
"""Bytes. The shipped configs hold 8 batches (4 workers, 2 each) of 32 crops of 384 px in shared
memory: with uint8 images and int64 masks that is 415 MB."""
DISK_NEEDED = 2 << 30
"""Bytes. A checkpoint of MiT-B3 with its optimizer is 0.6 GB, and a run keeps several."""

# The first part of CUDA's version -> the oldest Linux driver that runs it.
_DRIVERS = {11: 450, 12: 525, 13: 580}
_CLASSIC_CARDS = ((5, 0), (9, 0))  # capabilities that torch 2.1 has kernels for
_IMPORTS = (
    "numpy", "cv2", "torch", "torch_numpy", "torchvision", "timm", "mmengine", "mmcv", "mmseg",
    "mmpretrain", "plugin",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Something that does not work, or is worth knowing.

    Attributes:
        kind: A name that stays the same, for programs.
        severity: 'fault' or 'note'.
        message: What was found.
        fix: The command or the step that fixes it.
    """

    kind: str
    severity: str
    message: str
    fix: str


def diagnose(facts: Facts) -> list[Finding]:
    """Returns everything that is wrong or worth knowing, causes before what follows from them.

    Args:
        facts: From :func:`mmseg_heritage.doctor.facts.collect`.
    """
    findings = list(_python_range(facts))
    if not findings:  # another Python is another environment, whatever is wrong with this one
        findings += [finding for check in _PACKAGE_CHECKS for finding in check(facts)]
    if not any(finding.severity == FAULT for finding in findings):
        # Imports that fail beside the faults above mostly fail because of them.
        findings += _first_failed_import(facts)
    findings += [finding for check in _OTHER_CHECKS for finding in check(facts)]
    return findings


def error_of(facts: Facts, probe: str) -> str | None:
    """Returns why a probe failed, or None."""
    return facts["probes"][probe]["error"]


def supports(arch_list: list[str], capability: tuple[int, int]) -> bool:
    """Whether a build of torch has kernels for a card.

    Machine code ('sm_86') runs on later cards of the same generation, portable code ('compute_90')
    on all later cards. Code for one card alone ('sm_90a') runs on that one.

    Args:
        arch_list: As ``torch.cuda.get_arch_list`` returns it.
        capability: Of the card.
    """
    for arch in arch_list:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", arch)
        if match is None:
            continue
        kind, built, is_special = match[1], (int(match[2]), int(match[3])), bool(match[4])
        if built == capability:
            return True
        is_same_generation = kind == "compute" or built[0] == capability[0]
        if not is_special and is_same_generation and built < capability:
            return True
    return False


def _fault(kind: str, message: str, fix: str) -> Finding:
    return Finding(kind, FAULT, message, fix)


def _python_range(facts: Facts) -> Iterator[Finding]:
    found = facts["python"]["version"]
    major, minor = (int(part) for part in found.split(".")[:2])
    if not OLDEST_PYTHON <= (major, minor) <= NEWEST_PYTHON:
        oldest, newest = (".".join(map(str, v)) for v in (OLDEST_PYTHON, NEWEST_PYTHON))
        yield _fault(
            "python-range",
            f"expected Python {oldest} to {newest}, found {found}",
            f"make env PYTHON=python{newest}",
        )


def _both_stacks(facts: Facts) -> Iterator[Finding]:
    released, forked = present(facts, RELEASED), present(facts, FORKED)
    if released and forked:
        stack = stack_of(facts) or OFFICIAL
        yield _fault(
            "both-stacks",
            "two stacks are installed over each other, with the same module names: "
            f"{', '.join(released)} of the OpenMMLab releases and {', '.join(forked)} of the forks",
            f"{pip(facts)} uninstall -y {' '.join([*released, *forked])} && "
            f"{install_line(facts, stack)}",
        )


def _two_mmcv(facts: Facts) -> Iterator[Finding]:
    if len(present(facts, ("mmcv", "mmcv-lite"))) == 2:
        yield _fault(
            "two-mmcv",
            "mmcv and mmcv-lite are both installed; both are the module mmcv",
            f"{pip(facts)} uninstall -y mmcv mmcv-lite && {install_line(facts, OFFICIAL)}",
        )


def _missing_parts(facts: Facts) -> Iterator[Finding]:
    stack = stack_of(facts)
    if stack is None:
        yield _fault(
            "no-stack",
            "mmsegmentation is not installed, nor anything that belongs to it",
            f"{install_line(facts, OFFICIAL)}   (or {ONEDL} in the place of {OFFICIAL})",
        )
        return
    absent = missing(facts, (*PARTS[stack], *RUNTIME))
    if "opencv-python" in absent and error_of(facts, "cv2") is None:
        absent.remove("opencv-python")  # another distribution, or the system, ships cv2
    if absent:
        yield _fault(
            "missing-parts",
            f"the stack '{stack}' is not whole; not installed: {', '.join(absent)}",
            install_line(facts, stack),
        )


def _two_opencv(facts: Facts) -> Iterator[Finding]:
    versions = {
        name: version
        for name, version in facts["distributions"].items()
        if name.startswith(("opencv-python", "opencv-contrib-python"))
    }
    if len(versions) < 2:
        return
    listed = " and ".join(f"{name} {version}" for name, version in versions.items())
    others = " ".join(name for name in versions if name != "opencv-python")
    wanted = f"opencv-python=={versions.get('opencv-python', next(iter(versions.values())))}"
    # Of one version, the files that overwrote each other are nearly the same, and work.
    yield Finding(
        "two-opencv",
        FAULT if len(set(versions.values())) > 1 else NOTE,
        f"{listed} are installed over each other; both are the module cv2",
        f"{pip(facts)} uninstall -y {others} && "
        f"{pip(facts)} install --force-reinstall --no-deps {wanted}",
    )


def _mim(facts: Facts) -> Iterator[Finding]:
    if "openmim" in facts["distributions"] and error_of(facts, "pkg_resources"):
        found = facts["distributions"].get("setuptools", "none")
        yield _fault(
            "mim-pkg-resources",
            f"the command mim needs pkg_resources, which setuptools has up to 81; found {found}",
            f'{pip(facts)} install "setuptools>=77.0.3,<82"',
        )


def _mim_finds_package(facts: Facts) -> Iterator[Finding]:
    """Says where mim looks for the package in a place where it is not."""
    metadata, mim = facts["metadata"], present(facts, ("openmim", "onedl-mim"))
    if metadata is None or len(mim) != 1:
        return
    checkout = shlex.quote(facts["package"]["checkout"] or "CHECKOUT")
    if mim == ["onedl-mim"]:
        is_found, kind = metadata["is_editable"], "not editable"
        fix = f"{pip(facts)} install --no-deps -e {checkout}"
    else:
        is_found, kind = metadata["is_beside_package"], "editable"
        python = shlex.quote(facts["python"]["executable"])
        fix = f"(cd {checkout} && {python} setup.py egg_info) && export PYTHONPATH={checkout}"
    if not is_found:
        yield Finding(
            "mim-package",
            NOTE,
            f"{mim[0]} does not find mmseg_heritage, whose installation is {kind}: 'mim run "
            "mmseg_heritage ...' ends with an error about 'prefix'; 'mmseg-heritage ...' does the "
            "same and works",
            fix,
        )


def _numpy_of_torch(facts: Facts) -> Iterator[Finding]:
    error = error_of(facts, "torch_numpy")
    if error and not error_of(facts, "torch") and not error_of(facts, "numpy"):
        versions = facts["distributions"]
        yield _fault(
            "torch-numpy",
            f"torch {versions.get('torch')} and NumPy {versions.get('numpy')} cannot exchange "
            f"arrays; torch before 2.3 was built for NumPy 1 ({error})",
            f'{pip(facts)} install "numpy<2" "opencv-python<4.11"',
        )


def _torchvision_of_torch(facts: Facts) -> Iterator[Finding]:
    versions, needed = facts["distributions"], facts["torchvision_needs"]
    torch, torchvision = versions.get("torch"), versions.get("torchvision")
    if torch is None or torchvision is None or error_of(facts, "torch"):
        return
    error = error_of(facts, "torchvision")
    if error and error.startswith("ModuleNotFoundError"):
        return  # of something else that it needs
    is_pair = needed is None or needed.split("+")[0] == torch.split("+")[0]
    if error or not is_pair:
        why = error or f"it was made for torch {needed}"
        yield _fault(
            "torchvision-pair",
            f"torchvision {torchvision} does not go with torch {torch}: {why}",
            f"{pip(facts)} uninstall -y torchvision && "
            f"{install_line(facts, stack_of(facts) or OFFICIAL)}",
        )


def _first_failed_import(facts: Facts) -> Iterator[Finding]:
    for name in _IMPORTS:
        error = error_of(facts, name)
        if error is None:
            continue
        module = "mmseg_heritage.plugin" if name == "plugin" else name
        fix = reinstall_line(facts, name)
        if "cannot open shared object file" in error:
            fix = "apt-get install libgl1 libglib2.0-0   (or what your system calls them)"
        kind = "plugin" if name == "plugin" else "import"
        yield _fault(kind, f"{module} cannot be imported: {error}", fix)
        return


def _cards(facts: Facts) -> Iterator[Finding]:
    """Compares the cards that there are with those that torch can use."""
    cuda, torch = facts["probes"]["cuda"], facts["probes"]["torch"]
    if torch["error"]:
        return
    for device in cuda.get("devices", ()):
        yield from _card(facts, device)
    nvidia = facts["nvidia"]
    if not cuda.get("devices") and (nvidia["cards"] or nvidia["cards_on_bus"]):
        yield _unused_card(facts)


def _unused_card(facts: Facts) -> Finding:
    """Says why torch sees none of the cards that there are."""
    cuda, torch, nvidia = facts["probes"]["cuda"], facts["probes"]["torch"], facts["nvidia"]
    built_for = torch["cuda"]
    names = ", ".join(nvidia["cards"]) or "an NVIDIA card"
    reason = cuda.get("reason") or cuda["error"] or ""
    visible = facts["cuda_visible_devices"]
    if visible in ("", "-1") or (visible and "No CUDA GPUs are available" in reason):
        return Finding(
            "cards-hidden",
            NOTE,
            f"CUDA_VISIBLE_DEVICES='{visible}' hides {names}; everything runs on the CPU",
            "unset CUDA_VISIBLE_DEVICES",
        )
    if built_for is None:
        return _fault(
            "torch-without-cuda",
            f"{names} is there, but this torch ({torch['version']}) is built without CUDA",
            f"{pip(facts)} uninstall -y torch torchvision && "
            f"{install_line(facts, stack_of(facts) or OFFICIAL)}",
        )
    if not nvidia["cards"] and nvidia["has_kernel_driver"]:
        return Finding(
            "cards-not-given",
            NOTE,
            f"{names} is there, but not given to this job or container; it runs on the CPU",
            "docker run --gpus all ..., apptainer run --nv ..., srun --gres=gpu:1 ...",
        )
    driver = _DRIVERS.get(int(built_for.split(".")[0]), max(_DRIVERS.values()))
    found = f"driver {nvidia['driver']}" if nvidia["driver"] else "no driver"
    return _fault(
        "cuda-driver",
        f"{names} cannot be used with {found}: torch {torch['version']} is built for CUDA "
        f"{built_for} ({reason})",
        f"install NVIDIA's driver {driver} or later"
        + (", or make env STACK=classic (driver 525)" if driver > _DRIVERS[12] else ""),
    )


def _card(facts: Facts, device: Mapping[str, Any]) -> Iterator[Finding]:
    if device["error"] is None:
        return
    arch_list = facts["probes"]["cuda"]["arch_list"]
    capability = (device["capability"][0], device["capability"][1])
    shown = f"{device['name']} (compute capability {capability[0]}.{capability[1]})"
    if supports(arch_list, capability):
        yield _fault(
            "card-error",
            f"{shown} cannot compute: {device['error']}",
            "nvidia-smi   (shows whether another process holds the card, and its errors)",
        )
        return
    oldest, newest = _CLASSIC_CARDS
    if oldest <= capability <= newest and stack_of(facts) != CLASSIC:
        fix = "make env STACK=classic"
    elif capability > newest:
        fix = f"{pip(facts)} install --upgrade torch torchvision"
    else:
        fix = "use another card, or hide this one: export CUDA_VISIBLE_DEVICES=..."
    yield _fault(
        "cuda-arch",
        f"this torch has no kernels for {shown}; it is built for {' '.join(arch_list)}",
        fix,
    )


def _room(facts: Facts) -> Iterator[Finding]:
    machine = facts["machine"]
    shm = machine["shm_free"]
    if shm is not None and shm < SHM_NEEDED:
        yield _fault(
            "small-shm",
            f"/dev/shm has {shm >> 20} MiB free; the workers that load data need "
            f"{SHM_NEEDED >> 20} MiB and die with 'Bus error' without",
            "docker run --shm-size=8g ...; or without workers: --cfg-options num_workers=0",
        )
    if machine["disk_free"] < DISK_NEEDED:
        yield _fault(
            "disk-full",
            f"{machine['folder']} has {machine['disk_free'] >> 20} MiB free; "
            f"a run needs {DISK_NEEDED >> 20} MiB for its checkpoints",
            "free some, or run with --work-dir on another disk",
        )


def _not_installed(facts: Facts) -> Iterator[Finding]:
    package = facts["package"]
    if "mmseg-heritage" not in facts["distributions"]:
        where = package["checkout"] or "FOLDER"
        yield Finding(
            "not-installed",
            NOTE,
            f"mmseg_heritage is found by its path ({package['folder']}), not installed: "
            "mim and the command mmseg-heritage do not know it",
            f"{pip(facts)} install --no-deps -e {where}",
        )


_PACKAGE_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _both_stacks, _two_mmcv, _missing_parts, _two_opencv, _numpy_of_torch, _torchvision_of_torch,
)  # fmt: skip
_OTHER_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _mim, _mim_finds_package, _cards, _room, _not_installed,
)  # fmt: skip
