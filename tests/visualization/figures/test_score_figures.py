"""The figures of scores: their numbers are those of the test."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.visualization.figures import score_figures as module
from mmseg_heritage.visualization.figures.style import GRAY, short_number


@pytest.fixture
def figures(keep_figures):
    return keep_figures(module)


@pytest.fixture
def counts(random_counts):
    """Counts of 48 images; the truth has no Hair."""
    counts = random_counts(images=48)
    confusion = counts.confusion.copy()
    confusion[:, 5] = 0
    return replace(counts, confusion=confusion)


def _texts(figure):
    return [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))]


def test_a_tested_run_gets_its_two_figures(tested_run, counts, tmp_path):
    folder = tested_run(tmp_path / "run", counts) / "evaluation"
    files = module.write_figures(folder)
    assert [path.name for path in files] == ["confusion_matrix.png", "per_class_iou.png"]
    for path in files:
        with Image.open(path) as image:
            assert min(image.size) > 400


def test_a_folder_without_scores_gets_nothing(tmp_path):
    with pytest.raises(InputError, match=r"per_image.npz: no such file"):
        module.write_figures(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_matrix_shows_the_counts(counts, tmp_path, figures):
    module.plot_confusion_matrix(tmp_path / "matrix.png", counts)
    axes = figures["matrix.png"].axes[0]
    shown = {tuple(map(round, text.get_position()))[::-1]: text.get_text() for text in axes.texts
             if "truth" not in text.get_text()}  # fmt: skip
    pooled = counts.confusion.sum(axis=0)
    for (row, column), pixels in np.ndenumerate(pooled):
        text = shown.pop((row, column), None)
        if not pixels:
            assert text is None
        else:
            percent = 100 * pixels / pooled[row].sum()
            limits = {"<0.1": (0, 0.05), ">99.9": (99.95, 100), "100": (100, 100.1)}
            low, high = limits.get(text) or (float(text) - 0.0501, float(text) + 0.0501)
            assert low <= percent <= high
    assert not shown
    assert _texts(figures["matrix.png"]).count("no pixels in the truth") == 1
    image = axes.images[0].get_array()
    assert image.mask[5].all()
    assert not np.delete(image.mask, 5, axis=0).any()
    assert np.allclose(np.delete(image, 5, axis=0).sum(axis=1), 100)


def test_shares_are_not_rounded_away():
    shown = [module._cell(p) for p in (1e-6, 0.05, 99.94, 99.96, 100, 2)]
    assert shown == ["<0.1", "0.1", "99.9", ">99.9", "100", "2.0"]


def test_ious_stand_with_their_intervals(counts, tmp_path, figures):
    content = summarize(counts)
    module.plot_per_class_iou(tmp_path / "iou.png", content)
    (axes,) = figures["iou.png"].axes
    lines = {tuple(line.get_xdata()) for line in axes.lines}
    for name, row in content["levels"]["fine"]["per_class"].items():
        if row["iou"] is None:
            continue
        assert (row["iou"],) in lines
        interval = content["intervals"][f"IoU.{name}"]
        drawn = (interval["low"], interval["high"]) in lines
        assert drawn == (interval["low"] is not None)
    assert any(
        f"mIoU {content['overall']['mIoU']:.1f}" in text for text in _texts(figures["iou.png"])
    )


def test_classes_of_few_groups_are_gray(random_counts, tmp_path, figures):
    counts = random_counts(images=8, classes=("Clean", "Damage"))
    module.plot_per_class_iou(tmp_path / "iou.png", summarize(counts))
    module.plot_confusion_matrix(tmp_path / "matrix.png", counts)
    for figure in figures.values():
        assert {tick.get_color() for tick in figure.axes[0].get_yticklabels()} == {GRAY}


def test_reliability_shows_the_bins(counts, tmp_path, figures):
    content = summarize(counts)
    module.plot_reliability(tmp_path / "reliability.png", content)
    upper, lower = figures["reliability.png"].axes
    bins = content["calibration"]["bins"]
    assert [bar.get_height() for bar in upper.patches] == [e["accuracy"] or 0 for e in bins]
    assert sum(bar.get_height() for bar in lower.patches) == pytest.approx(100)
    assert f"{content['calibration']['ECE']:.1f} %" in "".join(_texts(figures["reliability.png"]))


def test_the_distribution_shows_both_shares(counts, tmp_path, figures):
    module.plot_class_distribution(tmp_path / "distribution.png", counts)
    (axes,) = figures["distribution.png"].axes
    pooled = counts.confusion.sum(axis=0)
    points = {line.get_label(): np.array(line.get_xdata()) for line in axes.lines}
    for key, axis in (("truth", 1), ("prediction", 0)):
        share = 100 * pooled.sum(axis=axis) / pooled.sum()
        assert np.allclose(points[key][share > 0], share[share > 0])
    assert points["truth"][5] < min(np.delete(points["truth"], 5))  # none, left of all


def test_components_by_size(counts, tmp_path, figures):
    content = summarize(counts)
    module.plot_component_recall(tmp_path / "sizes.png", content)
    axes = figures["sizes.png"].axes[0]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == ["All damage", *counts.classes[1:]]
    values = axes.images[0].get_array().filled(np.nan)
    for row, name in zip(values[1:], names[1:], strict=True):
        entries = content["components"]["per_class"][name]
        expected = [np.nan if e["recall"] is None else e["recall"] for e in entries]
        assert np.allclose(row, expected, equal_nan=True)
    entry = content["components"]["damage"][0]
    number = short_number(entry["components"])
    assert f"{entry['recall']:.0f} % of {number}" in _texts(figures["sizes.png"])


def test_nothing_but_empty_counts_is_drawn_all_the_same(random_counts, tmp_path):
    counts = random_counts(images=3)
    counts = replace(counts, confusion=np.zeros_like(counts.confusion))
    module.plot_confusion_matrix(tmp_path / "a.png", counts)
    module.plot_class_distribution(tmp_path / "b.png", counts)
    module.plot_per_class_iou(tmp_path / "c.png", summarize(counts))
    assert len(list(tmp_path.iterdir())) == 3
