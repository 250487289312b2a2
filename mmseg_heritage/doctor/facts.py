"""Collects what can be known about this environment and this machine; judges nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mmseg_heritage.utils.memory import available_memory
from mmseg_heritage.version import __version__

PROBE_ORDER = (
    "numpy", "cv2", "torch", "torch_numpy", "torchvision", "timm", "mmengine", "mmcv", "mmcv._ext",
    "mmseg", "mmpretrain", "plugin", "amp", "cuda", "pkg_resources",
)  # fmt: skip
"""Each after those it needs; ``mmcv._ext`` before the plugin, which puts a stand-in there."""

_CHILD = "import sys; sys.path[:] = {path!r}; from mmseg_heritage.doctor.probes import main; "
# Without the working folder, which the command mim does not see either.
_METADATA_CHILD = """
import json, pathlib, sys
from importlib import metadata
sys.path[:] = [path for path in sys.path if path]
found = metadata.distribution("mmseg_heritage")
direct = json.loads(found.read_text("direct_url.json") or "{}")
print(json.dumps({
    "is_beside_package": pathlib.Path(found.locate_file("mmseg_heritage")).is_dir(),
    "is_editable": bool(direct.get("dir_info", {}).get("editable")),
}))
"""
_DISPLAY = ("0x0300", "0x0302")  # PCI classes of graphics cards


def collect(timeout: float = 300.0) -> dict[str, Any]:
    """Returns the facts that :func:`mmseg_heritage.doctor.diagnosis.diagnose` judges.

    Args:
        timeout: Seconds that all imports of one process may take.

    Returns:
        Plain values, as JSON has them. ``distributions`` maps the normalized name of every
        installed distribution to its version; ``probes`` maps each of :data:`PROBE_ORDER` to what
        it saw, with ``error`` None where it succeeded. ``metadata`` says
        whether the package lies beside its own metadata, and whether its installation is editable.
        What cannot be known here is None.
    """
    folder = Path(__file__).resolve().parents[1]
    checkout = folder.parent
    is_checkout = (checkout / "setup.py").is_file() and (checkout / "requirements").is_dir()
    return {
        "python": {
            "version": platform.python_version(),
            "executable": sys.executable,
            "prefix": sys.prefix,
        },
        "platform": platform.platform(),
        "package": {
            "version": __version__,
            "folder": str(folder),
            "checkout": str(checkout) if is_checkout else None,
        },
        "distributions": _distributions(),
        "metadata": _metadata(),
        "torchvision_needs": _pinned_torch(),
        "probes": run_probes(PROBE_ORDER, timeout),
        "nvidia": _nvidia(),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "machine": _machine(),
    }


def run_probes(names: Sequence[str], timeout: float) -> dict[str, dict[str, Any]]:
    """Runs probes in another process, and in one more for what follows each crash.

    Args:
        names: In order; see :func:`mmseg_heritage.doctor.probes.main`.
        timeout: Seconds for one process.

    Returns:
        What each said; one that crashed or did not end has that as its ``error``.
    """
    answers: dict[str, dict[str, Any]] = {}
    waiting = list(names)
    while waiting:
        code = _CHILD.format(path=sys.path) + f"main({waiting!r})"
        try:
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, timeout=timeout
            )
            output, end = done.stdout, _exit_text(done.returncode, done.stderr)
        except subprocess.TimeoutExpired as stopped:
            output, end = stopped.stdout or b"", f"no end after {timeout:.0f} s"
        for line in output.decode(errors="replace").splitlines():
            answer = json.loads(line)
            answers[answer.pop("name")] = answer
        waiting = [name for name in waiting if name not in answers]
        if waiting:
            answers[waiting.pop(0)] = {"error": end}
    return answers


def _exit_text(code: int, stderr: bytes) -> str:
    """Says how a process ended that did not answer everything."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return f"the process ended ({how})" + (f": {lines[-1]}" if lines else "")


def _distributions() -> dict[str, str]:
    """Returns every installed distribution; of two with one name, the one that Python imports."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        try:
            fields = distribution.metadata
        except FileNotFoundError:  # of importlib_metadata, where an installation was interrupted
            continue
        if "Name" in fields and "Version" in fields:  # Python's own has no fields then
            name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
            found.setdefault(name, fields["Version"])
    return dict(sorted(found.items()))


def _metadata() -> dict[str, bool] | None:
    """Looks at the metadata of this package as another program does, such as mim; None if none."""
    command = [sys.executable, "-c", _METADATA_CHILD]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return None


def _pinned_torch() -> str | None:
    """Returns the one version of torch that torchvision was made for, where it names one."""
    try:
        lines = metadata.requires("torchvision") or []
    except metadata.PackageNotFoundError:
        return None
    pins = [re.match(r"torch\s*\(?==\s*([\w.]+)", line) for line in lines]
    return next((pin[1] for pin in pins if pin), None)


def _nvidia() -> dict[str, Any]:
    """Looks for NVIDIA cards and their driver without torch."""
    query = ["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
        rows = [row.split(", ", 1) for row in done.stdout.splitlines() if done.returncode == 0]
    except (OSError, subprocess.TimeoutExpired):
        rows = []
    return {
        "cards_on_bus": sum(map(_is_nvidia_card, Path("/sys/bus/pci/devices").glob("*"))),
        "has_kernel_driver": Path("/proc/driver/nvidia/version").exists(),
        "driver": rows[0][0] if rows else None,
        "cards": [row[-1] for row in rows],
    }


def _is_nvidia_card(device: Path) -> bool:
    """Whether a device on the PCI bus is a graphics card of NVIDIA."""
    try:
        vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
    except OSError:
        return False
    return vendor == "0x10de" and kind.startswith(_DISPLAY)


def _machine() -> dict[str, Any]:
    """Returns cores, and the free bytes of memory, of the working folder and for data loading."""
    shared = Path("/dev/shm")
    has_affinity = hasattr(os, "sched_getaffinity")  # a job or container may be given fewer
    try:
        memory = available_memory()
    except (OSError, KeyError):  # not Linux, or a very old one
        memory = None
    return {
        "cpus": len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count(),
        "memory_free": memory,
        "folder": str(Path.cwd()),
        "disk_free": shutil.disk_usage(Path.cwd()).free,
        "shm_free": shutil.disk_usage(shared).free if shared.is_dir() else None,
    }
