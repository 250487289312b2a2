"""Facts of this environment, and of ones made up on disk."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_heritage.doctor.diagnosis import FAULT, diagnose
from mmseg_heritage.doctor.facts import PROBE_ORDER, _is_nvidia_card, _metadata, collect, run_probes
from mmseg_heritage.version import __version__

ROOT = Path(__file__).resolve().parents[2]

MODULES = {
    "sound": "__version__ = '1.2'",
    "failing": "raise RuntimeError('two\\nlines')",
    "leaving": "raise SystemExit(3)",
    "crashing": "import os; os.abort()",
    "hanging": "import time; time.sleep(60)",
    "chatty": "print('hello')\nimport os\nos.write(1, b'{not an answer}')",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Modules that misbehave when they are imported."""
    for name, text in MODULES.items():
        (tmp_path / f"doctor_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda *names: [f"doctor_{name}" for name in names]


def distribution(folder, name, version, *requires):
    """Puts the metadata of a distribution into a folder of packages."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


class TestProbes:
    """Imports in another process."""

    def test_what_fails_is_reported_and_the_rest_goes_on(self, modules):
        names = modules("sound", "failing", "leaving", "crashing", "chatty")
        found = run_probes(names, 60)
        assert list(found) == names
        sound, failing, leaving, crashing, chatty = found.values()
        assert (sound["error"], sound["version"]) == (None, "1.2")
        assert failing["error"] == "RuntimeError: two lines"
        assert leaving["error"] == "SystemExit: 3"
        assert "killed by signal 6" in crashing["error"]
        assert chatty["error"] is None

    def test_what_hangs_is_stopped(self, modules):
        found = run_probes(modules("sound", "hanging", "chatty"), 3)
        assert [answer["error"] for answer in found.values()] == [None, "no end after 3 s", None]

    def test_what_is_absent(self):
        found = run_probes(["doctor_nowhere"], 60)["doctor_nowhere"]
        assert found == {"error": "ModuleNotFoundError: No module named 'doctor_nowhere'"}


class TestDistributions:
    """Metadata on the path of this process."""

    def test_metadata_is_read_and_the_first_of_a_name_counts(self, tmp_path, monkeypatch):
        distribution(tmp_path, "Doctor_Test.Part", "3")
        distribution(tmp_path, "torchvision", "0.16.2", "numpy", "torch (==2.1.2)")
        (tmp_path / "broken-1.dist-info").mkdir()  # what an interrupted installation leaves
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        monkeypatch.setattr("mmseg_heritage.doctor.facts.run_probes", lambda names, timeout: {})
        facts = collect()
        assert facts["distributions"]["doctor-test-part"] == "3"
        assert facts["distributions"]["torchvision"] == "0.16.2"
        assert facts["torchvision_needs"] == "2.1.2"


class TestMetadataOfThePackage:
    """As mim sees it, which finds the package by the place of its metadata."""

    @pytest.fixture
    def looked_at(self, tmp_path, monkeypatch):
        """A function that puts metadata on the path of other programs, and returns the facts."""

        def look(*, is_beside, direct):
            distribution(tmp_path, "mmseg_heritage", "0.1")
            if is_beside:
                (tmp_path / "mmseg_heritage").mkdir()
            if direct is not None:
                path = tmp_path / "mmseg_heritage-0.1.dist-info" / "direct_url.json"
                path.write_text(json.dumps(direct))
            monkeypatch.setenv("PYTHONPATH", str(tmp_path))
            return _metadata()

        return look

    @pytest.mark.parametrize(
        ("is_beside", "direct", "is_editable"),
        [
            (False, {"url": "file:///src", "dir_info": {"editable": True}}, True),
            (True, {"url": "file:///src", "dir_info": {}}, False),
            (True, None, False),  # from an index, or made by egg_info
        ],
    )
    def test_kinds_of_installation(self, looked_at, is_beside, direct, is_editable):
        found = looked_at(is_beside=is_beside, direct=direct)
        assert found == {"is_beside_package": is_beside, "is_editable": is_editable}

    def test_the_working_folder_does_not_count(self, looked_at, tmp_path, monkeypatch):
        monkeypatch.chdir(ROOT)
        found = looked_at(is_beside=False, direct=None)
        assert not found["is_beside_package"]


def test_cards_on_the_bus(tmp_path):
    devices = {
        "card": ("0x10de", "0x030000"),
        "server_card": ("0x10de", "0x030200"),
        "sound_of_a_card": ("0x10de", "0x040300"),
        "other_card": ("0x1002", "0x030000"),
    }
    for name, (vendor, kind) in devices.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    (tmp_path / "unreadable").mkdir()
    found = {path.name for path in tmp_path.iterdir() if _is_nvidia_card(path)}
    assert found == {"card", "server_card"}


@pytest.mark.slow
def test_this_environment_is_sound_and_the_facts_are_json():
    pytest.importorskip("mmseg")
    facts = collect()
    faults = {finding.kind for finding in diagnose(facts) if finding.severity == FAULT}
    assert faults <= {"small-shm", "disk-full"}  # those are of the machine that runs the tests
    assert list(facts["probes"]) == list(PROBE_ORDER)
    assert facts["package"] == {
        "version": __version__,
        "folder": str(ROOT / "mmseg_heritage"),
        "checkout": str(ROOT),
    }
    assert json.loads(json.dumps(facts)) == facts
    import torch

    assert facts["probes"]["torch"]["version"] == torch.__version__
    assert len(facts["probes"]["cuda"]["devices"]) == torch.cuda.device_count()
    assert 0 < facts["machine"]["memory_free"] < 1 << 50


def test_it_answers_in_an_environment_with_nothing_in_it(tmp_path):
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from mmseg_heritage.cli import main\n"
        "sys.exit(main(['doctor']))"
    )
    # -S: without site-packages, so that no package is found, not even rich.
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "mmsegmentation is not installed" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAILED: 1 fault")
