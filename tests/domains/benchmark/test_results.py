"""Scores over folds, and paired differences, against lines written out here."""

from dataclasses import replace

import numpy as np
import pytest

from mmseg_heritage.domains.benchmark.benchmark_tables import benchmark_tables
from mmseg_heritage.domains.benchmark.costs import training_costs
from mmseg_heritage.domains.benchmark.results import (
    SCORES,
    best_on_held_out,
    family_results,
    present_miou,
)


def test_a_class_that_the_truth_lacks_is_left_out_but_its_false_pixels_count():
    confusion = np.array([[6, 0, 2], [0, 0, 0], [1, 0, 3]])
    assert present_miou(confusion) == pytest.approx(100 * (6 / 9 + 3 / 6) / 2)
    assert np.isnan(present_miou(np.zeros((3, 3), int)))


@pytest.fixture
def results(random_counts, another_model):
    drawn = {"a": random_counts(seed=0), "b": random_counts(seed=1)}
    folds = {n: replace(c, groups=tuple(f"{n} {i}" for i in c.ids)) for n, c in drawn.items()}
    better = {name: [another_model(counts, gain=0.3)] for name, counts in folds.items()}
    base = {name: [counts] for name, counts in folds.items()}
    held_out = {"erm": base, "same": base, "better": better}
    beside = {"bn": {**held_out, "same": better}, "oracle": held_out}
    return folds, family_results(held_out, held_out, "erm", resamples=200, beside=beside)


def test_macro_worst_and_pooled(results):
    folds, found = results
    totals = {name: counts.confusion.sum(axis=0) for name, counts in folds.items()}
    of_folds = {name: float(present_miou(total)) for name, total in totals.items()}
    scores = found["methods"]["erm"]
    assert scores["folds"] == pytest.approx(of_folds)
    assert scores["macro"] == pytest.approx(sum(of_folds.values()) / 2)
    assert scores["worst"] == pytest.approx(min(of_folds.values()))
    assert scores["pooled"] == pytest.approx(float(present_miou(totals["a"] + totals["b"])))
    assert scores["gap"] == pytest.approx(0)


def test_differences_are_paired(results):
    _, found = results
    for key in SCORES:
        equal = found["differences"]["same"][key]
        assert (equal["difference"], equal["low"], equal["high"], equal["p"]) == (0, 0, 0, 1)
        better = found["differences"]["better"][key]
        assert better["low"] <= better["difference"] <= better["high"]


def test_other_tests_are_held_against_the_same_runs(results):
    _, found = results
    for name, scores in found["beside"]["bn"].items():
        difference = scores["differences"]["macro"]
        if name == "same":
            assert difference == found["differences"]["better"]["macro"]
        else:
            assert difference["difference"] == difference["low"] == difference["high"] == 0


def test_the_oracle_takes_what_scores_best_on_the_fold(random_counts, another_model):
    counts = random_counts(seed=0)
    better = another_model(counts, gain=0.3)
    assert best_on_held_out([counts, better]) is better
    assert best_on_held_out([better, counts]) is better


def test_costs_are_ratios_of_the_same_fold_and_seed():
    def summary(seconds, mib):
        return {"seconds_per_iteration": seconds, "peak_rss_mib": mib, "device": "cpu"}

    runs = {"erm": {"a": summary(1.0, 100), "b": summary(4.0, 100)},
            "fishr": {"a": summary(2.0, 150), "b": summary(8.0, 150)},
            "short": {"a": summary(None, 200)}}  # fmt: skip
    found = training_costs(runs, "erm")
    assert found["fishr"]["relative_time"] == 2
    assert found["fishr"]["relative_memory"] == 1.5
    assert found["short"]["seconds_per_iteration"] is found["short"]["relative_time"] is None
    assert found["short"]["relative_memory"] == 2


def test_few_groups_give_no_interval(random_counts):
    counts = random_counts(seed=0)
    few = replace(counts, groups=("one",) * len(counts.ids))
    held_out = {name: {"a": [few]} for name in ("erm", "other")}
    found = family_results(held_out, held_out, "erm", resamples=20)
    assert found["differences"]["other"]["macro"]["low"] is None


def test_tables_hold_every_method_and_fold(results):
    costs = training_costs({name: {} for name in results[1]["methods"]}, "erm")
    content = {
        "reference": "erm", "families": {"leave-one-content-out": results[1]}, "cost": costs
    }  # fmt: skip
    first, second, adaptation, oracle, cost = benchmark_tables(content)
    assert [row["method"] for row in cost.rows] == ["erm", "same", "better"]
    assert {"source", "bn", "d_bn"} <= {column.key for column in adaptation.columns}
    assert "No result" in oracle.notes[0]
    assert [row["method"] for row in first.rows] == ["erm", "same", "better"]
    assert {"a", "b"} <= {column.key for column in second.columns}
    assert "better" in first.latex() and "better" in first.markdown()
