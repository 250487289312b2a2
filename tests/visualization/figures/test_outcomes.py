"""Error maps against a count pixel by pixel."""

import numpy as np
import pytest

from mmseg_heritage.visualization.figures.outcomes import (
    CLASS_COLORS,
    ERROR_COLORS,
    class_map_of_outcomes,
    class_picture,
    error_map,
    error_picture,
)

DAMAGE = np.array([False, True, True, True, False])  # Clean, three damages, Background


@pytest.fixture
def maps():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 5, (40, 50), dtype=np.uint8)
    prediction = generator.integers(0, 5, (40, 50), dtype=np.uint8)
    truth[generator.random(truth.shape) < 0.2] = 255
    return truth, prediction


def _expected(true, found):
    if true == 255:
        return "outside (ignored)"
    if true == found:
        return "damage, right" if DAMAGE[true] else "undamaged, right"
    if DAMAGE[true] and not DAMAGE[found]:
        return "missed damage"
    if DAMAGE[found] and not DAMAGE[true]:
        return "false damage"
    return "wrong class"


def test_every_pixel_has_the_color_of_its_error(maps):
    truth, prediction = maps
    picture = error_picture(error_map(truth, prediction, DAMAGE))
    for place in np.ndindex(truth.shape):
        color = ERROR_COLORS[_expected(truth[place], prediction[place])]
        assert "#{:02x}{:02x}{:02x}".format(*picture[place]) == color


def test_errors_are_exactly_where_the_maps_differ(maps):
    truth, prediction = maps
    codes = error_map(truth, prediction, DAMAGE)
    wrong = (truth != prediction) & (truth != 255)
    assert np.array_equal(np.isin(codes, (2, 3, 4)), wrong)
    assert np.array_equal(codes == 255, truth == 255)


def test_the_colors_differ():
    assert len(set(ERROR_COLORS.values())) == len(ERROR_COLORS)
    assert len(set(CLASS_COLORS.values())) == len(CLASS_COLORS)


def test_outcomes_of_a_class_add_up(maps):
    truth, prediction = maps
    valid = truth != 255
    codes = class_map_of_outcomes(truth, prediction, 2)
    assert (codes == 1).sum() == ((truth == 2) & (prediction == 2)).sum()
    assert (codes == 2).sum() == (valid & (truth != 2) & (prediction == 2)).sum()
    assert (codes == 3).sum() == ((truth == 2) & (prediction != 2)).sum()
    assert np.array_equal(codes == 255, ~valid)


def test_true_negatives_stay_gray(maps):
    truth, prediction = maps
    image = np.random.default_rng(1).integers(0, 256, (*truth.shape, 3), dtype=np.uint8)
    codes = class_map_of_outcomes(truth, prediction, 2)
    picture = class_picture(image, codes).astype(int)
    gray = (np.ptp(picture, axis=2)) == 0
    assert gray[(codes == 0) | (codes == 255)].all()
    assert not gray[(codes > 0) & (codes < 255)].any()
