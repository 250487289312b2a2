"""Classes of a data set's own: what classes.json says, and everything that can be wrong in it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_heritage.dataprep.class_file import (
    SCHEMA,
    find_classes,
    parse_classes,
    read_classes,
    write_classes,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, BACKGROUND


@pytest.fixture
def write(tmp_path):
    def write(*classes, **content):
        path = tmp_path / "classes.json"
        path.write_text(json.dumps({"schema": SCHEMA, "classes": list(classes)} | content))
        return path

    return write


def test_ids_are_positions_and_colors_are_found_where_none_are_given(write):
    classes = read_classes(write("Clean", {"name": "Mold", "color": "#0a0B0c"}, {"name": "Salt"}))
    assert [(c.id, c.name, c.group) for c in classes.classes] == [
        (0, "Clean", ""), (1, "Mold", ""), (2, "Salt", ""),
    ]  # fmt: skip
    assert classes.colors[:2] == ((0, 0, 0), (10, 11, 12))
    assert len({*classes.colors, BACKGROUND.color}) == 4


def test_kinds_are_given_or_follow_from_the_names_of_artefact(write):
    classes = read_classes(write("Clean", "cracks", {"name": "Joint", "kind": "line"}, "Puncture"))
    assert classes.kinds == ("area", "line", "line", "count")
    assert read_classes(write({"name": "Cracks", "kind": "area"})).kinds == ("area",)


def test_levels_follow_from_clean_and_from_groups(write):
    classes = read_classes(
        write({"name": "Mold", "group": "Alive"}, "Clean", {"name": "Salt", "group": "Mineral"})
    )
    assert list(classes.levels) == ["fine", "coarse", "binary"]
    assert classes.levels["coarse"].classes == ("Alive", "Mineral")
    assert classes.levels["coarse"].fine_to_group == (0, 255, 1)
    assert classes.levels["binary"].fine_to_group == (1, 0, 1)
    assert list(read_classes(write("Mold", "Salt")).levels) == ["fine"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            {"name": "B", "colr": "#000000"},
            "'B': unknown key 'colr'; did you mean color",
        ),
        ({"name": "B", "id": 255}, "class 1 'B': id: expected a mask value 0..254, found 255"),
        ({"name": "B", "id": True}, "id: expected a mask value 0..254, found True"),
        (
            {"name": "B", "kind": "lines"},
            "class 1 'B': kind: expected area, line, count, found 'lines'; did you mean line",
        ),
        ({"name": "B", "kind": ["line"]}, "kind: expected area, line, count, found ['line']"),
        ({"name": "B", "id": 0}, "class 1 'B': has the id of class 0 'A'"),
        ({"name": "a"}, "class 1 'a': has the name of class 0 'A'"),
        ({"name": ""}, "class 1: name: expected a text"),
        ({"name": " B"}, "class 1: name: expected a text without space around it"),
        ({"name": "B\nC"}, "expected a text in one line"),
        ({"name": "Ignore"}, "'Ignore' is what 255 is called"),
        ({"id": 3}, "class 1: name: expected a text"),
        ({"name": "B", "color": "red"}, 'color: expected "#rrggbb" or three numbers 0..255'),
        ({"name": "B", "color": [0, 0, 256]}, "color: expected"),
        ({"name": "B", "color": [0, 0]}, "color: expected"),
        ({"name": "B", "color": [1, 2, 3]}, "class 1 'B': has the color of class 0 'A'"),
        ({"name": "B", "group": ""}, "group: expected a text"),
        (7, "class 1: expected a name or an object with a name, found 7"),
    ],
)
def test_what_is_wrong_with_a_class_is_said(write, entry, problem):
    path = write({"name": "A", "color": "#010203"}, entry)
    with pytest.raises(InputError, match=r"classes\.json: the classes cannot be used") as caught:
        read_classes(path)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_all_problems_are_said_at_once(write):
    path = write({"name": "A", "id": -1}, {"name": "B", "color": 3}, "A", clases=[])
    with pytest.raises(InputError) as caught:
        read_classes(path)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("text", ["[", "[]", "{}", '{"schema": "mmseg_heritage/classes/2"}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(InputError, match="expected a list of classes"):
        read_classes(path)


@pytest.mark.parametrize("classes", [[], "Clean", {"Clean": 0}, None])
def test_an_empty_list_and_another_form_are_refused(classes):
    assert "classes: expected a list such as" in parse_classes(classes)[1][0]


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(f'{{"schema": "{SCHEMA}", "classes": ["A"], "classes": ["B"]}}')
    with pytest.raises(InputError, match="there twice: 'classes'"):
        read_classes(path)


def test_a_folder_without_the_file_has_the_classes_of_artefact(tmp_path, write):
    assert find_classes(tmp_path) is ARTEFACT
    write("Mold")
    assert find_classes(tmp_path).names == ("Mold",)
    with pytest.raises(InputError, match=r"other\.json: no such file"):
        find_classes(tmp_path, "other.json")


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from(["", "g", "h"])), min_size=1, max_size=12,
        unique_by=lambda row: row[0].casefold(),
    ),
    st.lists(st.integers(0, 254), min_size=12, max_size=12, unique=True),
)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path_factory, rows, ids):
    entries = [
        {"name": name, "id": ids[i], **({"group": group} if group else {})}
        for i, (name, group) in enumerate(rows)
        if name.casefold() != "ignore"
    ]
    classes, problems = parse_classes(entries or ["A"])
    assert problems == []
    assert len(set(classes.colors)) == len(classes.colors)
    path = tmp_path_factory.mktemp("classes") / "classes.json"
    write_classes(path, classes)
    assert read_classes(path) == classes
