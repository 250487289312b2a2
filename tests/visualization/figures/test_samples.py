"""Which images are shown: every class, and the failures."""

from dataclasses import replace

import numpy as np

from mmseg_heritage.evaluation.means import image_scores
from mmseg_heritage.visualization.figures.samples import WORST, choose_of_class, choose_samples


def test_every_class_and_the_worst_images_are_shown(random_counts):
    counts = random_counts(images=48)
    choices = choose_samples(counts)
    chosen = [choice.id for choice in choices]
    assert len(set(chosen)) == len(chosen)
    true = counts.confusion.sum(axis=2)
    for index, name in enumerate(counts.classes):
        most = counts.ids[int(true[:, index].argmax())]
        (reason,) = [choice.reason for choice in choices if choice.id == most]
        assert name in reason
    worst = np.argsort(image_scores(counts.confusion), kind="stable")[:WORST]
    reasons = {choice.id: choice.reason for choice in choices}
    for place, rank in zip(worst, ("", "2nd ", "3rd "), strict=True):
        assert f"{rank}lowest image mIoU" in reasons[counts.ids[place]]


def test_images_without_a_valid_pixel_and_absent_classes_are_left_out(random_counts):
    counts = random_counts(images=6)
    confusion = counts.confusion.copy()
    confusion[0] = 0
    confusion[:, 3] = confusion[:, :, 3] = 0
    counts = replace(counts, confusion=confusion)
    choices = choose_samples(counts)
    assert counts.ids[0] not in [choice.id for choice in choices]
    assert not any(counts.classes[3] in choice.reason for choice in choices)
    assert choose_of_class(counts, 3) == []


def test_a_class_shows_what_is_found_missed_and_false(random_counts):
    counts = random_counts(images=30)
    pixels = counts.confusion
    found = pixels[:, 9, 9]
    cases = {"found": found, "missed": pixels[:, 9].sum(1) - found,
             "false": pixels[:, :, 9].sum(1) - found}  # fmt: skip
    reasons = {choice.id: choice.reason for choice in choose_of_class(counts, 9)}
    for text, values in cases.items():
        assert text in reasons[counts.ids[int(values.argmax())]]
