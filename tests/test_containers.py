"""The container files, which are not built here: the files they name exist and are enough."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmseg_heritage.doctor.diagnosis import SHM_NEEDED

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "containers"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="runs from a source tree")


@pytest.fixture(scope="module")
def copied_first():
    """Files and folders that the Dockerfile copies before it installs the packages."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8").split("make env")[0]
    lines = [line.split() for line in text.splitlines() if line.startswith("COPY ")]
    names = [name for line in lines for name in line[1:-1]]
    assert names
    return names


@pytest.fixture(scope="module")
def definition():
    """Sections of the Apptainer definition by name."""
    _, *sections = (FOLDER / "mmseg_heritage.def").read_text(encoding="utf-8").split("\n%")
    return dict(section.split("\n", 1) for section in sections)


def test_what_the_image_copies_first_is_enough_to_install(copied_first, tmp_path):
    for name in copied_first:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    for command in (["setup.py", "--version"], ["requirements/make_env.py", "--help"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_files_of_the_apptainer_image_exist_and_hold_what_is_installed(definition, copied_first):
    files = dict(line.split() for line in definition["files"].strip().splitlines())
    assert not [name for name in files if not (ROOT / name).exists()]
    assert files == {name: f"/app/{name}" for name in files}
    assert {name.split("/")[0] for name in copied_first} <= set(files)


@pytest.mark.parametrize("section", ["post", "environment", "runscript", "test"])
def test_scripts_of_the_apptainer_image_are_shell(definition, section):
    done = subprocess.run(["sh", "-n"], input=definition[section], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_services_use_files_of_the_checkout_and_have_room_for_workers():
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        context = (FOLDER / service["build"]["context"]).resolve()
        assert context == ROOT
        assert (context / service["build"]["dockerfile"]).is_file()
        mounted = {v["target"]: (FOLDER / v["source"]).resolve() for v in service["volumes"]}
        assert mounted == {"/app/data": ROOT / "data", "/app/work_dirs": ROOT / "work_dirs"}
        assert int(service["shm_size"].removesuffix("gb")) << 30 > SHM_NEEDED
