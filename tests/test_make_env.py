"""The script that makes environments: what it says at the end."""

import importlib.util
import shlex
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "requirements" / "make_env.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="runs from a source tree")


@pytest.fixture(scope="module")
def make_env():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("make_env", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("folder", "shown"),
    [(".venv", ".venv/bin/activate"), ("my env", "my env/bin/activate")],
)
def test_the_next_commands_start_the_environment(make_env, folder, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    venv = tmp_path / folder
    lines = make_env.next_lines(venv, venv / "bin" / "python").splitlines()
    assert [shlex.split(line) for line in lines] == [
        ["source", shown],
        ["mmseg-heritage", "doctor"],
    ]
    monkeypatch.chdir(SCRIPT.parent)
    first = make_env.next_lines(venv, venv / "bin" / "python").splitlines()[0]
    assert shlex.split(first) == ["source", str(venv / "bin" / "activate")]


def test_they_come_last(make_env, tmp_path, monkeypatch, capsys):
    for step in ("create", "install"):
        monkeypatch.setattr(make_env, step, lambda *_: None)
    venv = tmp_path / "env"
    venv.mkdir()
    monkeypatch.setattr(make_env, "check_python", lambda stack: None)
    make_env.make("official", venv, [])
    expected = make_env.next_lines(venv, venv / "bin" / "python").splitlines()
    assert capsys.readouterr().out.splitlines()[-2:] == expected
