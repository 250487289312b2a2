"""JSON of others is of the form that is expected, or every difference is named."""

import math

import pytest

from mmseg_heritage.utils import json_reading
from mmseg_heritage.utils.json_reading import form_problems, parse_json

FORM = {"name": str, "count": (int, None), "scores": [float], "by": {str: {"on": bool}}}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"name": "a", "count": 3, "scores": [1, 2.5], "by": {"x": {"on": True}}, "more": object()},
        {"count": None, "scores": [], "by": {}},
    ],
)
def test_what_has_the_form_passes(content):
    assert list(form_problems(content, FORM, "run")) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "run: expected an object, found a list"),
        ({"name": 3}, "run.name: expected text, found a whole number"),
        ({"name": "\ud800"}, "run.name: expected text, found text"),
        ({"count": True}, "run.count: expected a whole number or null, found true or false"),
        ({"count": 10**30}, "run.count: expected a whole number or null, found a whole number"),
        ({"scores": [1, None]}, "run.scores[1]: expected a number, found null"),
        ({"scores": [math.nan]}, "run.scores[0]: expected a number, found a number"),
        ({"scores": [math.inf]}, "run.scores[0]: expected a number, found a number"),
        ({"by": {"x": {"on": 1}}}, "run.by.x.on: expected true or false, found a whole number"),
    ],
)
def test_what_has_not_is_named_by_its_place(content, problem):
    assert list(form_problems(content, FORM, "run")) == [problem]


def test_all_problems_are_found():
    content = {"name": None, "count": "x", "scores": ["a", 1, "b"]}
    assert len(list(form_problems(content, FORM, "run"))) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "Expecting"),
        (b"\xff", "codec"),
        (b"[" * 200_000, "nested too deep"),
        (b"1" * 5001, "Exceeds the limit"),
        (b"[" + b"1," * 600 + b"1]", "expected at most 1000"),
    ],
)
def test_what_cannot_be_read_is_one_kind_of_error(tmp_path, monkeypatch, text, message):
    if "1000" in message:
        monkeypatch.setattr(json_reading, "MAX_BYTES", 1000)
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        parse_json(tmp_path / "a.json")
