"""The README is short; its table and its Python are right. Links: tests/docs/test_pages.py."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(README.split()) <= 1300


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
