"""Tables of docs/reference and how-to pages: they list what the code has."""

import argparse
import json
import re
from pathlib import Path

import pytest

from mmseg_heritage.cli import COMMANDS, convert
from mmseg_heritage.dataprep.checks.faults import KINDS
from mmseg_heritage.dataprep.importing.label_mapping import SHIPPED, load_mapping
from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.dataprep.weights.weight_formulas import FORMULAS
from mmseg_heritage.taxonomy import ARTEFACT

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("runs from a source tree", allow_module_level=True)
DATA = (DOCS / "reference" / "data-format.md").read_text(encoding="utf-8")
# Literals of the package joined as Python joins them, so that a message broken over lines is found.
SOURCE = "\n".join(
    re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "mmseg_heritage").rglob("*.py"))
)


def rows(text, head):
    """Returns the cells of the table whose first row begins with ``head``."""
    table = text.split(f"\n| {head} |")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[2:]]


def code(cells):
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_commands():
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert rows(page, "command") == [
        [
            f"`{module.__name__.rpartition('.')[2].replace('_', '-')}`",
            module.__doc__.splitlines()[0],
        ]
        for module in COMMANDS
    ]


def test_the_formats_of_other_programs():
    from mmseg_heritage.exchange.writers import FORMATS

    page = (DOCS / "how-to" / "other-programs.md").read_text(encoding="utf-8")
    assert code(row[0] for row in rows(page, "`--to`")) == [
        *(name for name in FORMATS if name not in LAST),
        *(name for name in FORMATS if name in LAST),
    ]
    (help_text,) = (a.help for a in _convert_options() if a.dest == "to")
    assert help_text.split() == list(FORMATS)


LAST = ("annotations", "iiif", "dxf", "gpkg")


def _convert_options():
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    return parser._actions


def test_the_variables():
    pytest.importorskip("mmengine")
    from mmseg_heritage.runs.config.variables import VARIABLES

    page = (DOCS / "reference" / "variables.md").read_text(encoding="utf-8")
    assert rows(page, "variable") == [
        [f"`{name}`", variable.help, f"`{variable.instead}`"]
        for name, variable in VARIABLES.items()
    ]


def test_the_kinds_of_faults():
    cells = rows(DATA, "fault | | warning")
    faults = {name for name, kind in KINDS.items() if not kind.is_warning}
    assert set(code(row[0] for row in cells)) == faults
    assert set(code(row[2] for row in cells)) == set(KINDS) - faults


def test_the_formulas_of_class_weights():
    assert sorted(code(row[0] for row in rows(DATA, "`--formula`"))) == sorted(FORMULAS)


def test_the_tiers_of_augmentation():
    pytest.importorskip("mmseg")
    from mmseg_heritage.datasets.transforms.augmentation import TIERS

    assert code(row[0] for row in rows(DATA, "`augmentation`")) == list(TIERS)


def test_the_groups_of_levels():
    coarse = dict(row[:2] for row in rows(DATA, "level"))["`coarse`"]
    level = ARTEFACT.levels["coarse"]
    found = {
        group: members.split(", ") for group, members in re.findall(r"(\w+): ([^.]+)\.", coarse)
    }
    assert found == {
        group: [c.name for c in ARTEFACT.classes if level.fine_to_group[c.id] == index]
        for index, group in enumerate(level.classes)
    }


def test_the_shipped_mappings():
    listed = set(code(row[0] for row in rows(DATA, "mapping | for")))
    assert {path.stem for path in SHIPPED.glob("*.json")} <= listed | {"crackforest_png"}


def test_the_example_of_a_mapping(tmp_path):
    (example,) = re.findall(
        r'```json\n(\{\n  "schema": "mmseg_heritage/mapping.*?)```', DATA, re.DOTALL
    )
    path = tmp_path / "example.json"
    path.write_text(example)
    mapping = load_mapping(path)
    assert {*mapping.content} < set(re.findall(r"\w+", DATA.split("| key | |")[2])) | {"schema"}
    assert mapping.source_id.fullmatch("wall_copy12")[1] == "wall"


def test_the_example_of_a_split(tmp_path):
    (example,) = re.findall(r'```json\n(\{"schema": "mmseg_heritage/split.*?)\n```', DATA)
    path = tmp_path / "mine.json"
    path.write_text(example)
    assert load_split(path).parts == {
        part: tuple(ids) for part, ids in json.loads(example)["parts"].items()
    }


def test_the_counts_of_the_classes_add_up():
    cells = re.findall(r"\| (\d+) \| ([\w ]+) \| ([\d,]+) \| ([\d.]+) (?=\|)", DATA)
    counts = {int(i): (name, int(n.replace(",", "")), float(share)) for i, name, n, share in cells}
    assert {i: name for i, (name, _, _) in counts.items()} == {
        c.id: c.name for c in ARTEFACT.classes
    }
    total = sum(n for _, n, _ in counts.values())
    for _, number, share in counts.values():
        assert 100 * number / total == pytest.approx(share, abs=6e-4)
    assert (total + 1_131_052) / 1e6 == pytest.approx(80.8, abs=0.05)
    assert 100 * (1 - counts[0][1] / total) == pytest.approx(12.5, abs=0.05)


def quoted_messages():
    page = (DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    return code(row[0] for row in rows(page, "message"))


@pytest.mark.parametrize("message", quoted_messages())
def test_the_messages_are_those_of_the_package(message):
    if message.startswith("CUDA"):
        pytest.skip("a message of torch")
    message = message.removeprefix("ImportError: ")
    # What a message fills in (numbers, names, modes) is an expression in the source.
    pieces = re.split(r"\d+|, (?=found)|RGB|'[\w.]+'|mit_b3_\S+", message)
    for piece in (piece.strip(" ;,") for piece in pieces):
        assert piece in SOURCE, f"nowhere in the package: {piece!r}"
