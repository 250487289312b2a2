"""The page of a benchmark: names are escaped, nothing is loaded, what does not differ is said."""

import re

import pytest

from mmseg_heritage.evaluation.score_tables import Column, Table
from mmseg_heritage.visualization.report.benchmark_page import benchmark_page


def _difference(low, high):
    middle = None if low is None else (low + high) / 2
    return {"macro": {"difference": middle or 1.0, "low": low, "high": high, "p": 0.5}}


@pytest.fixture
def content():
    methods = {name: {"folds": {"a": 10.0 + i, "b": 20.0}} for i, name in enumerate(("erm", "x"))}
    return {
        "reference": "erm",
        "max_iters": 30,
        "runs": {"one": {}},
        "cost": {"erm": {}, "x": {}},
        "definitions": {"in_domain": "5 < 6 & more"},
        "families": {"contents": {"methods": methods, "differences": {"x": _difference(-1, 3)}}},
    }


def _page(content):
    table = Table("Scores", [Column("method", "method")], [{"method": "<script>x</script>"}])
    return benchmark_page(content, [table])


def test_it_needs_nothing_else_and_escapes_names(content):
    page = _page(content)
    assert "<script>x" not in page
    assert "5 &lt; 6 &amp; more" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert page.count("data:image/svg+xml") == 1


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ((-1, 3), "no method can be told from erm"),
        ((1, 3), "differs from erm in macro mIoU: x +2.0 [+1.0, +3.0]"),
        ((None, None), "too few source groups"),
    ],
)
def test_it_says_what_came_out(content, ends, sentence):
    content["families"]["contents"]["differences"] = {"x": _difference(*ends)}
    assert sentence in _page(content)


def test_a_single_method_has_no_figure(content):
    content["cost"] = {"erm": {}}
    content["families"]["contents"]["differences"] = {}
    assert "data:image/svg" not in _page(content)
