"""The figures of a comparison: what is in them, for few and for many runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mmseg_heritage.evaluation.comparing.comparison import compare_entries
from mmseg_heritage.evaluation.tested_runs import Entry, Run
from mmseg_heritage.visualization.figures import comparison_figures as module
from mmseg_heritage.visualization.figures.comparison_figures import draw_comparison

SPEED = {"time": {"images_per_second": 10.0}, "parameters": 33_400_000}


def _entry(label, counts, **stamp):
    split = {"split": {"name": "holdout", "sha256": "1" * 64, "part": "test"}}
    return Entry(label, (Run(Path(f"/{label}"), counts, ({**split, **stamp},)),))


@pytest.fixture
def figures(keep_figures):
    return keep_figures(module)


@pytest.fixture
def counts(random_counts):
    """Counts of 48 images."""
    return random_counts(images=48)


def _texts(figure: Figure):
    return {text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))}


def test_three_pictures(counts, another_model, tmp_path, figures):
    entries = [
        _entry("first", counts, **SPEED),
        _entry("better", another_model(counts, gain=0.5), **SPEED),
        _entry("slow", another_model(counts, gain=0.1)),
    ]
    content = compare_entries(entries, resamples=640)
    pictures = draw_comparison(tmp_path, content)
    names = ["class_iou.png", "accuracy_speed.png", "differences.png"]
    assert [picture.name for picture in pictures] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for picture in pictures:
        with Image.open(picture) as image:
            assert min(image.size) > 400
            assert len(np.unique(np.asarray(image.convert("L")))) > 10
    speed = _texts(figures["accuracy_speed.png"])
    assert any("first, 33.4 M parameters" in text for text in speed)
    assert any("Without a speed: slow" in text for text in speed)
    heat = _texts(figures["class_iou.png"])
    for label, run in content["runs"].items():
        assert label in heat
        assert f"{run['scores']['IoU.Cracks']['value']:.1f}" in heat
    assert f"Cracks ({content['runs']['first']['scores']['IoU.Cracks']['groups']})" in heat
    points = _texts(figures["differences.png"])
    assert {"better", "slow", "mIoU", "Material loss", "not separable"} <= points
    assert "Differences to first, percentage points" in points


def test_intervals_are_drawn_where_they_are(counts, another_model, tmp_path, figures):
    entries = [_entry("a", counts), _entry("b", another_model(counts, gain=0.5))]
    content = compare_entries(entries, resamples=640)
    draw_comparison(tmp_path, content)
    (axes,) = figures["differences.png"].axes
    lines = {tuple(line.get_xdata()) for line in axes.lines}
    for key in ("mIoU", "IoU.Clean"):
        entry = content["differences"]["b"]["scores"][key]
        assert (entry["low"], entry["high"]) in lines
        assert (entry["difference"],) in lines


def test_a_lone_run_of_few_groups(random_counts, tmp_path, figures):
    counts = random_counts(images=8, classes=("Clean", "Damage"))
    content = compare_entries([_entry("one", counts)], resamples=640)
    assert [p.name for p in draw_comparison(tmp_path, content)] == ["class_iou.png"]
    (axes, _) = figures["class_iou.png"].axes
    assert [tick.get_color() for tick in axes.get_yticklabels()] == ["#767676"] * 2


def test_an_absent_class_says_so(counts, tmp_path, figures):
    confusion = counts.confusion.copy()
    confusion[:, 5] = confusion[:, :, 5] = 0
    absent = replace(counts, confusion=confusion)
    content = compare_entries([_entry("one", absent)], resamples=640)
    draw_comparison(tmp_path, content)
    assert {"absent", "Hair (0)"} <= _texts(figures["class_iou.png"])


@pytest.mark.slow
def test_many_runs_stay_on_a_page(counts, another_model, tmp_path, figures):
    entries = [
        _entry(
            f"a_rather_long_name_{i}",
            another_model(counts, seed=i),
            time={"images_per_second": 2.0**i},
        )
        for i in range(9)
    ]
    draw_comparison(tmp_path, compare_entries(entries, resamples=640))
    for figure in figures.values():
        width, height = figure.get_size_inches()
        assert width < 14
        assert height < 30
        figure.draw_without_rendering()
        texts = figure.findobj(lambda part: hasattr(part, "get_text") and part.get_visible())
        for text in texts:
            if text.get_text().startswith("a_rather_long_name"):
                box = text.get_window_extent()
                assert box.x0 >= -1
                assert box.x1 <= figure.bbox.x1 + 1
