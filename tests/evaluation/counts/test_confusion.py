"""Confusion counts against plain loops and scikit-learn."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from mmseg_heritage.evaluation.counts.confusion import (
    all_clean,
    class_scores,
    confusion_counts,
    level_counts,
    level_iou,
    mean_over_present,
    merge_classes,
    pixel_accuracy,
)


def _maps(seed, shape=(37, 53), classes=6):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, shape, dtype=np.uint8)
    label[generator.random(shape) < 0.2] = 255
    prediction = generator.integers(0, classes, shape, dtype=np.uint8)
    prediction[generator.random(shape) < 0.3] = 1  # unbalanced: precision and recall differ
    return label, prediction


@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_those_of_a_plain_loop(seed):
    label, prediction = _maps(seed)
    expected = np.zeros((6, 6), dtype=np.int64)
    for true, predicted in zip(label.ravel(), prediction.ravel(), strict=True):
        if true != 255:
            expected[true, predicted] += 1
    assert np.array_equal(confusion_counts(label, prediction, 6), expected)


def test_counts_are_exact_beyond_what_float32_can_count():
    label = np.zeros((4100, 4100), np.uint8)  # 2**24 is 4096 * 4096
    label[:, -1] = 255
    assert confusion_counts(label, np.ones_like(label), 2).tolist() == [[0, 4100 * 4099], [0, 0]]


def test_any_type_of_numbers_and_views_are_counted():
    label, prediction = _maps(0)
    expected = confusion_counts(label, prediction, 6)
    for kind in (np.int64, np.int16, np.float32):
        assert np.array_equal(
            confusion_counts(label.astype(kind), prediction.astype(kind), 6), expected
        )
    turned = confusion_counts(label.T, prediction.T, 6)
    assert np.array_equal(turned, expected)
    assert np.array_equal(confusion_counts(label[:0], prediction[:0], 6), 0 * expected)


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_those_of_scikit_learn(seed):
    label, prediction = _maps(seed, shape=(300, 400))  # more than one chunk
    counts = confusion_counts(label, prediction, 6)
    valid = label != 255
    assert np.array_equal(counts, confusion_matrix(label[valid], prediction[valid]))
    scores = class_scores(counts)
    references = {
        "iou": jaccard_score,
        "f1": f1_score,
        "precision": precision_score,
        "recall": recall_score,
    }
    for key, reference in references.items():
        expected = reference(label[valid], prediction[valid], average=None)
        assert scores[key] == pytest.approx(expected), key
    for i in range(6):
        expected = accuracy_score((label == i)[valid], (prediction == i)[valid])
        assert scores["accuracy"][i] == pytest.approx(expected)
    assert pixel_accuracy(counts) == pytest.approx((label == prediction)[valid].mean())


def _memory_of(code):
    """Runs code in a new process; returns what it prints, and by how many MiB its memory grew."""
    report = (
        "import resource, sys\n"
        "def peak():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", report + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


_LARGE_MAP = """
    import json
    import numpy as np
    from mmseg_heritage.evaluation.counts.boundary import boundary_counts
    from mmseg_heritage.evaluation.counts.components import component_counts
    from mmseg_heritage.evaluation.counts.confusion import (
        class_scores,
        confusion_counts,
        pixel_accuracy,
    )

    # A tenth is damage, all of it found; a fifth of the map is wrongly called damage.
    rows, columns = {rows}, 10_000
    label = np.zeros((rows, columns), dtype=np.uint8)
    label[: rows // 10] = 1
    prediction = label.copy()
    prediction[rows // 10 : 3 * rows // 10] = 1
    small = label[:200], prediction[:200]
    def count(label, prediction):
        counts = confusion_counts(label, prediction, 2)
        rest = [boundary_counts(label, prediction, 2, 20), component_counts(label, prediction, 2)]
        return counts, rest
    count(*small)  # what libraries take once
    before = peak()
    counts, rest = count(label, prediction)
    grown = peak() - before
    scores = class_scores(counts)
    print(json.dumps({{"counts": counts.tolist(), "iou": scores["iou"].tolist(),
                      "accuracy": float(pixel_accuracy(counts)), "grown": grown,
                      "components": rest[1][:, -1].tolist(), "boundary": rest[0].tolist()}}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("megapixels", [60, 150])
def test_maps_larger_than_float32_can_count_are_exact_in_constant_memory(megapixels):
    rows = megapixels * 100
    found = _memory_of(_LARGE_MAP.format(rows=rows))
    pixels = rows * 10_000
    damage, wrong = pixels // 10, pixels // 5
    assert found["counts"] == [[pixels - damage - wrong, wrong], [0, damage]]
    assert found["iou"] == pytest.approx([7 / 9, 1 / 3], rel=1e-12)
    assert found["accuracy"] == pytest.approx(0.8, rel=1e-12)
    assert found["components"] == [[1, 1], [1, 1]]
    assert found["boundary"] == [[10_000, 0, 10_000, 0]] * 2
    assert found["grown"] < 100, "MiB besides the maps themselves"


@pytest.mark.slow
@pytest.mark.parametrize("megapixels", [60, 150])
def test_the_stock_metric_counts_such_maps_otherwise(megapixels):
    """What this package does not take over; should this fail, the stock metric was repaired."""
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("mmseg.evaluation.metrics")
    label = torch.zeros(megapixels * 10**6, dtype=torch.uint8)
    label[: len(label) // 10] = 1
    prediction = label.clone()
    prediction[len(label) // 10 : 3 * len(label) // 10] = 1
    areas = metrics.IoUMetric.intersect_and_union(prediction, label, 2, 255)
    iou = (areas[0] / areas[1]).numpy()
    assert abs(iou[0] - 7 / 9) > 0.01


def test_a_class_never_found_counts_zero_and_an_absent_one_is_left_out():
    label = np.array([0, 0, 0, 1, 255], dtype=np.uint8)
    prediction = np.array([0, 0, 0, 0, 2], dtype=np.uint8)
    scores = class_scores(confusion_counts(label, prediction, 3))
    assert scores["iou"][0] == pytest.approx(3 / 4)
    for key in ("iou", "f1", "precision", "recall"):
        assert scores[key][1] == 0
        assert np.isnan(scores[key][2])
    assert mean_over_present(scores["iou"]) == (pytest.approx(3 / 8), 2)


def test_a_class_that_is_only_predicted_lowers_the_mean():
    label = np.zeros(4, dtype=np.uint8)
    prediction = np.array([0, 0, 0, 1], dtype=np.uint8)
    scores = class_scores(confusion_counts(label, prediction, 3))
    assert mean_over_present(scores["iou"]) == (pytest.approx((3 / 4 + 0) / 2), 2)


def test_merging_classes_equals_counting_merged_maps():
    label, prediction = _maps(7)
    groups = np.array([0, 1, 1, 2, 0, 2, *[255] * 250], dtype=np.uint8)
    merged = merge_classes(confusion_counts(label, prediction, 6), groups[:6].tolist(), 3)
    assert np.array_equal(merged, confusion_counts(groups[label], groups[prediction], 3))


def test_the_baseline_predicts_clean_everywhere():
    label, prediction = _maps(3)
    counts = confusion_counts(label, prediction, 6)
    assert np.array_equal(all_clean(counts), confusion_counts(label, np.zeros_like(label), 6))


def test_nothing_valid_gives_no_score():
    nothing = np.full((4, 4), 255, dtype=np.uint8)
    counts = confusion_counts(nothing, np.zeros_like(nothing), 3)
    assert counts.sum() == 0
    assert all(np.isnan(values).all() for key, values in class_scores(counts).items()
               if key != "support")  # fmt: skip
    assert np.isnan(pixel_accuracy(counts))


@pytest.mark.parametrize(
    ("label", "prediction", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape"),
        (np.full((2, 2), 9), np.zeros((2, 2)), r"0\.\.2, found 0\.\.9"),
        (np.zeros((2, 2)), np.full((2, 2), 3), r"0\.\.2, found 0\.\.3"),
    ],
)
def test_maps_that_cannot_be_compared_are_refused(label, prediction, message):
    with pytest.raises(ValueError, match=message):
        confusion_counts(label.astype(np.uint8), prediction.astype(np.uint8), 3)


def test_a_stack_of_counts_gives_the_scores_of_each():
    stack = np.stack([confusion_counts(*_maps(seed), 6) for seed in range(4)]).reshape(2, 2, 6, 6)
    stack[1, 0, 3] = stack[1, 0, :, 3] = 0  # a class absent from one of them
    groups = [0, 1, 1, 255, 0, 2]
    for counts in (stack, stack.astype(np.float64)):
        scores, levels = class_scores(counts), level_counts(counts, groups, 3)
        means, numbers = mean_over_present(scores["iou"])
        for place in np.ndindex(2, 2):
            single = class_scores(stack[place])
            for key, values in scores.items():
                assert np.array_equal(values[place], single[key], equal_nan=True), key
            level = level_counts(stack[place], groups, 3)
            assert np.array_equal(levels[place], level)
            assert np.array_equal(level_iou(levels)[place], level_iou(level))
            assert np.array_equal(pixel_accuracy(counts)[place], pixel_accuracy(stack[place]))
            assert means[place] == pytest.approx(np.nanmean(single["iou"]))
        assert numbers.tolist() == [[6, 6], [5, 6]]
