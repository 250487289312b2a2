"""What the doctor says: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmseg_heritage.doctor.diagnosis import FAULT, NOTE, Finding, error_of
from mmseg_heritage.doctor.stacks import MIM, MODULES, TITLES, present, stack_of
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.utils.text import counted
from mmseg_heritage.version import __version__

if TYPE_CHECKING:
    from mmseg_heritage.doctor.stacks import Facts

SCHEMA = "mmseg_heritage/doctor/1"

# What an optional distribution is for; the files in requirements/ say more.
_EXTRAS = {
    "pyarrow": "prepare-artefact",
    "huggingface-hub": "prepare-artefact (download)",
    "tensorboard": "curves in TensorBoard",
    "captum": "activation maps",
    "albumentations": "transforms of albumentations",
    "imagecodecs": "TIFFs in rare compressions",
    "scipy": "masks in .mat files",
    "pyvips": "PNG and JPEG of any size",
    "pillow-heif": "photographs of telephones (HEIC)",
    "rawpy": "raw files of cameras",
    "ezdxf": "damage maps as DXF",
    "pyogrio": "damage maps as GeoPackage",
    "python-docx": "condition records as DOCX",
    "onnxruntime": "prediction with ONNX files",
    "onnxscript": "writing ONNX files",
}
# What to install for it: mmengine asks for future too, pyvips for libvips.
_INSTALLED_AS = {
    "tensorboard": "tensorboard future",
    "pyvips": "pyvips[binary]",
    "onnxscript": "onnx onnxscript onnxruntime",
}


def report_json(facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """Returns everything that was found, for programs."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "passed": not _count(findings, FAULT),
        "stack": stack_of(facts),
        "findings": [vars(finding) for finding in findings],
        "abilities": dict(ability_rows(facts, findings)),
        "facts": dict(facts),
    }


def print_report(facts: Facts, findings: Sequence[Finding]) -> None:
    """Prints what is here, what works with it, and what is wrong."""
    print(plain_table(["here", ""], [*version_rows(facts), *machine_rows(facts)], labels=2) + "\n")
    print(plain_table(["works", ""], ability_rows(facts, findings), labels=2) + "\n")
    for finding in findings:
        print(f"{finding.severity}: {finding.message}\n  -> {finding.fix}\n")
    print(verdict(findings))


def verdict(findings: Sequence[Finding]) -> str:
    """Returns the last line."""
    faults, notes = (_count(findings, severity) for severity in (FAULT, NOTE))
    numbers = f"{counted(faults, 'fault')}, {counted(notes, 'note')}"
    return f"FAILED: {numbers}" if faults else f"passed: {numbers}"


def version_rows(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yields the packages, with the reason beside those that cannot be imported."""
    python, package, stack = facts["python"], facts["package"], stack_of(facts)
    yield "Python", f"{python['version']} ({python['executable']})"
    yield "platform", facts["platform"]
    yield "mmseg_heritage", f"{package['version']} ({package['folder']})"
    yield "stack", f"{stack} ({TITLES[stack]})" if stack else "none"
    for module, names in MODULES.items():
        yield module, _version(facts, module, names)


def machine_rows(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yields what there is to compute with."""
    machine, nvidia = facts["machine"], facts["nvidia"]
    for index, device in enumerate(facts["probes"]["cuda"].get("devices", ())):
        major, minor = device["capability"]
        text = f"{device['name']}, compute capability {major}.{minor}"
        if "memory_free" in device:
            text += f", {_gib(device['memory_free'])} of {_gib(device['memory_total'])} free"
        yield f"GPU {index}", text + (f"; {device['error']}" if device["error"] else "")
    if nvidia["driver"]:
        yield "NVIDIA driver", nvidia["driver"]
    memory = "" if machine["memory_free"] is None else f", {_gib(machine['memory_free'])} RAM free"
    yield "CPU", f"{machine['cpus']} cores{memory}"
    shared = "" if machine["shm_free"] is None else f", {_gib(machine['shm_free'])} in /dev/shm"
    yield "disk", f"{_gib(machine['disk_free'])} free in {machine['folder']}{shared}"


def ability_rows(facts: Facts, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yields what works here and what does not."""
    probes = facts["probes"]
    is_ready = error_of(facts, "plugin") is None
    cards = [d["name"] for d in probes["cuda"].get("devices", ()) if not d["error"]]
    where = f"on {', '.join(cards)}" if cards else "on the CPU, which is slow for whole data sets"
    yield "train, test, predict", f"yes, {where}" if is_ready else "no: see the faults"
    if is_ready:
        yield "mixed precision", _precision(probes["amp"])
    yield "compiled ops of mmcv", _ops(facts)
    yield "mim run", _mim(facts, findings)
    for name, use in _EXTRAS.items():
        has_it = name in facts["distributions"]
        yield use, "yes" if has_it else f"no: pip install {_INSTALLED_AS.get(name, name)}"


def _version(facts: Facts, module: str, names: tuple[str, ...]) -> str:
    installed = present(facts, names)
    versions = [
        f"{facts['distributions'][name]}" + (f" ({name})" if name != module else "")
        for name in installed
    ]
    text, error = " and ".join(versions) or "not installed", error_of(facts, module)
    if module == "torch" and not error:
        built_for = facts["probes"]["torch"]["cuda"]
        text += f", built for CUDA {built_for}" if built_for else ", built without CUDA"
    return f"{text}; {error}" if error and installed else text


def _precision(amp: Mapping[str, Any]) -> str:
    if amp["error"]:
        return f"no: {amp['error']}"
    if amp["dtype"] == "float32":
        return "no: this CPU has no bfloat16; training stays in float32"
    return f"yes, {amp['dtype']}"


def _ops(facts: Facts) -> str:
    if error_of(facts, "mmcv._ext") is None:
        return "yes"
    return "no: no model of this package needs them; for others make env STACK=classic"


def _mim(facts: Facts, findings: Sequence[Finding]) -> str:
    name = MIM.get(stack_of(facts) or "", "openmim")
    if name not in facts["distributions"]:
        return f"no: {name} is not installed"
    if any(finding.kind == "mim-pkg-resources" for finding in findings):
        return "no: see the faults"
    if "mmseg-heritage" not in facts["distributions"]:
        return "no: mmseg_heritage is not installed"
    if any(finding.kind == "mim-package" for finding in findings):
        return "no: see the notes"
    return "yes"


def _count(findings: Sequence[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
