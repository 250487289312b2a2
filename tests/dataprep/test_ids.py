"""Ids must be file names on every system."""

import unicodedata
from pathlib import Path

import pytest

from mmseg_heritage.dataprep.ids import escaped, id_of, id_problems, is_unicode, similar_names


@pytest.mark.parametrize(
    "sample_id",
    ["a", "001", "IMG_0001-2", "a.b", "x" * 200, "com", "_", "a b", "Öl (1)", "絵_1", "ä" * 100],
)
def test_names_that_every_system_has_pass(sample_id):
    assert id_problems([("here", sample_id)]) == []


@pytest.mark.parametrize(
    "sample_id",
    [
        "",
        "../a",
        "a/b",
        "a\\b",
        "a.",
        ".a",
        "a ",
        " a",
        "x" * 201,
        "ä" * 101,
        "con",
        "LPT1.png",
        "a\n",
        "-a",
        "a:b",
        "a?",
        "caf\udce9",
    ],
)
def test_others_are_named_with_their_place(sample_id):
    (problem,) = id_problems([("here", sample_id)])
    assert problem.startswith("here: the id ")
    assert "cannot name a file" in problem


def test_ids_that_differ_in_case_alone_are_one_file():
    problems = id_problems([("x", "a"), ("y", "b"), ("z", "A"), ("w", "a")])
    assert problems == ["z: the id 'A' is also that of x", "w: the id 'a' is also that of x"]


def test_accents_written_in_two_ways_are_one_id():
    names = [unicodedata.normalize(form, "Gemälde é.jpg") for form in ("NFC", "NFD")]
    assert names[0] != names[1]
    assert {id_of(Path(name)) for name in names} == {"Gemälde é"}


def test_names_of_older_encodings_are_shown_escaped():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert not is_unicode(name)
    assert escaped(name) == r"caf\xe9.jpg"
    assert is_unicode("café.jpg")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("IMG_001", "img_001"), ("001", "1"), ("001", "1.0"), ("a", "a.jpg"), ("a.JPG", "a"),
        ("a ", "a"), ("a", "a_mask"), ("a", "a-labels"), ("a", "a GT"), ("a", "a.jpg_mask"),
    ],
)  # fmt: skip
def test_what_programs_change_in_names_is_recognized(name, other):
    assert similar_names([name], [other, "other"]) == {name: other}
    assert similar_names([name], [other, other.upper() + " "]) == {}  # which of the two?


def test_other_names_are_not_taken_for_each_other():
    assert similar_names(["10", "a1", "mask"], ["1", "a", "a_2", "other"]) == {}
