"""The README names files, variables and messages: they must exist."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Literals of the package joined as Python joins them, so that a message broken over lines is found.
SOURCE = "\n".join(
    re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "mmseg_heritage").rglob("*.py"))
)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:tools|configs)/[\w.-]+\.py", README))))
def test_files_that_it_names_exist(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([\w./-]+)\)", README))))
def test_files_that_it_links_exist(link):
    assert (ROOT / link).is_file()


def test_the_variables_that_it_lists_are_those_of_the_configs():
    pytest.importorskip("mmseg")
    from mmseg_heritage.runs.config.variables import VARIABLES

    sentence = re.search(r"One variable reaches (.*?)Any other field", README, re.DOTALL).group(1)
    listed = {name for span in re.findall(r"`([^`]+)`", sentence) for name in span.split()}
    assert listed == VARIABLES.keys() - {"global_batch_size"}


def test_its_table_of_models_is_that_of_the_configs():
    table = README.split("| decoder |")[1].split("\n\n")[0].splitlines()
    backbones = re.findall(r"`([^`]+)`", table[0])
    listed = {
        f"{cells[0].strip(' `')}_{backbone}_artefact"
        for cells in (row.strip("|").split("|") for row in table[2:])
        for backbone, mark in zip(backbones, cells[1:], strict=True)
        if mark.strip()
    }
    found = {path.stem for path in (ROOT / "configs").glob("*_artefact.py")}
    assert listed == found - {"quickstart_artefact", "unet_timm_artefact"}


def _quoted_messages():
    table = README.split("## When something goes wrong")[1].split("## ")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return [part for cell in cells for part in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", _quoted_messages())
def test_messages_that_it_quotes_are_those_of_the_package(message):
    if message.startswith("CUDA"):
        pytest.skip("a message of torch")
    message = message.removeprefix("ImportError: ")
    # What a message fills in (numbers, names, modes) is an expression in the source.
    pieces = re.split(r"\d+|RGB|'[\w.]+'|mit_b3_\S+", message)
    for piece in (piece.strip(" ;,") for piece in pieces):
        assert piece in SOURCE, f"nowhere in the package: {piece!r}"


def test_its_python_runs(sample_set, tiny_run, tmp_path, monkeypatch, capsys):
    code = README.split("### From Python")[1].split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line]) == 6
    named = re.findall(r'"((?:work_dirs|data)/[^"]+)"', code)
    for name, source in zip(named, (tiny_run.checkpoint, sample_set / "images"), strict=True):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        shutil.copy(source / path.name if source.is_dir() else source, path)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    shares, pixels = capsys.readouterr().out.splitlines()[-2:]
    assert shares.startswith("{'Clean': ")
    assert re.fullmatch(r"\d+ of \d+ pixels are cracks", pixels)
