"""Ids must be file names on every system."""

import pytest

from mmseg_heritage.dataprep.ids import id_problems


@pytest.mark.parametrize("sample_id", ["a", "001", "IMG_0001-2", "a.b", "x" * 128, "com", "_"])
def test_names_that_every_system_has_pass(sample_id):
    assert id_problems([("here", sample_id)]) == []


@pytest.mark.parametrize(
    "sample_id",
    ["", "a b", "../a", "a/b", "a\\b", "a.", ".a", "Öl", "x" * 129, "con", "LPT1.png", "a\n", "-a"],
)
def test_others_are_named_with_their_place(sample_id):
    (problem,) = id_problems([("here", sample_id)])
    assert problem.startswith("here: the id ")
    assert "cannot name a file" in problem


def test_ids_that_differ_in_case_alone_are_one_file():
    problems = id_problems([("x", "a"), ("y", "b"), ("z", "A"), ("w", "a")])
    assert problems == ["z: the id 'A' is also that of x", "w: the id 'a' is also that of x"]
