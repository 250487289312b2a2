"""Sheets of pictures: what is on them, of images of any shape, in little memory."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.evaluation.counts.levels import derived_levels
from mmseg_heritage.images.writing import color_table
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.visualization.figures import sheets as module
from mmseg_heritage.visualization.figures.display_colors import DISPLAY_COLORS
from mmseg_heritage.visualization.figures.outcomes import ERROR_COLORS

FINE = ARTEFACT.levels["fine"]


@pytest.fixture
def figures(keep_figures):
    return keep_figures(module)


def _shown(height=40, width=60, seed=0, levels=()):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    truth, prediction = generator.integers(0, 16, (2, height, width), dtype=np.uint8)
    truth[:5] = 255
    own = {
        name: generator.integers(0, len(level.classes), (height, width), dtype=np.uint8)
        for name, level in dict(levels).items()
    }
    return module.shrunk(f"image{seed}", "most Cracks", image, truth, prediction, own)


def _tiles(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def _legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_grid_shows_maps_in_colors_that_can_be_seen(tmp_path, figures):
    rows = [_shown(seed=i) for i in range(2)]
    module.plot_grid(tmp_path / "grid.png", rows, FINE.classes, FINE.colors, "By a rule.")
    table = color_table([FINE.colors[0], *DISPLAY_COLORS.values()])
    tiles = _tiles(figures["grid.png"])
    assert len(tiles) == 8
    for shown, (image, truth, prediction, _) in zip(rows, (tiles[:4], tiles[4:]), strict=True):
        assert np.array_equal(image, shown.image)
        assert np.array_equal(truth, table[shown.truth])
        outside = shown.truth == 255
        assert np.array_equal(prediction[~outside], table[shown.prediction[~outside]])
        assert (prediction[outside] == table[255]).all()
    assert _legend(figures["grid.png"]) == [*FINE.classes, module.OUTSIDE]
    assert figures["grid.png"].legends[0].get_title().get_text() == "By a rule."


def test_the_legend_names_only_what_is_there(tmp_path, figures):
    maps = np.zeros((2, 30, 30), dtype=np.uint8)
    maps[0, 3, 3] = 9
    shown = module.shrunk("a", "", np.zeros((30, 30, 3), np.uint8), *maps)
    module.plot_grid(tmp_path / "grid.png", [shown], FINE.classes, FINE.colors, "")
    assert _legend(figures["grid.png"]) == ["Clean", "Cracks"]


def test_errors_and_class_sheets(tmp_path, figures):
    damage = np.arange(16) > 0
    module.plot_errors(tmp_path / "errors.png", [_shown()], damage, "By a rule.")
    module.plot_class(tmp_path / "class.png", [_shown()], "Cracks", 9, "By a rule.")
    assert _legend(figures["errors.png"]) == list(ERROR_COLORS)
    assert "missed Cracks" in _legend(figures["class.png"])


def test_levels_tell_outside_from_where_a_level_does_not_apply(tmp_path, figures):
    levels = derived_levels(FINE.classes)
    shown = _shown(levels=levels)
    module.plot_levels(tmp_path / "levels.png", shown, FINE.classes, FINE.colors, levels)
    tiles = _tiles(figures["levels.png"])
    assert len(tiles) == 3 * (len(levels) + 1)
    coarse = tiles[1]
    outside, clean = shown.truth == 255, shown.truth == 0
    assert (coarse[outside] == color_table(FINE.colors)[255]).all()
    assert (coarse[clean] == module._NO_GROUP).all()
    cracks = shown.truth == 9
    assert (coarse[cracks] == levels["coarse"].colors[levels["coarse"].fine_to_group[9]]).all()


def test_activations_say_where_there_is_none(tmp_path, figures):
    maps = [np.eye(8, dtype=np.float32), np.zeros((4, 4), np.float32)]
    module.plot_activations(tmp_path / "cam.png", _shown(), maps, "Cracks", 9, "How.")
    titles = [axes.get_title() for axes in figures["cam.png"].axes]
    assert titles[2:] == ["map of 8 x 8", "map of 4 x 4: no activation"]
    strongest = _tiles(figures["cam.png"])[2]
    assert strongest.std() > _tiles(figures["cam.png"])[3].std() / 10


@pytest.mark.parametrize("shape", [(1, 1), (3000, 10), (10, 3000)])
def test_images_of_any_shape(shape, tmp_path):
    shown = _shown(*shape)
    module.plot_grid(tmp_path / "grid.png", [shown], FINE.classes, FINE.colors, "rule")
    with Image.open(tmp_path / "grid.png") as image:
        assert max(image.size) < 3000


def test_a_large_image_is_kept_small():
    image = np.zeros((6000, 10000, 3), dtype=np.uint8)
    maps = np.zeros((2, 6000, 10000), dtype=np.uint8)
    tracemalloc.start()
    shown = module.shrunk("a", "", image, maps[0], maps[1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(shown.image.shape) == module.SHOWN_EDGE
    assert shown.truth.shape == shown.prediction.shape == shown.image.shape[:2]
    assert peak < 10e6
