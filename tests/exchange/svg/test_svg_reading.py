"""SVG files as people leave them: moved, transformed, with shapes of other kinds."""

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import Legend
from mmseg_heritage.exchange.svg.svg_reading import read_svg
from mmseg_heritage.exchange.svg.svg_shapes import shape_rings, transform_of
from mmseg_heritage.taxonomy import ARTEFACT

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30" '
LINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


def read(tmp_path, body, head=HEAD, size=(40, 30)):
    path = tmp_path / "map.svg"
    path.write_text(f"{head} {LINK}>{body}</svg>", encoding="utf-8")
    return read_svg(path, size, Legend(ARTEFACT, {"Grietas": "Cracks"}, "Clean"))


def box(ids, value=9):
    """Returns left, top, right and bottom of what has a value, and whether it fills that."""
    rows, columns = np.nonzero(ids == value)
    place = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return *map(int, place), len(rows) == (place[2] - place[0]) * (place[3] - place[1])


SQUARE = '<path id="p" d="M2 3L8 3L8 9L2 9Z"/>'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<g id="Cracks">{SQUARE}</g>', (2, 3, 8, 9, True)),
        (f'<g id="Grietas">{SQUARE}</g>', (2, 3, 8, 9, True)),
        (f'<g id="Cracks" transform="translate(4,5)">{SQUARE}</g>', (6, 8, 12, 14, True)),
        (f'<g id="Cracks"><g id="g12" transform="scale(2)">{SQUARE}</g></g>', (4, 6, 16, 18, True)),
        (f'<g id="Cracks" transform="matrix(0 1 1 0 0 0)">{SQUARE}</g>', (3, 2, 9, 8, True)),
        (f'<g id="Cracks" transform="rotate(90 20 15)">{SQUARE}</g>', (26, -3 + 0, 32, 3, True)),
        ('<g id="Cracks"><path d="m2 3h6v6h-6z"/></g>', (2, 3, 8, 9, True)),
        ('<g id="Cracks"><rect x="2" y="3" width="6" height="6"/></g>', (2, 3, 8, 9, True)),
        ('<g id="Cracks"><polygon points="2,3 8,3 8,9 2,9"/></g>', (2, 3, 8, 9, True)),
        ('<g id="Cracks"><circle cx="20" cy="15" r="5"/></g>', (15, 10, 25, 20, False)),
        ('<g id="Cracks"><path d="M15 15a5 5 0 1 1 10 0a5 5 0 11-10 0z"/></g>',
         (15, 10, 25, 20, False)),
    ],
)  # fmt: skip
def test_shapes_lie_where_they_are_seen(body, expected, tmp_path):
    found = box(read(tmp_path, body).class_map)
    expected = (expected[0], max(expected[1], 0), *expected[2:])
    assert found == expected


def test_the_place_of_the_photograph_says_where_pixels_are(tmp_path):
    """Illustrator writes other units, and moves everything alike."""
    body = (
        '<g id="Photograph"><image x="10" y="20" width="80" height="60" xlink:href="a.png"/></g>'
        '<g id="Cracks"><path d="M14 26L26 26L26 38L14 38Z"/></g>'
    )
    head = HEAD.replace("0 0 40 30", "0 0 300 200")
    assert box(read(tmp_path, body, head).class_map) == (2, 3, 8, 9, True)


def test_fill_rules(tmp_path):
    rings = "M0 0H10V10H0ZM3 3H6V6H3Z"
    for style, inner in (("", 9), ("fill-rule:evenodd", 0), ("fill-rule:nonzero", 9)):
        ids = read(tmp_path, f'<g id="Cracks" style="{style}"><path d="{rings}"/></g>').class_map
        assert ids[4, 4] == inner, style


def test_what_lies_on_top_counts_and_is_said(tmp_path):
    body = f'<g id="Cracks">{SQUARE}</g><g id="Fold"><rect x="5" y="3" width="9" height="6"/></g>'
    reading = read(tmp_path, body)
    assert reading.class_map[4, 6] == 7
    assert reading.notes == ["18 pixels in two classes: what was drawn later, on top, counts"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f'<g id="Crackz">{SQUARE}</g>', "'Crackz' is no class; did you mean Cracks"),
        (SQUARE, "'p': is in no layer, or group, that names its class"),
        ('<g id="Cracks"><path id="q" d="M0 0L5"/></g>', "'q': the data of the path are damaged"),
        ('<g id="Cracks"><path id="q" d="M0 0L5 x"/></g>', "'q': the data of the path"),
        ('<g id="Cracks"><rect id="q" width="5%" height="2"/></g>', "'q': width: expected a numb"),
        ('<g id="Cracks"><path id="q" d="M0 0L1e300 1e300 0 9Z"/></g>', "'q': has coordinates"),
        ('<g id="Cracks" transform="turn(3)"/>', "'Cracks': no transform: turn of 1 numbers"),
        ('<g id="Cracks"><text id="q">a</text></g>', "'q': <text> has no area"),
        ('<g id="Cracks"><path id="q" style="fill:none" d="M0 0L5 5"/></g>', "a line without fill"),
    ],
)
def test_what_cannot_be_read_is_named(body, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, body)
    assert message in str(caught.value)


def test_all_problems_are_said_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, f'<g id="Crackz">{SQUARE}</g><g id="Fold"><text/></g>')
    assert len(caught.value.problems) == 2


def test_curves_against_their_formula():
    (ring,) = shape_rings("path", {"d": "M0 0C0 8 8 8 8 0Z"})
    t = np.linspace(0, 1, len(ring))[:, None]
    expected = 3 * (1 - t) ** 2 * t * [0, 8] + 3 * (1 - t) * t**2 * [8, 8] + t**3 * [8, 0]
    assert np.allclose(ring, expected)
    (smooth,) = shape_rings("path", {"d": "M0 0Q2 4 4 0T8 0Z"})
    assert np.isclose(smooth[:, 1].min(), -2)


def test_transforms_are_applied_from_the_right():
    assert np.allclose(transform_of("translate(3) scale(2, 4)") @ [1, 1, 1], [5, 4, 1])
    assert np.allclose(transform_of("skewX(45)") @ [0, 2, 1], [2, 2, 1])
