"""What the doctor prints and writes."""

import json
import re
from pathlib import Path

import pytest

from mmseg_heritage.doctor.diagnosis import diagnose
from mmseg_heritage.doctor.printout import (
    _EXTRAS,
    _INSTALLED_AS,
    SCHEMA,
    ability_rows,
    machine_rows,
    print_report,
    report_json,
    version_rows,
)


def test_a_sound_environment(healthy, capsys):
    facts = healthy()
    print_report(facts, diagnose(facts))
    out = capsys.readouterr().out
    assert "the OpenMMLab releases with mmcv-lite" in out
    assert out.splitlines()[-1] == "passed: 0 faults, 0 notes"


def test_every_finding_is_printed_with_its_line_unbroken(healthy, capsys):
    facts = healthy()
    facts["distributions"]["onedl-mmcv"] = "2.3.6"
    del facts["distributions"]["mmseg-heritage"]
    findings = diagnose(facts)
    print_report(facts, findings)
    lines = capsys.readouterr().out.splitlines()
    for finding in findings:
        assert f"{finding.severity}: {finding.message}" in lines
        assert f"  -> {finding.fix}" in lines
    assert lines[-1] == "FAILED: 1 fault, 1 note"


def test_the_json_holds_everything(healthy):
    facts = healthy("onedl")
    facts["machine"]["shm_free"] = 0
    content = json.loads(json.dumps(report_json(facts, diagnose(facts))))
    assert (content["schema"], content["passed"], content["stack"]) == (SCHEMA, False, "onedl")
    assert [finding["kind"] for finding in content["findings"]] == ["small-shm"]
    assert content["facts"] == facts


def test_an_import_that_fails_stands_beside_its_version(healthy):
    facts = healthy()
    facts["distributions"]["mmcv-lite"] = "2.1.0"
    facts["probes"]["mmcv"]["error"] = "ImportError: [red]"
    assert dict(version_rows(facts))["mmcv"] == "2.1.0 (mmcv-lite); ImportError: [red]"
    print_report(facts, [])  # brackets are no markup


def test_a_card_and_what_it_can_do(healthy):
    facts = healthy()
    card = {"name": "A100", "capability": [8, 0], "error": None}
    facts["probes"]["cuda"]["devices"] = [
        {**card, "memory_free": 39 << 30, "memory_total": 40 << 30}
    ]
    expected = "A100, compute capability 8.0, 39.0 GiB of 40.0 GiB free"
    assert dict(machine_rows(facts))["GPU 0"] == expected
    assert dict(ability_rows(facts, []))["train, test, predict"] == "yes, on A100"


@pytest.mark.parametrize(
    ("amp", "expected"),
    [
        ({"error": None, "dtype": "float16"}, "yes, float16"),
        ({"error": None, "dtype": "float32"}, "no: this CPU has no bfloat16"),
        ({"error": "ImportError: x"}, "no: ImportError: x"),
    ],
)
def test_mixed_precision(healthy, amp, expected):
    facts = healthy()
    facts["probes"]["amp"] = amp
    assert dict(ability_rows(facts, []))["mixed precision"].startswith(expected)


def test_optional_packages_are_mentioned_and_no_fault(healthy):
    facts = healthy()
    rows = dict(ability_rows(facts, []))
    assert rows["curves in TensorBoard"] == "no: pip install tensorboard future"
    facts["distributions"]["tensorboard"] = "2.20"
    assert dict(ability_rows(facts, []))["curves in TensorBoard"] == "yes"
    assert diagnose(facts) == []


FILES = ("optional", "hub", "record", "export")


def test_optional_packages_are_those_of_the_requirements():
    folder = Path(__file__).resolve().parents[2] / "requirements"
    if not folder.is_dir():
        pytest.skip("runs from a source tree")
    text = "\n".join((folder / f"{name}.txt").read_text() for name in FILES)
    listed = {re.split(r"[<>=\[\s]", line)[0].replace("_", "-") for line in text.splitlines()}
    assert set(_EXTRAS) == listed - {
        "#",
        "",
        "future",
        "onnx",
    }  # beside another one


def test_what_is_installed_beside_them_is_among_the_requirements():
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "requirements").is_dir():
        pytest.skip("runs from a source tree")
    lines = (folder / "requirements" / "optional.txt").read_text()
    page = (folder / "docs" / "how-to" / "reproducibility.md").read_text(encoding="utf-8")
    assert re.search(r"^future\b", lines, re.MULTILINE)
    assert f"pip install {_INSTALLED_AS['tensorboard']}" in page
    assert re.search(rf"^{re.escape(_INSTALLED_AS['pyvips'])}", lines, re.MULTILINE)


@pytest.mark.parametrize(
    ("stack", "is_beside_package", "is_editable", "expected"),
    [
        ("official", True, False, "yes"),  # a wheel, or egg_info and PYTHONPATH
        ("official", False, True, "no: see the notes"),
        ("classic", False, True, "no: see the notes"),
        ("onedl", False, True, "yes"),
        ("onedl", True, False, "no: see the notes"),
    ],
)
def test_mim_where_it_looks_for_the_package(
    healthy, stack, is_beside_package, is_editable, expected
):
    facts = healthy(stack)
    facts["metadata"] = {"is_beside_package": is_beside_package, "is_editable": is_editable}
    findings = diagnose(facts)
    assert dict(ability_rows(facts, findings))["mim run"] == expected
    assert [finding.kind for finding in findings] == ["mim-package"] * (expected != "yes")


def test_mim(healthy):
    facts = healthy()
    assert dict(ability_rows(facts, diagnose(facts)))["mim run"] == "yes"
    facts["probes"]["pkg_resources"]["error"] = "ModuleNotFoundError"
    assert dict(ability_rows(facts, diagnose(facts)))["mim run"] == "no: see the faults"
    del facts["distributions"]["openmim"]
    assert "openmim is not installed" in dict(ability_rows(facts, diagnose(facts)))["mim run"]
