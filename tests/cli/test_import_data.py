"""Importing a data set from the command line, and what comes after it."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.cli import main


@pytest.fixture
def cracks(tmp_path):
    """Folder with ``images/`` and ``masks/`` of eight photographs, crack 255."""
    generator = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(8):
        pixels = generator.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        mask = np.zeros((40, 60), np.uint8)
        mask[number : number + 4] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    return tmp_path


def arguments(folder, mapping="cracks_255"):
    sources = ["--images", str(folder / "images"), "--masks", str(folder / "masks")]
    return ["import-data", mapping, *sources, "--out", str(folder / "out")]


def test_import_check_and_split(cracks, capsys):
    assert main(arguments(cracks)) == 0
    out = capsys.readouterr().out
    (row,) = (line for line in out.splitlines() if "Cracks" in line)
    assert row.split() == [
        "255",
        "Cracks",
        "1,920",
        "10.0000",
        "8",
    ]
    assert f"8 photographs with annotation: {cracks / 'out'}" in out
    assert f"check-data --data-root {cracks / 'out'}" in out
    assert "copies" not in out
    assert main(["check-data", "--data-root", str(cracks / "out"), "--max-distance", "-1"]) == 0
    (line,) = (line for line in out.splitlines() if "make-splits" in line)
    splits = shlex.split(line.partition("mmseg-heritage ")[2])
    assert splits[-3:] == ["--kinds", "holdout", "kfold"]  # no material, no content
    assert main([*splits, "--max-distance", "-1"]) == 0


def test_all_kinds_of_splits_are_named_by_none(cracks, capsys):
    content = {
        "schema": "mmseg_heritage/mapping/1",
        "values": {"0": "Clean", "255": "Cracks"},
        "metadata": {"id_column": "id", "columns": {"material": "stuff", "content": "motif"}},
    }
    path, table = cracks / "mine.json", cracks / "table.csv"
    path.write_text(json.dumps(content))
    rows = [f"{i},{('Wood', 'Glass')[i % 2]},{('Map', 'Text')[i // 4]}" for i in range(8)]
    table.write_text("\n".join(["id,stuff,motif", *rows]) + "\n")
    assert main([*arguments(cracks, str(path)), "--table", str(table)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"--data-root {cracks / 'out'}")


def test_what_is_unusual_is_said(cracks, capsys):
    (cracks / "masks" / "7.png").unlink()
    for folder in ("images", "masks"):
        (cracks / folder / "6.png").rename(cracks / folder / "9_tile.png")
    content = {
        "schema": "mmseg_heritage/mapping/1",
        "about": "Made for a test.",
        "values": {"0": "Clean", "255": "Cracks", "3": "ignore"},
        "source_id": "(.*)_tile",
    }
    path = cracks / "mine.json"
    path.write_text(json.dumps(content))
    assert main([*arguments(cracks, str(path)), "--skip-faulty"]) == 0
    out = capsys.readouterr().out
    assert "left out, 1 images or masks:\n  - " in out
    assert "in the mapping, but in no mask: 3" in out
    assert "1 images are copies (source_id) of photographs that are not here" in out
    assert "Made for a test." in out


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("cracks_1", "1 mask value not in the mapping, which names 0, 1"),
        (
            "nowhere",
            "no such mapping file; with the package come artefact_colors, coco, crackforest",
        ),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(mapping, message, cracks, capsys):
    before = sorted(cracks.iterdir())
    assert main(arguments(cracks, mapping)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert sorted(cracks.iterdir()) == before
