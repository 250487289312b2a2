"""The class table against the data set's card, and what may be imported without torch."""

import csv
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

import mmseg_heritage
from mmseg_heritage.taxonomy import (
    ARTEFACT,
    BACKGROUND,
    CONTENTS,
    GROUP_COLORS,
    IGNORE_INDEX,
    MATERIALS,
    color_of_hex,
    fill_colors,
    hex_color,
    named_classes,
)

# id, name and hex color as the card of danielaivanova/damaged-media prints them.
OFFICIAL = """
0 #000000 Clean
1 #1CE6FF Material loss
2 #FF34FF Peel
3 #FF4A46 Dust
4 #008941 Scratch
5 #006FA6 Hair
6 #A30059 Dirt
7 #FFA500 Fold
8 #7A4900 Writing
9 #0000A6 Cracks
10 #63FFAC Staining
11 #004D43 Stamp
12 #8FB0FF Sticker
13 #997D87 Puncture
14 #809693 Burn marks
15 #F6FF1B Lightleak
"""
# A list of names that circulates for the same ids and is wrong; none of these is a class.
FALSE_NAMES = (
    "Structural defects",
    "Dirt spots",
    "Discoloration",
    "Discoloration",
    "Dust spots",
    "Other damage",
    '"Fading"',
    "'Fading'",
)
LIGHT_MODULES = (
    "mmseg_heritage",
    "mmseg_heritage.cli",
    "mmseg_heritage.taxonomy",
    "mmseg_heritage.errors",
    "mmseg_heritage.utils.files",
    "mmseg_heritage.utils.progress",
    "mmseg_heritage.dataprep.checks.pixels",
    "mmseg_heritage.dataprep.checks.folder_check",
    "mmseg_heritage.dataprep.checks.folder_report",
    "mmseg_heritage.dataprep.weights.weight_formulas",
    "mmseg_heritage.dataprep.class_file",
    "mmseg_heritage.dataprep.layout",
    "mmseg_heritage.images.photographs",
    "mmseg_heritage.images.masks",
    "mmseg_heritage.sample_set",
    "mmseg_heritage.dataprep.splits.split",
    "mmseg_heritage.evaluation.counts.confusion",
    "mmseg_heritage.visualization.figures.panels",
)


def _from_hex(color):
    return tuple(bytes.fromhex(color.removeprefix("#")))


def test_ids_names_and_palette_are_the_official_ones():
    rows = [line.split(maxsplit=2) for line in OFFICIAL.strip().splitlines()]
    expected = [(int(id_), name, _from_hex(color)) for id_, color, name in rows]
    assert [(c.id, c.name, c.color) for c in ARTEFACT.classes] == expected
    assert (BACKGROUND.name, BACKGROUND.color) == ("Background", _from_hex("#5A0007"))
    assert IGNORE_INDEX == 255


def test_materials_and_contents_have_the_data_sets_spelling(shared_data):
    path = shared_data / "artefact_metadata" / "metadata.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["material"] for row in rows} == set(MATERIALS)
    assert {row["content"] for row in rows} == set(CONTENTS)


@pytest.mark.parametrize(
    ("level", "members"),
    [
        (
            "coarse",
            {
                "Structural": "Material loss, Peel, Scratch, Fold, Cracks, Puncture",
                "Surface": "Dust, Hair, Dirt",
                "Colour": "Staining, Burn marks, Lightleak",
                "Addition": "Writing, Stamp, Sticker",
            },
        ),
        (
            "coarse_by_id",
            {
                "Group 0": "Material loss, Peel, Dust, Scratch",
                "Group 1": "Hair, Dirt, Staining, Stamp",
                "Group 2": "Fold, Cracks, Puncture",
                "Group 3": "Writing, Sticker, Burn marks, Lightleak",
            },
        ),
        (
            "binary",
            {
                "Clean": "Clean",
                "Damage": "Material loss, Peel, Dust, Scratch, Hair, Dirt, Fold, Writing, Cracks, "
                "Staining, Stamp, Sticker, Puncture, Burn marks, Lightleak",
            },
        ),
    ],
)
def test_levels_group_the_classes_as_designed(level, members):
    groups = {name: set(names.split(", ")) for name, names in members.items()}
    assert list(ARTEFACT.levels[level].classes) == list(groups)
    found = {name: set() for name in groups}
    ignored = set()
    for fine, group in zip(ARTEFACT.classes, ARTEFACT.levels[level].fine_to_group, strict=True):
        (ignored if group == IGNORE_INDEX else found[ARTEFACT.levels[level].classes[group]]).add(
            fine.name
        )
    assert found == groups
    assert ignored == ({"Clean"} if level.startswith("coarse") else set())


def test_a_color_is_what_its_text_says():
    assert color_of_hex("#0a00Ff") == (10, 0, 255)
    assert hex_color(color_of_hex("#123abc")) == "#123abc"


def test_every_level_names_and_colors_each_group_once():
    assert set(ARTEFACT.levels) == {"fine", "coarse", "coarse_by_id", "binary"}
    for level in ARTEFACT.levels.values():
        assert len(set(level.classes)) == len(level.classes) == len(set(level.colors))
        assert set(level.fine_to_group) - {IGNORE_INDEX} == set(range(len(level.classes)))
    assert ARTEFACT.levels["fine"].fine_to_group == tuple(range(16))


def test_missing_colors_are_distinct_and_given_ones_stay():
    given = [None, (1, 2, 3), None, GROUP_COLORS[0], *[None] * 60]
    colors = fill_colors(given)
    assert (colors[1], colors[3]) == (given[1], given[3])
    assert colors[0] == GROUP_COLORS[1]
    taken = [*colors, BACKGROUND.color, (0, 0, 0), (255, 255, 255)]
    near = [
        (a, b) for a, b in combinations(taken, 2)
        if sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) < 30**2 and (1, 2, 3) not in (a, b)
    ]  # fmt: skip
    assert near == []


def test_names_alone_bring_what_is_known_of_them():
    known = named_classes(("Cracks", "Clean"))
    assert known.ids == (9, 0)
    assert known.levels["coarse"].fine_to_group == (0, IGNORE_INDEX)
    own = named_classes(("Clean", "Moss"))
    assert own.ids == (0, 1)
    assert list(own.levels) == ["fine", "binary"]


def test_the_false_class_list_is_nowhere_in_the_package():
    root = Path(mmseg_heritage.__file__).parent
    # The folder .mim holds links to configs and tools in a development install.
    files = [p for p in root.rglob("*") if p.suffix in {".py", ".json", ".yml", ".csv", ".txt"}]
    files += list((root.parent / "configs").rglob("*.py"))
    assert len(files) > 20
    found = [
        f"{path}: {name}"
        for path in files
        for name in FALSE_NAMES
        if name.lower() in path.read_text(encoding="utf-8").lower()
    ]
    assert found == []


def test_offline_modules_load_neither_torch_nor_openmmlab():
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'mmengine', 'mmcv', 'mmseg', 'matplotlib'} & sys.modules.keys()\n"
        "    assert not heavy, f'{name} loads {heavy}'\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *LIGHT_MODULES], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
