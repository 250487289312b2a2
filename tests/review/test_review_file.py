"""Files of the review page, and what is refused in them."""

import copy
import json

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.quantities.scale import Scale
from mmseg_heritage.review.review_file import MAX_POINTS, SCHEMA, read_review

FACTS = {
    "image_sha256": "a" * 64, "class_map_sha256": "b" * 64, "checkpoint_sha256": "c" * 64,
    "width": 40, "height": 30,
}  # fmt: skip
WHO = {"photograph": "wall", "by": "AB", "at": "2026-11-28T10:02:11+01:00"}
REGION = {"number": 3, "class": "Cracks", "box": [1, 2, 5, 6], "pixels": 12}
ACTS = [
    {"id": "00000001", "kind": "relabel", "region": REGION, "class": "Dirt", **WHO},
    {"id": "00000002", "kind": "paint", "class": "Peel", "radius": 2.5,
     "points": [[1, 2], [3.5, 4]], **WHO},
    {"id": "00000003", "kind": "comment", "text": "<b>dark</b>", **WHO, "at": "2026-11-28T09:02Z"},
    {"id": "00000004", "kind": "finish", **WHO},
]  # fmt: skip
CONTENT = {"schema": SCHEMA, "run": "0" * 64, "photographs": {"wall": FACTS}, "acts": ACTS}


@pytest.fixture
def written(tmp_path):
    """Function that writes a changed review and returns its path."""

    def write(change=lambda content: None):
        content = copy.deepcopy(CONTENT)
        change(content)
        path = tmp_path / "review.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_what_is_read(written):
    found = read_review(written())
    assert [act.kind for act in found.acts] == ["relabel", "paint", "comment", "finish"]
    relabel, paint, comment, _ = found.acts
    assert (relabel.region.box, relabel.class_name) == ((1, 2, 5, 6), "Dirt")
    assert (paint.points, paint.radius) == (((1.0, 2.0), (3.5, 4.0)), 2.5)
    assert comment.text == "<b>dark</b>"
    assert found.reviewers == "AB"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c["acts"][0].update(kind="delete"), "expected accept, reject"),
        (lambda c: c["acts"][0].pop("region"), "relabel: without region"),
        (lambda c: c["acts"][0]["region"].update(box=[1, 2, 0, 6]), "region.box: expected left"),
        (lambda c: c["acts"][0]["region"].pop("pixels"), "region: without pixels"),
        (lambda c: c["acts"][0].update(clas="x"), "unknown key 'clas'; did you mean class?"),
        (lambda c: c["acts"][1].update(radius=1e9), "radius: expected 0.5 to 2000"),
        (lambda c: c["acts"][1].update(points=[]), "expected at least one pair"),
        (lambda c: c["acts"][1].update(points=[[1, 2, 3]]), "expected at least one pair"),
        (lambda c: c["acts"][1].update(points=[[1, 1e6]]), "places on a photograph of 40x30"),
        (lambda c: c["acts"][1].update(points=[["x", 1]]), "expected a number, found text"),
        (lambda c: c["acts"][1].update(id="00000001"), "is there twice"),
        (lambda c: c["acts"][1].update(id="../../x"), "hexadecimal"),
        (lambda c: c["acts"][1].update(by=" "), "expected initials"),
        (lambda c: c["acts"][1].update(by="a\nb"), "expected initials"),
        (lambda c: c["acts"][1].update(at="yesterday"), "expected a date"),
        (lambda c: c["acts"][1].update(at="2026-11-28T10:02:11"), "with offset"),
        (
            lambda c: c["acts"][1].update(radius=2000, points=[[1, 2]] * 2000),
            "larger than anyone draws",
        ),
        (lambda c: c["acts"][2].update(text="x" * 3000), "at most 2000 characters"),
        (lambda c: c["acts"][2].update(photograph="floor"), "'floor' is not among"),
        (lambda c: c["photographs"]["wall"].pop("width"), "'width' is missing"),
        (lambda c: c.pop("acts"), "'acts' is missing"),
        (lambda c: c.update(acts={}), "expected a list, found an object"),
    ],
)
def test_what_is_refused(written, change, problem):
    with pytest.raises(InputError) as caught:
        read_review(written(change))
    assert problem in "\n".join(caught.value.problems)


def test_all_problems_are_said_at_once(written):
    def change(content):
        content["acts"][0]["kind"] = "delete"
        content["acts"][1]["radius"] = 0

    with pytest.raises(InputError) as caught:
        read_review(written(change))
    assert len(caught.value.problems) == 2


def test_no_review(tmp_path, written):
    with pytest.raises(InputError, match="no such file"):
        read_review(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"expected a review.*found other/1"):
        read_review(written(lambda c: c.update(schema="other/1")))
    path = tmp_path / "bad.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="expected a review"):
        read_review(path)


def test_more_points_than_anyone_draws(written, monkeypatch):
    monkeypatch.setattr("mmseg_heritage.review.review_file.MAX_POINTS", 1)
    assert MAX_POINTS > 1
    with pytest.raises(InputError) as caught:
        read_review(written())
    assert "expected at most 1 points of strokes, found 2" in caught.value.problems[0]


def scaled(**changes):
    act = {"id": "00000005", "kind": "scale", "points": [[1, 2], [31, 2]], "length": 3,
           "unit": "cm", **WHO}  # fmt: skip
    return lambda content: content["acts"].append({**act, **changes})


def test_a_scale(written):
    act = read_review(written(scaled())).acts[-1]
    assert act.scale(None).across == act.scale(None).down == 1
    stretched = act.scale(Scale(2, 3, ""))
    assert (stretched.across, stretched.down) == (1, 1.5)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unit": "km"}, "length above 0 in mm, cm, m, in"),
        ({"length": 0}, "length above 0"),
        ({"length": -2}, "length above 0"),
        ({"points": [[1, 2]]}, "two ends of a length, found 1"),
        ({"points": [[1, 2], [3, 4, 5]]}, "two ends of a length"),
        ({"points": [[1, 2], [41, 2]]}, "on a photograph of 40x30"),
        ({"points": [[1, 2], [10, 2]]}, "at least 10 pixels apart"),
        ({"length": 30, "unit": "m"}, "40 m by 30 m, which is not believed"),
        ({"length": 0.01, "unit": "mm"}, "which is not believed"),
    ],
)
def test_scales_that_cannot_be(written, changes, problem):
    with pytest.raises(InputError) as raised:
        read_review(written(scaled(**changes)))
    assert problem in str(raised.value)


def test_a_scale_without_its_length(written):
    def change(content):
        scaled()(content)
        del content["acts"][-1]["length"]

    with pytest.raises(InputError) as raised:
        read_review(written(change))
    assert "scale: without length" in str(raised.value)
