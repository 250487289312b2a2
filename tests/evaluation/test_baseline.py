"""Main scores beside those of calling every pixel Clean."""

from dataclasses import replace

import numpy as np
import pytest

from mmseg_heritage.evaluation.baseline import (
    no_better_than_clean,
    read_scores,
    scores_beside_clean,
)
from mmseg_heritage.evaluation.summary import summarize


def test_the_scores_are_those_of_a_test(random_counts):
    counts = random_counts()
    found, full = scores_beside_clean(counts), summarize(counts)
    assert set(found["overall"]) == {"damage_IoU", "binary_mIoU", "mIoU"}
    for part in ("overall", "all_clean"):
        for key, value in found[part].items():
            assert value == pytest.approx(full[part][key])
    assert no_better_than_clean(found) == no_better_than_clean(full)


def test_a_model_that_calls_everything_clean_is_no_better_and_finds_nothing(random_counts):
    counts = random_counts()
    confusion = np.zeros_like(counts.confusion)
    confusion[:, :, 0] = counts.confusion.sum(axis=2)
    found = scores_beside_clean(replace(counts, confusion=confusion))
    assert found["overall"] == found["all_clean"]
    assert "OF NO USE YET" in no_better_than_clean(found)
    shown = confusion.sum(axis=(0, 2)) > 0
    assert (
        found["never_found"]
        == [name for name, there in zip(counts.classes, shown, strict=True) if there][1:]
    )


def test_classes_without_clean_have_no_baseline(random_counts):
    counts = random_counts()
    classes = ("Other", *counts.classes[1:])
    assert scores_beside_clean(replace(counts, classes=classes)) == {}
    assert no_better_than_clean({}) == ""


@pytest.mark.parametrize(
    "content",
    [None, 3, [], {"overall": 3}, {"overall": {}, "all_clean": []}],
)
def test_what_a_stranger_wrote_instead_is_nothing(content):
    assert read_scores(content) == {}


def test_scores_are_read_back_and_odd_ones_left_out(random_counts):
    found = scores_beside_clean(random_counts())
    assert read_scores(found) == found
    odd = {"overall": {"mIoU": "x", "binary_mIoU": 1e9, "damage_IoU": float("nan")},
           "all_clean": {}, "never_found": 3}  # fmt: skip
    assert read_scores(odd) == {"overall": {}, "all_clean": {}, "never_found": []}
