"""The tables of a comparison say what it found, in words and numbers."""

from pathlib import Path

import pytest

from mmseg_heritage.evaluation.comparing.comparison import compare_entries
from mmseg_heritage.evaluation.comparing.comparison_tables import (
    class_name,
    comparison_tables,
    long_table,
    verdict,
)
from mmseg_heritage.evaluation.tested_runs import Entry, Run


def _entry(label, *counts, **stamp):
    split = {"split": {"name": "holdout", "sha256": "1" * 64, "part": "test"}}
    runs = (Run(Path(f"/{label}{i}"), c, ({**split, **stamp},)) for i, c in enumerate(counts))
    return Entry(label, tuple(runs))


@pytest.fixture
def content(random_counts, another_model):
    """A comparison of six runs, one of them with two seeds."""
    counts = random_counts(images=48)
    entries = [
        _entry("a", counts, parameters=47_200_000, model={"flops": 71_230_000_000}),
        _entry("b", another_model(counts, 0.5), another_model(counts, 0.6)),
        *(_entry(f"run{i}", another_model(counts, seed=i)) for i in range(4)),
    ]
    return compare_entries(entries, resamples=640)


def test_the_tables_of_a_comparison(content):
    tables = {table.caption: table for table in comparison_tables(content)}
    assert list(tables) == [
        "Scores",
        "Spread over seeds",
        "Size and speed",
        "IoU by class, 1 of 2",
        "IoU by class, 2 of 2",
        "Means: differences to a",
        "IoU by class: differences to a",
    ]
    assert [row["run"] for row in tables["Scores"].rows] == [
        "a",
        "b",
        *(f"run{i}" for i in range(4)),
    ]
    assert [row["run"] for row in tables["Spread over seeds"].rows] == ["b"]
    costs = tables["Size and speed"].texts()
    assert costs[0][:4] == ["a", "47.2", "71.2", "-"]
    assert [column.title for column in tables["IoU by class, 2 of 2"].columns] == [
        "class",
        "groups",
        "run2",
        "run3",
    ]
    assert "ECE is an error: lower is better." in tables["Means: differences to a"].notes
    means = tables["Means: differences to a"].rows
    assert {row["verdict"] for row in means if row["run"] == "b"} >= {"higher"}
    assert {row["run"] for row in means} == {"b", *(f"run{i}" for i in range(4))}
    for table in tables.values():
        for text in (table.terminal(), table.markdown(), table.latex(), table.csv()):
            assert "nan" not in text


def test_a_verdict_is_explained_only_where_it_is_given(content):
    for is_given in (True, False):
        for compared in content["differences"].values():
            for entry in compared["scores"].values():
                entry["separable"] = not is_given
        for table in comparison_tables(content)[-2:]:
            assert any(note.startswith("'not separable'") for note in table.notes) == is_given


def test_a_lone_run_has_no_differences_and_no_empty_tables(random_counts):
    content = compare_entries([_entry("a", random_counts())], resamples=640)
    assert [t.caption for t in comparison_tables(content)] == ["Scores", "IoU by class"]


def test_the_long_table_has_every_score_of_every_run(content):
    records = long_table(content).records()
    for label, run in content["runs"].items():
        own = {r["score"]: r for r in records if r["run"] == label and r["kind"] != "cost"}
        assert set(own) == set(run["scores"])
        for key, entry in run["scores"].items():
            assert own[key]["value"] == entry["value"]
            assert own[key]["value_low"] == entry["low"]
        compared = content["differences"].get(label, {"scores": {}})["scores"]
        for key, entry in compared.items():
            assert own[key]["difference"] == entry["difference"]
            assert own[key]["p_holm"] == entry["p_holm"]
            assert own[key]["verdict"] == verdict(entry)
        if label == "a":
            assert all(record["difference"] is None for record in own.values())
    assert {r["value"] for r in records if r["score"] == "parameters"} == {47_200_000, None}
    assert {r["seeds"] for r in records if r["run"] == "b" and r["kind"] == "mean"} == {2}


@pytest.mark.parametrize(
    ("difference", "separable", "text"),
    [
        (2.0, True, "higher"),
        (-2.0, True, "lower"),
        (2.0, False, "not separable"),
        (2.0, None, "too few groups"),
        (None, None, "undefined"),
    ],
)
def test_a_verdict_is_said_in_words(difference, separable, text):
    assert verdict({"difference": difference, "separable": separable}) == text


def test_scores_have_readable_names():
    names = [class_name(key) for key in ("IoU.Burn marks", "coarse.IoU.Surface", "mIoU")]
    assert names == ["Burn marks", "Surface (coarse)", "mIoU"]
