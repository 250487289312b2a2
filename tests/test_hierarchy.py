"""Trees of classes: what is read, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.errors import InputError
from mmseg_heritage.hierarchy import parents, read_levels
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, DamageClass, named_classes, own_classes

CLASSES = named_classes(("clean", "a", "b", "c", "d"))


def problems_of(levels, classes=CLASSES):
    with pytest.raises(InputError) as caught:
        read_levels(levels, classes)
    return caught.value.problems


def test_known_levels_are_those_of_the_taxonomy():
    levels = read_levels({"binary": "binary", "groups": "coarse_by_id"})
    assert levels == {
        "binary": ARTEFACT.levels["binary"],
        "groups": ARTEFACT.levels["coarse_by_id"],
    }


def test_a_level_set_to_none_is_left_out():
    levels = read_levels({"binary": None, "groups": {"x": [0, 1], "y": [2, 3, 4]}}, CLASSES)
    assert list(levels) == ["groups"]


def test_own_classes_bring_their_levels():
    classes = own_classes(
        [
            DamageClass(0, "Clean", (0, 0, 0)),
            DamageClass(7, "Mold", (0, 90, 0), "Biological"),
            DamageClass(3, "Salt", (9, 9, 90), "Chemical"),
            DamageClass(4, "Algae", (90, 0, 0), "Biological"),
        ]
    )
    levels = read_levels({"damage": "binary", "groups": "coarse"}, classes)
    assert levels["damage"].classes == ("Clean", "Damage")
    assert levels["damage"].fine_to_group == (0, 1, 1, 1)
    assert levels["groups"].classes == ("Biological", "Chemical")
    assert levels["groups"].fine_to_group == (IGNORE_INDEX, 0, 1, 0)
    assert levels["groups"].colors == classes.levels["coarse"].colors


def test_what_is_no_tree_is_refused():
    with pytest.raises(InputError, match="expected a dict of level name"):
        read_levels([["x"]], CLASSES)


def test_members_are_ids_names_or_groups_of_another_level():
    levels = read_levels(
        {
            "binary": {"Clean": ["clean"], "Damage": ["left", "right"]},
            "groups": {"left": [1, "b"], "right": ["c", 4]},
        },
        CLASSES,
    )
    assert levels["binary"].fine_to_group == (0, 1, 1, 1, 1)
    assert levels["groups"].fine_to_group == (IGNORE_INDEX, 0, 0, 1, 1)
    assert levels["groups"].classes == ("left", "right")
    assert len(levels["groups"].colors) == 2


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"binary": {"x": [0, 1, 2], "y": [2, 3, 4]}}, "class 'b' is in two groups"),
        ({"binary": {"x": [0, 1, 2], "y": [3]}}, "class 'd' is in no group of any level"),
        ({"binary": {"x": [0, 1, 1, 2, 3, 4]}}, "class 'a' is in two groups or twice in one"),
        ({"binary": {"x": ["clean", "rust"]}}, "names 'rust': no class and no group"),
        ({"binary": {"x": [7]}}, "names '7': no class and no group"),
        ({"binary": {"x": ["y"]}, "groups": {"y": ["x"]}}, "groups contain each other: x -> y"),
        ({"binary": {"x": ["x"]}}, "groups contain each other: x -> x"),
        ({"binary": {"x": []}}, "group 'x' is empty"),
        ({"binary": {}}, "binary: has no groups"),
        ({"fine": {"x": [0, 1, 2, 3, 4]}}, "fine: this is the name of the classes"),
        ({"binary": {"x": "clean"}}, "group 'x' expected a list of classes or groups"),
        ({"binary": {"x": 5}}, "group 'x' expected a list of classes or groups, found 5"),
        ({"binary": [[0, 1]]}, "expected the name of a level or {group: members}"),
        ({"binary": {"x": [0, True, 2, 3, 4]}}, "names 'True': no class and no group"),
        ({"binary": {"x": [0, [1, 2], 3, 4]}}, "names '[1, 2]': no class and no group"),
        ({"a.b": {"x": [0, 1, 2, 3, 4]}}, "level 'a.b': expected a name of letters"),
        ({"binary": "bynary"}, "binary: the classes have no level 'bynary'"),
        ({"binary": "binary"}, "no level 'binary'; known: none; give the classes groups"),
        (
            {"binary": {"x": [0, 1], "y": [2, 3, 4]}, "groups": {"z": [1, 2]}},
            "groups: group 'z' is spread over 'x', 'y' of binary",
        ),
    ],
)
def test_what_is_wrong_with_a_tree_is_said(levels, expected):
    assert any(expected in problem for problem in problems_of(levels)), problems_of(levels)


def test_all_problems_are_said_at_once():
    found = problems_of({"binary": {"x": ["rust"], "y": [0, 0]}})
    assert len(found) == 3  # an unknown member, an empty group, a repeated class


def test_a_node_hangs_below_the_nearest_level_that_has_it():
    levels = read_levels({"binary": "binary", "coarse": "coarse"})
    above = parents(levels, 16)
    assert above["binary"] == [None, None]
    assert above["coarse"] == [("binary", 1)] * 4
    assert above["fine"][0] == ("binary", 0)  # Clean is in no group of damage
    assert above["fine"][9] == ("coarse", 0)


@given(st.data())
def test_in_any_nested_tree_parents_hold_their_children(data):
    coarse = data.draw(st.lists(st.integers(0, 2), min_size=2, max_size=8))
    coarse = [sorted(set(coarse)).index(g) for g in coarse]
    halves = data.draw(st.lists(st.integers(0, 1), min_size=len(coarse), max_size=len(coarse)))
    names = [f"class {i}" for i in range(len(coarse))]
    levels = {
        "coarse": {
            f"c{g}": [i for i, x in enumerate(coarse) if x == g] for g in sorted(set(coarse))
        },
        "middle": {
            f"m{g}.{h}": [i for i, x in enumerate(zip(coarse, halves, strict=True)) if x == (g, h)]
            for g, h in sorted(set(zip(coarse, halves, strict=True)))
        },
    }
    read = read_levels(levels, named_classes(names))
    above = parents(read, len(names))
    for i, parent in enumerate(above["fine"]):
        assert parent == ("middle", read["middle"].fine_to_group[i])
        assert above["middle"][parent[1]] == ("coarse", coarse[i])
