"""What a report says in words."""

import pytest

from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.visualization.report.report_text import (
    compared_findings,
    console_summary,
    findings,
    headlines,
    plain_definitions,
)


def test_headlines_have_values_intervals_and_the_baseline(random_counts):
    content = summarize(random_counts(images=24))
    found = {headline.key: headline for headline in headlines(content)}
    assert found["mIoU"].value == content["overall"]["mIoU"]
    assert found["mIoU"].low == content["intervals"]["mIoU"]["low"]
    assert found["mIoU"].all_clean == content["all_clean"]["mIoU"]
    assert "16 classes" in found["mIoU"].meaning
    assert found["ECE"].all_clean is None


def test_findings_name_what_is_missed_rare_or_absent(random_counts):
    counts = random_counts(images=24, classes=("Clean", "Cracks", "Hair", "Dust"))
    confusion = counts.confusion.copy()
    confusion[:, 1, 0] += confusion[:, 1, 1]
    confusion[:, 1, 1] = 0  # cracks are there and never found
    confusion[:, 2] = 0  # no hair in the truth
    confusion[3:, 3] = 0  # dust on a few objects
    content = summarize(type(counts)(**{**vars(counts), "confusion": confusion}))
    text = findings(content)
    binary = content["levels"]["binary"]["per_class"]["Damage"]
    assert f"marks {binary['recall']:.0f} %" in text[0]
    assert f"{binary['precision']:.0f} % are labeled as damage" in text[0]
    assert any("Never found" in line and line.endswith(": Cracks.") for line in text)
    assert any("says little" in line and "Dust" in line for line in text)
    assert any("not tested" in line and line.endswith(": Hair.") for line in text)


def test_a_model_that_is_no_better_than_calling_everything_clean_is_called_that(random_counts):
    counts = random_counts(images=24, classes=("Clean", "Cracks", "Hair"))
    good = console_summary(summarize(counts), "24 images")
    assert "OF NO USE" not in good
    assert "all Clean" in good.splitlines()[0]
    confusion = counts.confusion.copy()
    confusion[:, :, 2] += confusion[:, :, :2].sum(axis=2)
    confusion[:, :, :2] = 0  # all is hair
    content = summarize(type(counts)(**{**vars(counts), "confusion": confusion}))
    clean = content["all_clean"]["mIoU"]
    text = findings(content)[0]
    assert text.startswith("OF NO USE YET: the mean IoU, ")
    assert f"pixel Clean, {clean:.1f} %." in text
    assert text in console_summary(content, "24 images")


def test_a_model_without_clean_has_nothing_beside_it(random_counts):
    content = summarize(random_counts(images=24, classes=("Cracks", "Hair")))
    assert "all Clean" not in console_summary(content, "24 images")


@pytest.mark.parametrize(
    ("separable", "difference", "expected"),
    [
        (True, 2.0, "b is higher than a by +2.0 points [+1.0, +3.0]"),
        (True, -2.0, "b is lower than a by -2.0 points [+1.0, +3.0]"),
        (False, 2.0, "not separable (these images do not tell them apart): +2.0"),
        (None, 2.0, "not compared, because too few objects"),
        (None, None, "no such score in common"),
    ],
)
def test_a_difference_in_words(separable, difference, expected):
    entry = {"difference": difference, "separable": separable, "low": 1.0, "high": 3.0}
    found = {"reference": "a", "differences": {"b": {"scores": {"mIoU": entry}}}}
    (sentence,) = compared_findings(found)
    assert expected in sentence
    assert sentence.startswith("Kinds of damage (mIoU): ")


def test_nested_definitions_come_once():
    nested = {"scores": {"a": "1", "b": {"c": "2"}}, "a": "3", "d": "4"}
    assert list(plain_definitions(nested)) == [("a", "1"), ("c", "2"), ("d", "4")]
