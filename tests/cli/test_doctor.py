"""The command doctor: exit codes for continuous integration, tables and JSON."""

import json

import pytest

from mmseg_heritage.cli import main
from mmseg_heritage.doctor import facts as facts_module


@pytest.fixture
def found(monkeypatch):
    """Facts that the command finds, without looking; every stack's parts are missing."""
    facts = {
        "python": {"version": "3.12.1", "executable": "python", "prefix": "/env"},
        "platform": "Linux",
        "package": {"version": "0", "folder": "/x/mmseg_heritage", "checkout": None},
        "distributions": {"mmseg-heritage": "0"},
        "metadata": None,
        "torchvision_needs": None,
        "probes": {name: {"error": "ModuleNotFoundError"} for name in facts_module.PROBE_ORDER},
        "nvidia": {"cards_on_bus": 0, "has_kernel_driver": False, "driver": None, "cards": []},
        "cuda_visible_devices": None,
        "machine": {"cpus": 2, "memory_free": 1 << 33, "folder": "/x", "disk_free": 1 << 40,
                    "shm_free": 1 << 33},
    }  # fmt: skip
    monkeypatch.setattr(facts_module, "collect", lambda timeout: facts)
    return facts


def test_faults_give_code_1_and_json_to_a_file_leaves_the_tables(found, tmp_path, capsys):
    path = tmp_path / "new" / "doctor.json"
    assert main(["doctor", "--json", str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "FAILED: 1 fault, 0 notes"
    content = json.loads(path.read_text())
    assert (content["schema"], content["passed"]) == ("mmseg_heritage/doctor/1", False)


def test_json_without_a_name_is_all_that_is_printed(found, capsys):
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["facts"] == found


def test_no_fault_gives_code_0(found, monkeypatch, capsys):
    monkeypatch.setattr("mmseg_heritage.doctor.diagnosis.diagnose", lambda facts: [])
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "passed: 0 faults, 0 notes"


def test_an_earlier_file_is_kept_unless_asked(found, tmp_path, capsys):
    path = tmp_path / "doctor.json"
    path.write_text("mine")
    assert main(["doctor", "--json", str(path)]) == 2
    assert "already there; add --overwrite" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["doctor", "--json", str(path), "--overwrite"]) == 1
    assert json.loads(path.read_text())["stack"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            (["--timeout", value], "--timeout: expected seconds above 0 and at most 86400, found")
            for value in ("0", "-1", "nan", "inf", "1e9")
        ),
        (["--json", "FILE/doctor.json"], "doctor.json: cannot be written"),
    ],
)
def test_wrong_arguments_give_code_2(found, options, message, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["doctor", *(o.replace("FILE", str(tmp_path / "file")) for o in options)]) == 2
    assert message in capsys.readouterr().err
