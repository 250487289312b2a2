"""Class maps at the size of a picture."""

import cv2
import numpy as np
import pytest

from mmseg_heritage.visualization.figures import shown_maps
from mmseg_heritage.visualization.figures.shown_maps import fitted_shape, shown_map


def drawn(shape, angle, width=1, class_id=9):
    """Returns a map with a line through its middle."""
    class_map = np.zeros(shape, np.uint8)
    middle = np.array(shape[::-1]) / 2
    reach = 0.4 * min(shape) * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    ends = [tuple(map(int, middle + side * reach)) for side in (-1, 1)]
    cv2.line(class_map, *ends, class_id, width)
    return class_map


@pytest.mark.parametrize("pixels", [1, 77, 400])
@pytest.mark.parametrize("seed", range(6))
def test_strips_of_any_size_widen_a_map_as_the_whole_does(monkeypatch, pixels, seed):
    generator = np.random.default_rng(seed)
    size = tuple(map(int, generator.integers(1, 60, 2)))
    class_map = generator.choice([0, 0, 0, 0, 3, 5, 9, 255], size).astype(np.uint8)
    whole = shown_map(class_map, max(size))
    assert (whole != class_map).any() or min(size) < 3
    monkeypatch.setattr(shown_maps, "_WIDENED", pixels)
    assert np.array_equal(shown_map(class_map, max(size)), whole)


@pytest.mark.parametrize("angle", range(0, 180, 15))
@pytest.mark.parametrize("edge", [60, 97, 600])
def test_a_line_of_one_pixel_is_whole_and_two_wide_at_any_size(angle, edge):
    found = shown_map(drawn((600, 450), angle), edge) == 9
    pieces, _ = cv2.connectedComponents(found.astype(np.uint8), connectivity=8)
    assert pieces == 2  # Clean, and one line
    length = 0.8 * 450 * edge / 600
    assert found.sum() >= 1.6 * length * max(abs(np.cos(np.radians(angle % 90))), 0.7)
    pair = np.ones((2, 2), np.uint8)
    inside = cv2.erode(found.astype(np.uint8), pair, anchor=(0, 0), borderValue=0)
    assert inside.any()


@pytest.mark.parametrize("edge", [50, 33])
def test_a_dot_of_one_pixel_is_never_lost(edge):
    class_map = np.zeros((400, 300), np.uint8)
    places = np.random.default_rng(0).integers(8, 280, (40, 2))
    for row, column in places:
        dot = class_map.copy()
        dot[row, column] = 3
        assert (shown_map(dot, edge) == 3).sum() >= 4


def test_areas_of_more_than_two_pixels_are_only_sampled():
    class_map = np.zeros((400, 400), np.uint8)
    class_map[100:300, 50:250] = 2
    class_map[:20] = 255
    for edge in (400, 100, 80):
        step = 400 // edge
        assert np.array_equal(
            shown_map(class_map, edge), class_map[step // 2 :: step, step // 2 :: step]
        )


def test_thin_damage_never_covers_other_damage_or_the_outside():
    class_map = np.full((90, 90), 255, np.uint8)
    class_map[30:] = 2
    class_map[45], class_map[10] = 9, 9
    found = shown_map(class_map, 90)
    assert np.array_equal(found, class_map)


def test_strips_leave_no_trace_and_maps_of_files_are_read(monkeypatch, tmp_path):
    class_map = (
        np.random.default_rng(1).choice([0, 0, 0, 0, 5, 9, 255], (211, 307)).astype(np.uint8)
    )
    whole = shown_map(class_map, 40)
    class_map.tofile(tmp_path / "map")
    monkeypatch.setattr(shown_maps, "_STRIP", 1000)
    mapped = np.memmap(tmp_path / "map", np.uint8, "r", shape=class_map.shape)
    assert np.array_equal(shown_map(mapped, 40), whole)


def test_without_clean_every_pixel_is_sampled():
    class_map = drawn((64, 64), 30)
    assert np.array_equal(shown_map(class_map, 64, clean=None), class_map)


@pytest.mark.parametrize(
    ("shape", "edge", "fitted"),
    [((10, 1000), 100, (1, 100)), ((3, 2), 100, (3, 2)), ((600, 400), 300, (300, 200))],
)
def test_a_shape_is_fitted_into_an_edge(shape, edge, fitted):
    assert fitted_shape(shape, edge) == fitted
    assert shown_map(np.zeros(shape, np.uint8), edge).shape == fitted
