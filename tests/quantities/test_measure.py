"""Areas, lengths and regions of class maps, against drawn shapes and scikit-image."""

import numpy as np
import pytest
from skimage.measure import label, regionprops

from mmseg_heritage.errors import InputError
from mmseg_heritage.quantities import measure as module
from mmseg_heritage.quantities.measure import DIRECTIONS, measure
from mmseg_heritage.quantities.scale import Scale

KINDS = ("area", "area", "line", "count")
CLEAN, STAIN, CRACK, HOLE = range(4)


@pytest.fixture
def noise():
    """Spots and lines of all classes, some of which cross the seams of small strips and tiles."""
    rng = np.random.default_rng(0)
    classes = np.zeros((150, 130), np.uint8)
    for _ in range(40):
        top, left, height, width = rng.integers(0, (140, 120, 30, 30))
        classes[top : top + height, left : left + width] = rng.integers(0, 4)
    classes[rng.random(classes.shape) < 0.02] = 255
    return classes


def test_areas_and_shares_are_exact():
    classes = np.zeros((10, 20), np.uint8)
    classes[:, :4] = 255
    classes[2:5, 6:10] = STAIN
    classes[8, 15] = classes[9, 16] = HOLE  # touch at a corner
    found = measure(classes, KINDS, Scale(0.5, 0.2, ""), clean=CLEAN)
    stain, hole = found.classes[STAIN], found.classes[HOLE]
    assert (stain.pixels, stain.regions, hole.pixels, hole.regions) == (12, 1, 2, 1)
    assert stain.area_mm2 == pytest.approx(1.2)
    assert found.object_pixels == 160
    assert stain.share_of_object == 12 / 160
    assert stain.share_of_image == 12 / 200
    assert found.classes[CLEAN].regions is None
    assert found.classes[CRACK].line.length == 0
    assert found.classes[CRACK].line.mean_width is None
    assert found.classes[CRACK].density == 0
    without = measure(classes, KINDS, clean=CLEAN)
    assert without.classes[STAIN].area_mm2 is None
    assert without.classes[CRACK].density is None


def test_a_class_outside_the_object_is_as_255():
    classes = np.zeros((4, 4), np.uint8)
    classes[0], classes[1] = HOLE, STAIN
    found = measure(classes, KINDS, clean=CLEAN, outside={HOLE})
    assert found.object_pixels == 12
    assert found.classes[HOLE].share_of_object is None
    assert found.classes[HOLE].regions is None
    assert found.classes[STAIN].share_of_object == 4 / 12
    nothing = measure(np.full((3, 3), 255, np.uint8), KINDS, clean=CLEAN)
    assert nothing.classes[STAIN].share_of_object is None
    assert nothing.unsure_share is None


@pytest.mark.parametrize("small", [False, True])
def test_regions_are_those_of_another_library(noise, small, monkeypatch):
    confidence = np.random.default_rng(1).integers(0, 256, noise.shape, dtype=np.uint8)
    if small:
        monkeypatch.setattr(module, "_TILE", 16)
    found = measure(noise, KINDS, confidence=confidence, clean=CLEAN)
    rows = set()
    for place, of_class in enumerate(found.regions.classes):
        v = {name: values[place] for name, values in found.regions.values.items()}
        box = (v["top"], v["left"], v["bottom"], v["right"])
        center = (v["row_sum"] / v["pixels"], v["column_sum"] / v["pixels"])
        sure = v["confidence_sum"] / v["pixels"]
        rows.add((int(of_class), *map(int, box), int(v["pixels"]), *np.round((*center, sure), 6)))
    expected = set()
    for of_class in (STAIN, CRACK, HOLE):
        for region in regionprops(label(noise == of_class, connectivity=2), confidence / 255):
            numbers = np.round((*region.centroid, region.intensity_mean), 6)
            expected.add((of_class, *map(int, region.bbox), int(region.area), *numbers))
    assert rows == expected
    pixels = found.regions.values["pixels"]
    assert (np.diff(pixels) <= 0).all()


def test_lines_do_not_depend_on_tiles(monkeypatch):
    classes = np.zeros((300, 300), np.uint8)
    y, x = np.mgrid[:300, :300]
    classes[np.abs(y - 0.5 * x - 60) < 3] = CRACK
    classes[np.abs(np.hypot(y - 110, x - 200) - 60) < 2] = CRACK
    whole = measure(classes, KINDS, clean=CLEAN).classes[CRACK].line
    monkeypatch.setattr(module, "_TILE", 64)
    monkeypatch.setattr(module, "HALO", 40)
    tiled = measure(classes, KINDS, clean=CLEAN).classes[CRACK].line
    assert tiled.length == pytest.approx(whole.length, rel=0.005)
    assert tiled.mean_width == pytest.approx(whole.mean_width, rel=0.01)
    assert tiled.largest_width == pytest.approx(whole.largest_width, abs=0.3)


@pytest.mark.parametrize(("degrees", "place"), [(0, 0), (30, 2), (90, 6), (135, 9), (175, 0)])
def test_directions_run_counterclockwise_from_the_right(degrees, place):
    classes = np.zeros((200, 200), np.uint8)
    y, x = np.mgrid[:200, :200] - 100
    angle = np.deg2rad(degrees)
    along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    classes[(np.abs(along) < 80) & (np.abs(across) < 3)] = CRACK
    directions = measure(classes, KINDS, clean=CLEAN).classes[CRACK].line.directions
    assert len(directions) == DIRECTIONS
    assert np.argmax(directions) == place
    assert directions[place] > 0.9 * sum(directions)


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_pixels_need_not_be_square(degrees):
    """A line that is 80 by 2 mm, of which pixels are 0.25 mm wide and 0.5 mm high."""
    angle, scale = np.deg2rad(degrees), Scale(0.25, 0.5, "")
    y, x = np.mgrid[:200, :400]
    x, y = (x - 199.6) * scale.across, (y - 99.7) * scale.down
    along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    classes = np.zeros((200, 400), np.uint8)
    classes[(np.abs(along) < 40) & (np.abs(across) < 1)] = CRACK
    found = measure(classes, KINDS, scale, clean=CLEAN)
    line = found.classes[CRACK].line
    assert line.length_mm == pytest.approx(80, rel=0.02)
    assert line.mean_width_mm == pytest.approx(2, abs=0.2)
    assert found.classes[CRACK].density == pytest.approx(line.length_mm / 100, rel=1e-6)
    mean = np.sum(np.array(line.directions) * np.exp(2j * np.pi * np.arange(12) / 12))
    off = (np.rad2deg(np.angle(mean)) / 2 - degrees + 90) % 180 - 90
    assert abs(off) < 5


def test_unsure_pixels_are_those_below_the_threshold_within_the_object():
    classes = np.zeros((2, 4), np.uint8)
    classes[1] = 255
    confidence = np.array([[255, 128, 127, 0], [0, 0, 0, 0]], np.uint8)
    found = measure(classes, KINDS, confidence=confidence, clean=CLEAN, unsure_below=0.5)
    assert found.unsure_share == 2 / 4
    assert found.classes[CLEAN].mean_confidence == pytest.approx(510 / 255 / 4)
    assert found.classes[STAIN].mean_confidence is None


def test_what_is_no_class_map_is_refused():
    with pytest.raises(InputError, match=r"expected class ids 0\.\.3 or 255, found 4"):
        measure(np.full((2, 2), 4, np.uint8), KINDS)
    with pytest.raises(InputError, match="confidences of"):
        measure(np.zeros((2, 2), np.uint8), KINDS, confidence=np.zeros((2, 3), np.uint8))


def test_what_is_not_decided_is_part_of_the_object_and_of_no_class():
    classes = np.zeros((4, 5), np.uint8)
    classes[0], classes[1], classes[2, :2] = 255, STAIN, 254
    confidence = np.full(classes.shape, 255, np.uint8)
    confidence[2, :2] = 100
    found = measure(classes, KINDS, Scale(1, 1, ""), confidence, clean=CLEAN, unsure_below=0.5)
    assert found.undecided_pixels == 2
    assert found.object_pixels == 15
    assert sum(measured.pixels for measured in found.classes) == 13
    assert found.classes[STAIN].share_of_object == 5 / 15
    assert found.unsure_share == 2 / 15
    with pytest.raises(InputError, match="found 253"):
        measure(np.full((2, 2), 253, np.uint8), KINDS)
