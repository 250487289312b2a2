"""A comparison says what the tests of its runs say, and how far they are apart."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.comparison import compare_entries, is_class
from mmseg_heritage.evaluation.comparing.significance import holm
from mmseg_heritage.evaluation.means import all_means, class_ious, confidence_intervals
from mmseg_heritage.evaluation.tested_runs import Entry, Run

RESAMPLES = 640


def _entry(label, *counts, split="1" * 64, **stamp):
    of_split = {"split": {"name": "holdout", "sha256": split, "part": "test"}}
    runs = (
        Run(Path(f"/{label}{i}"), c, ({**of_split, "seed": i, **stamp},))
        for i, c in enumerate(counts)
    )
    return Entry(label, tuple(runs))


def _compare(*entries, **options):
    return compare_entries(entries, resamples=RESAMPLES, **options)


@pytest.fixture
def counts(random_counts):
    """Counts of the reference: 48 images in 24 source groups."""
    return random_counts(images=48)


@pytest.fixture
def alike(counts, another_model):
    """Counts of a model with other mistakes, as many."""
    return another_model(counts)


@pytest.fixture
def better(counts, another_model):
    """Counts of a model with half the mistakes."""
    return another_model(counts, gain=0.5)


def test_scores_and_intervals_are_those_of_the_test(counts, alike):
    content = _compare(_entry("a", counts), _entry("b", alike), seed=4)
    for label, own in (("a", counts), ("b", alike)):
        scores = content["runs"][label]["scores"]
        on_all = {**all_means(own), **class_ious(own)}
        intervals = confidence_intervals(own, RESAMPLES, seed=4)
        assert set(scores) == set(on_all) == set(intervals)
        for key, entry in scores.items():
            assert entry["value"] == pytest.approx(on_all[key][0]), key
            assert {k: entry[k] for k in intervals[key]} == intervals[key], key
    assert content["reference"] == "a"
    assert list(content["differences"]) == ["b"]
    json.dumps(content, allow_nan=False)


def test_a_gain_is_separable_and_turns_with_the_reference(counts, better):
    entries = _entry("a", counts), _entry("b", better)
    gain = _compare(*entries)["differences"]["b"]["scores"]
    loss = _compare(*entries, reference="b")["differences"]["a"]["scores"]
    for key in ("mIoU", "damage_IoU", "IoU.Clean", "coarse.IoU.Structural"):
        assert gain[key]["separable"] is True, key
        assert gain[key]["low"] > 0, key
        assert loss[key]["difference"] == pytest.approx(-gain[key]["difference"])
        assert loss[key]["low"] == pytest.approx(-gain[key]["high"])
        assert loss[key]["p"] == gain[key]["p"]


def test_a_model_is_not_separable_from_itself(counts):
    found = _compare(_entry("a", counts), _entry("b", counts))["differences"]["b"]["scores"]
    assert len(found) > 20
    for entry in found.values():
        assert entry["difference"] in (0, None)
        assert entry["separable"] in (False, None)
        assert entry["p"] in (1, None)


def test_few_groups_give_differences_without_a_verdict(random_counts, another_model):
    counts = random_counts(images=18)  # 9 groups
    content = _compare(_entry("a", counts), _entry("b", another_model(counts, gain=0.5)))
    entry = content["differences"]["b"]["scores"]["mIoU"]
    assert entry["difference"] > 0
    assert entry["low"] is entry["p"] is entry["separable"] is None
    assert "9 source groups" in entry["note"]


def test_p_is_corrected_over_classes_and_over_runs(counts, another_model):
    runs = [_entry(f"run{i}", another_model(counts, gain=i / 200, seed=i)) for i in range(4)]
    differences = _compare(_entry("a", counts), *runs)["differences"]

    def column(scores, key):
        return np.array([np.nan if e[key] is None else e[key] for e in scores])

    for mean in ("mIoU", "aAcc", "coarse_mIoU"):
        family = [found["scores"][mean] for found in differences.values()]
        assert np.array_equal(column(family, "p_holm"), holm(column(family, "p")), equal_nan=True)
    for found in differences.values():
        for level in ("IoU.", "coarse.IoU.", "binary.IoU."):
            family = [e for key, e in found["scores"].items() if key.startswith(level)]
            corrected = holm(column(family, "p"))
            assert np.array_equal(column(family, "p_holm"), corrected, equal_nan=True)
            assert len(family) == {"IoU.": 16, "coarse.IoU.": 4, "binary.IoU.": 2}[level]


def test_seeds_are_averaged_and_their_spread_is_apart(counts, another_model):
    seeds = [another_model(counts, gain=0.1 * i, seed=i) for i in range(3)]
    content = _compare(_entry("a", counts), _entry("b", *seeds))
    for key in ("mIoU", "IoU.Cracks"):
        values = [float({**all_means(c), **class_ious(c)}[key][0]) for c in seeds]
        entry = content["runs"]["b"]["scores"][key]
        assert entry["value"] == pytest.approx(statistics.mean(values))
        assert entry["seeds"] == {
            "n": 3,
            "mean": pytest.approx(statistics.mean(values)),
            "std": pytest.approx(statistics.stdev(values)),
            "values": pytest.approx(values),
        }
        first = content["runs"]["a"]["scores"][key]
        assert first["seeds"] is None
        found = content["differences"]["b"]["scores"][key]
        assert found["difference"] == pytest.approx(entry["value"] - first["value"])
    assert content["runs"]["b"]["seeds"] == [0, 1, 2]
    (note,) = content["notes"]
    assert note.endswith("training again would change: a.")
    assert _compare(_entry("b", *seeds))["notes"] == []


def test_different_images_are_paired_on_those_that_both_have(counts, alike):
    a, b = counts.select(np.arange(40)), alike.select(np.arange(8, 48))
    with pytest.raises(InputError, match="--allow-different images"):
        _compare(_entry("a", a), _entry("b", b))
    content = _compare(_entry("a", a), _entry("b", b), may_differ=["images"])
    both = [c.select(np.arange(8, 40)) for c in (counts, alike)]
    narrow = _compare(*(_entry(label, c) for label, c in zip("ab", both, strict=True)))
    found = content["differences"]["b"]
    assert found["images"] == 32
    assert found == narrow["differences"]["b"]
    assert content["runs"]["a"]["scores"]["mIoU"]["value"] == pytest.approx(all_means(a)["mIoU"][0])
    nothing = _compare(
        _entry("a", counts.select(np.arange(20))),
        _entry("b", counts.select(np.arange(20, 48))),
        may_differ=["images"],
    )
    assert nothing["differences"]["b"] == {"images": 0, "scores": {}}


def test_groups_are_those_of_the_reference(counts, alike):
    apart = replace(alike, groups=tuple(f"each {i}" for i in range(48)))
    found = _compare(_entry("a", counts), _entry("b", apart))["differences"]
    assert found == _compare(_entry("a", counts), _entry("b", alike))["differences"]


def test_other_classes_are_shown_without_differences(counts):
    other = replace(counts, classes=(*counts.classes[:-1], "Foxing"))
    content = _compare(_entry("a", counts), _entry("b", other), may_differ=["classes"])
    assert "IoU.Foxing" in content["runs"]["b"]["scores"]
    assert content["differences"] == {}
    assert any("Foxing" in note for note in content["notes"])


def test_size_and_speed_are_what_the_tests_say(counts, alike, better):
    time = {"images_per_second": 20.0, "model_ms": 50.0, "peak_memory_bytes": None}
    gpu, cpu = ({"type": t, "name": n, "threads": 4} for t, n in (("cuda", "X"), ("cpu", "Y")))
    content = _compare(
        _entry("a", counts, parameters=7, model={"flops": 9}, time=time, device=gpu),
        _entry("b", alike, better, parameters=8, time=time, device=cpu),
        _entry("c", better),
    )
    costs = [run["cost"] for run in content["runs"].values()]
    assert [cost["parameters"] for cost in costs] == [7, 8, None]
    assert [cost["flops"] for cost in costs] == [9, None, None]
    assert [cost["images_per_second"] for cost in costs] == [20, 20, None]
    assert [cost["peak_memory_bytes"] for cost in costs] == [None] * 3
    assert [cost["device"] for cost in costs] == ["X", "Y, threads: 4", None]
    assert "Speeds are not comparable: measured on X and on Y, threads: 4." in content["notes"]


def test_an_unknown_reference_is_refused(counts, alike):
    with pytest.raises(InputError, match="no run is named 'c'; choose one of: a, b"):
        _compare(_entry("a", counts), _entry("b", alike), reference="c")


@pytest.mark.parametrize("resamples", [0, 100, 639])
def test_resamples_must_be_enough_to_tell_classes_apart(counts, better, resamples):
    entries = [_entry("a", counts), _entry("b", better)]
    with pytest.raises(InputError, match=f"expected 640 .* found {resamples}: .* --resamples 640"):
        compare_entries(entries, resamples=resamples)
    found = compare_entries(entries, resamples=640)["differences"]["b"]["scores"]
    assert found["IoU.Clean"]["p"] == pytest.approx(2 / 641)
    assert found["IoU.Clean"]["separable"] is True  # the least that so many resamples can show


def test_missing_folds_are_noted(counts):
    entry = _entry("a", counts)
    run = replace(entry.runs[0], not_tested=("fold-3",))
    content = _compare(Entry("a", (run,)))
    assert content["notes"][0] == "a: without the folds fold-3, not tested."
    assert any(is_class(key) for key in content["runs"]["a"]["scores"])


def test_a_run_of_no_use_is_called_that(random_counts, tmp_path):
    counts = random_counts()
    confusion = np.zeros_like(counts.confusion)
    confusion[..., -1] = counts.confusion.sum(axis=2)
    lost = replace(counts, confusion=confusion)
    notes = compare_entries([_entry("bad", lost)], resamples=RESAMPLES)["notes"]
    assert any(note.startswith("bad: OF NO USE YET") for note in notes)
