"""The stacks are those of the requirement files."""

import re
from pathlib import Path

import pytest

from mmseg_heritage.doctor.stacks import (
    MIM,
    PARTS,
    RUNTIME,
    STAMP,
    TITLES,
    install_line,
    reinstall_line,
    stack_of,
)

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
pytestmark = pytest.mark.skipif(not REQUIREMENTS.is_dir(), reason="runs from a source tree")


def required(name):
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    names = re.findall(r"^([A-Za-z][\w.-]*)", text, flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


@pytest.mark.parametrize("stack", TITLES)
def test_parts_are_those_required(stack):
    mim = {MIM[stack], "opendatalab", "openxlab"}  # the command mim and what it needs
    assert required(stack) - mim - set(RUNTIME) == set(PARTS[stack])


def test_runtime_is_what_is_required():
    assert required("runtime") == set(RUNTIME)


@pytest.mark.parametrize("stack", TITLES)
def test_each_is_told_from_the_others(healthy, stack):
    assert stack_of(healthy(stack)) == stack


def test_nothing_is_no_stack(healthy):
    facts = healthy()
    facts["distributions"] = {"numpy": "2.4.6", "torch": "2.15.0"}
    assert stack_of(facts) is None


@pytest.mark.parametrize("stack", ["official", "onedl"])
def test_the_line_that_installs_names_files_that_exist(healthy, stack):
    facts = healthy()
    facts["package"]["checkout"] = str(REQUIREMENTS.parent)
    line = install_line(facts, stack)
    assert Path(re.search(r"-c (\S+)", line).group(1)).is_file()


def test_folders_with_spaces_are_quoted(healthy):
    facts = healthy()
    facts["package"]["checkout"] = "/my files"
    facts["python"]["executable"] = "/my env/python"
    assert install_line(facts, "official") == (
        "'/my env/python' -m pip install "
        "-c '/my files/requirements/constraints-official.txt' -e \"/my files[official]\""
    )
    assert install_line(facts, "classic") == "make -C '/my files' env STACK=classic"


def test_make_does_its_work_again_only_without_its_stamp(healthy):
    assert f'STAMP = "{STAMP}"' in (REQUIREMENTS / "make_env.py").read_text()
    for line in (
        install_line(healthy("classic"), "classic"),
        reinstall_line(healthy("classic"), "mmcv"),
    ):
        assert line == f"rm -f /env/{STAMP} && make -C /src env STACK=classic"
