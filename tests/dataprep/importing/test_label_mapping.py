"""Mapping files: what they say, and every way in which they can be wrong."""

import json

import numpy as np
import pytest

from mmseg_heritage.dataprep.importing.label_mapping import SCHEMA, SHIPPED, load_mapping
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, BACKGROUND


@pytest.fixture
def load(tmp_path):
    def load(**content):
        path = tmp_path / "mine.json"
        path.write_text(json.dumps({"schema": SCHEMA, "values": {"0": "Clean"}} | content))
        return load_mapping(path)

    return load


def ids_of(mapping, values):
    numbers = mapping.table[values]
    return [int(i) if n else None for i, n in zip(mapping.class_ids[numbers], numbers, strict=True)]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("128", [128], [0, 127, 129, 65535]),
        (">=128", [128, 255, 65535], [0, 127]),
        ("> 128", [129, 65535], [0, 128]),
        ("<128", [0, 127], [128, 255]),
        ("<=128", [0, 128], [129]),
        ("#0A0b0C", [0x0A0B0C], [0, 0x0C0B0A]),
    ],
)
def test_a_key_names_these_values_and_no_others(text, inside, outside, load):
    mapping = load(values={text: "Cracks"})
    assert ids_of(mapping, inside) == [9] * len(inside)
    assert ids_of(mapping, outside) == [None] * len(outside)


def test_values_may_be_numbers_and_limits_together(load):
    mapping = load(values={"<10": "Clean", ">=20": "Cracks", "15": "ignore"})
    assert ids_of(mapping, [0, 9, 10, 15, 19, 20]) == [0, 0, None, 255, None, 9]


def test_values_may_mean_classes_of_the_mapping(load):
    mapping = load(
        classes=["Sound", {"name": "Rotten", "id": 40}],
        values={"255": "Rotten", "0": "Sound", "7": "ignore"},
    )
    assert ids_of(mapping, [0, 7, 255]) == [0, 255, 40]
    assert mapping.classes.names == ("Sound", "Rotten")


def test_problems_of_classes_and_values_are_said_together(load):
    with pytest.raises(InputError) as caught:
        load(classes=["Sound", {"name": "Rotten", "id": 300}], sufix="")
    assert [problem.split(":")[0] for problem in caught.value.problems][:2] == [
        "unknown key 'sufix'; known", "class 1 'Rotten'",
    ]  # fmt: skip
    with pytest.raises(InputError) as caught:
        load(classes=["Sound", "Rotten"], values={"0": "Roten", "1": "Cracks"})
    assert "did you mean Rotten" in caught.value.problems[0]
    assert "'1' means 'Cracks', which is no class" in caught.value.problems[1]


def test_all_else_has_a_default(load):
    mapping = load()
    assert mapping.name == "mine"
    assert (mapping.suffix, mapping.extension, mapping.mat_variable, mapping.about) == ("",) * 4
    assert (mapping.constants, mapping.columns) == ({}, {})
    assert mapping.source_id is mapping.group_id is None
    assert not mapping.in_color


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"vlaues": {}}, "unknown key 'vlaues'; did you mean values or classes?"),
        ({"xyz": 1}, "unknown key 'xyz'; known: schema, name"),
        ({"masks": {"sufix": "_m"}}, "unknown key 'masks.sufix'; did you mean suffix?"),
        ({"metadata": {"constants": {"matreial": "Paper"}}}, "did you mean material?"),
        ({"metadata": {"constants": {"id": "x"}}}, "unknown key 'metadata.constants.id'"),
        ({"values": {}}, "values: expected mask values"),
        ({"values": ["Clean"]}, "values: expected mask values"),
        (
            {"values": {"0": "Crack"}},
            "'0' means 'Crack', which is no class; did you mean Cracks or ",
        ),
        ({"values": {"0": 9}}, "'0' means 9, which is no class; expected one of Clean, "),
        ({"values": {"0": ["Clean"]}}, "which is no class"),
        ({"values": {"-1": "Clean"}}, "'-1' is no mask value"),
        ({"values": {"65536": "Clean"}}, "'65536' is no mask value"),
        ({"values": {"9" * 5000: "Clean"}}, "is no mask value"),
        ({"values": {"<0": "Clean"}}, "'<0' is no mask value"),
        ({"values": {"#12345": "Clean"}}, "'#12345' is no mask value"),
        ({"values": {"red": "Clean"}}, "'red' is no mask value"),
        ({"values": {"7": "Clean", "007": "Cracks"}}, "'7' and '007' both name 7"),
        ({"values": {"<9": "Clean", ">=8": "Cracks"}}, "'<9' and '>=8' both name 8"),
        ({"values": {"#ff0000": "Clean", "#FF0000": "Cracks"}}, "both name"),
        ({"values": {"0": "Clean", "#ff0000": "Cracks"}}, "numbers or colors, found both"),
        ({"masks": {"extension": "png"}}, "expected one like '.png'"),
        ({"masks": {"suffix": "../x"}}, "part of a file name"),
        ({"masks": {"mat_variable": "a", "extension": ".mat"}}, "leave it out"),
        ({"masks": {"mat_variable": "a"}, "values": {"#ff0000": "Clean"}}, "not colors"),
        ({"masks": {"suffix": 3}}, "masks.suffix: expected a text, found 3"),
        ({"masks": "_m"}, "masks: expected an object, found '_m'"),
        ({"metadata": {"columns": {"material": "kind"}}}, "id_column and columns together"),
        ({"metadata": {"id_column": "file"}}, "id_column and columns together"),
        (
            {
                "metadata": {
                    "constants": {"type": "x"},
                    "id_column": "file",
                    "columns": {"type": "kind"},
                }
            },
            "'type' is a constant and a column",
        ),
        (
            {"group_id": "(.)", "metadata": {"id_column": "f", "columns": {"group_id": "g"}}},
            "a rule or a column, found both",
        ),
        ({"source_id": "(.*"}, "is no regular expression"),
        ({"source_id": "^.*_tile"}, "expected one group"),
        ({"source_id": "(.*)_(.*)"}, "expected one group"),
        ({"name": ["x"]}, "name: expected a text"),
    ],
)
def test_each_fault_is_named(content, message, load):
    with pytest.raises(InputError) as caught:
        load(**content)
    assert caught.value.summary.endswith("mine.json: the mapping cannot be used")
    assert any(message in problem for problem in caught.value.problems), caught.value


def test_all_faults_are_named_at_once(load):
    with pytest.raises(InputError) as caught:
        load(values={"x": "Clean", "0": "Nothing"}, sorce_id="", masks={"extension": "png"})
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a mapping in JSON"),
        ('{"values": {"0": "Clean", "0": "Cracks"}}', "there twice: '0'"),
        ("[]", "found list"),
        ('{"schema": "mmseg_heritage/mapping/2"}', "found mmseg_heritage/mapping/2"),
        ("{}", "found None"),
        ("\xff", "expected a mapping in JSON"),
    ],
)
def test_what_is_no_mapping_is_refused(text, message, tmp_path):
    (tmp_path / "mine.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        load_mapping(tmp_path / "mine.json")


def test_shipped_mappings_can_be_named_and_a_missing_one_lists_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in SHIPPED.glob("*.json"):
        assert load_mapping(path.stem) == load_mapping(path)
        assert load_mapping(path).about
    with pytest.raises(InputError, match=r"crack: no such .* cracks_0, cracks_1, cracks_255"):
        load_mapping("crack")
    (tmp_path / "cracks_1").write_text("{")  # a file goes before a name
    with pytest.raises(InputError, match="expected a mapping in JSON"):
        load_mapping("cracks_1")


def test_the_colors_of_artefact_are_those_of_the_taxonomy():
    mapping = load_mapping("artefact_colors")
    wanted = {c.color: c.id for c in ARTEFACT.classes} | {BACKGROUND.color: 255}
    found = {
        tuple(int(code.text[i : i + 2], 16) for i in (1, 3, 5)): code.class_id
        for code in mapping.codes
    }
    assert found == wanted


def test_crackforest_has_the_values_of_its_mat_files_and_of_the_converted_masks():
    assert ids_of(load_mapping("crackforest"), range(6)) == [None, 0, 9, 0, 9, None]
    assert ids_of(load_mapping("crackforest_png"), [0, 1, 9, 255]) == [0, None, 9, None]
    assert load_mapping("crackforest").mat_variable == "groundTruth.Segmentation"


@pytest.mark.parametrize("crack", [0, 1, 255])
def test_binary_mappings_leave_no_value_to_be_guessed(crack):
    mapping = load_mapping(f"cracks_{crack}")
    named = {code.first: code.class_id for code in mapping.codes}
    assert named.pop(crack) == 9
    assert list(named.values()) == [0]
    assert np.count_nonzero(mapping.table) == 2
