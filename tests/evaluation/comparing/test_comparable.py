"""Runs that were not tested alike are refused, with all reasons, unless told."""

from dataclasses import replace

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.comparable import (
    MAY_DIFFER,
    common_images,
    require_comparable,
)
from mmseg_heritage.evaluation.tested_runs import Entry, Run


def _entry(label, counts, folder, split="holdout", digest="1" * 64, part="test"):
    stamp = {"split": {"name": split, "sha256": digest, "part": part}}
    return Entry(label, (Run(folder / label, counts, (stamp,)),))


@pytest.fixture
def entries(random_counts, another_model, tmp_path):
    """Kind -> a run that differs in that from the first, which is under 'same'."""
    counts = random_counts()
    fewer = counts.select(np.arange(9))
    renamed = replace(counts, classes=("Background", *counts.classes[1:]))
    changed = counts.confusion.copy()
    changed[[2, 7], 0, 0] += 1
    return {
        "same": _entry("same", another_model(counts), tmp_path),
        "splits": _entry("b", counts, tmp_path, "fold-1", "2" * 64),
        "parts": _entry("b", counts, tmp_path, part="val"),
        "images": _entry("b", fewer, tmp_path),
        "masks": _entry("b", replace(counts, confusion=changed), tmp_path),
        "classes": _entry("b", renamed, tmp_path),
    }


def test_runs_that_were_tested_alike_may_be_compared(entries):
    other = replace(entries["same"], label="other")
    assert require_comparable(entries["same"], [entries["same"], other]) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("splits", "b: split fold-1 (22222222), but same: split holdout (11111111)"),
        ("parts", "b: part val, but same: part test"),
        (
            "images",
            "b: tested on 0 images that same was not tested on, and not on 3 images "
            "(image009, image010, image011) that it was",
        ),
        ("masks", "b: true pixels other than those of same on 2 images (image002, image007)"),
        ("classes", "b: 16 classes (Background, Material loss"),
    ],
)
def test_each_difference_is_refused_and_can_be_allowed(entries, kind, text):
    compared = [entries["same"], entries[kind]]
    with pytest.raises(InputError) as raised:
        require_comparable(entries["same"], compared)
    (problem,) = raised.value.problems
    assert problem.startswith(text)
    assert str(raised.value.summary).endswith(f"--allow-different {kind}")
    (note,) = require_comparable(entries["same"], compared, [kind])
    assert note == f"{problem}."
    others = [k for k in MAY_DIFFER if k != kind]
    with pytest.raises(InputError, match=f"--allow-different {kind}"):
        require_comparable(entries["same"], compared, others)


def test_all_differences_are_told_at_once(entries):
    with pytest.raises(InputError) as raised:
        require_comparable(entries["same"], list(entries.values()))
    assert len(raised.value.problems) == 5
    assert raised.value.summary.endswith("--allow-different splits parts images masks classes")


def test_what_may_differ_has_a_name(entries):
    with pytest.raises(InputError, match="one of splits, parts, images, masks, classes; found x"):
        require_comparable(entries["same"], [entries["same"]], ["x", "masks"])


def test_common_images_keep_their_counts(random_counts):
    counts = random_counts()
    a, b = counts.select(np.arange(8)), counts.select(np.arange(3, 12))
    first, second = common_images(a, b)
    assert first.ids == second.ids == counts.ids[3:8]
    assert np.array_equal(first.confusion, counts.confusion[3:8])
    assert np.array_equal(second.confusion, counts.confusion[3:8])
