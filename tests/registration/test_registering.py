"""Registration of photographs against a homography that is known; refusals with their reason."""

import math

import cv2
import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.registration.homographies import (
    implausible,
    moved,
    scaled,
    warped_ids,
)
from mmseg_heritage.registration.local_shifts import local_shifts
from mmseg_heritage.registration.registering import HALF_DIAGONAL, register


def photographed_again(image, size=1.0, turn=0, aside=0.04, seed=0):
    """Returns an image by another camera in other light, and the homography to it."""
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moves = rng.uniform(-aside, aside, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, (corners + moves).astype(np.float32))
    matrix = np.diag([size, size, 1.0]) @ matrix
    shape = (round(width * size), round(height * size))
    again = cv2.warpPerspective(image, matrix, shape, flags=cv2.INTER_CUBIC,
                                borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    light = np.linspace(0.7, 1.1, shape[0])[None, :, None]
    again = again * light + rng.normal(0, 2, again.shape)
    again = np.clip(again, 0, 255).astype(np.uint8)
    for _ in range(turn):
        matrix = np.array([[0, 1, 0], [-1, 0, again.shape[1] - 1], [0, 0, 1.0]]) @ matrix
        again = np.ascontiguousarray(np.rot90(again))
    return again, matrix


def errors_of(matrix, there, shape):
    """Returns how far places on BEFORE are off that went to AFTER and back."""
    across, down = np.meshgrid(np.linspace(0, shape[1], 9), np.linspace(0, shape[0], 9))
    places = np.stack([across, down], axis=-1).reshape(-1, 2)
    return np.hypot(*(moved(matrix, moved(there, places)) - places).T)


@pytest.mark.parametrize(
    ("size", "turn"),
    [(1.4, 1), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1.0, 0), (0.7, 2)))],
)
def test_the_homography_is_found(artworks, size, turn):
    image = artworks[0]
    again, there = photographed_again(image, size, turn)
    found = register(image, again)
    errors = errors_of(found.matrix, there, image.shape)
    assert errors.mean() < 0.4
    assert errors.max() < 1
    assert found.pixel == pytest.approx(1 / size, rel=0.05)
    apart = math.hypot(found.residual, found.spread)
    assert errors.mean() < max(apart, 0.2) < 1
    assert found.error == apart + HALF_DIAGONAL * (1 + found.pixel)
    assert found.overlap > 0.85
    assert found.inliers <= found.matches


@pytest.mark.slow
def test_on_a_copy_that_is_shrunk_for_the_features(artworks):
    image = cv2.resize(artworks[1], None, fx=7, fy=7, interpolation=cv2.INTER_CUBIC)
    again, there = photographed_again(image, 0.9, 1)
    found = register(image, again)
    assert errors_of(found.matrix, there, image.shape).mean() < 1
    assert found.places > 50


def test_a_part_of_the_object(artworks):
    image = artworks[0]
    found = register(image, np.ascontiguousarray(image[40:250, 70:]))
    assert found.overlap == pytest.approx(
        210 * (image.shape[1] - 70) / image[..., 0].size, abs=0.02
    )
    assert np.abs(moved(found.matrix, np.array([[10.0, 20.0]])) - (80, 60)).max() < 0.3


def test_an_object_that_is_not_flat(artworks):
    """A bend that no homography follows: it is in the error, or the photographs are refused."""
    image = artworks[0]
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    for depth, is_refused in ((3, False), (14, True)):
        bent = (x + depth * np.sin(x / 25), y + depth * np.cos(y / 20))
        again = cv2.remap(image, *bent, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        try:
            found = register(image, again)
        except InputError:
            assert is_refused
        else:
            assert not is_refused
            assert found.residual > 1.5


def test_where_little_is_shared(artworks):
    image = artworks[0]
    left, right = (np.ascontiguousarray(part) for part in (image[:, :110], image[40:, 40:]))
    found = register(left, right)
    shift = np.array([[1, 0, 40], [0, 1, 40], [0, 0, 1.0]])
    places = np.stack(np.meshgrid(np.arange(0, 71, 10), np.arange(0, 161, 10)), -1).reshape(-1, 2)
    errors = np.hypot(*(moved(found.matrix, places) - moved(shift, places)).T)
    assert np.percentile(errors, 90) < 0.3
    assert found.spread > 2 * register(image, image).spread


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda image, other: other, "do both show the same object"),
        (lambda image, other: np.full_like(image, 128), "AFTER shows too little"),
        (lambda image, other: np.ascontiguousarray(image[:, ::-1]), "agree|mirror"),
        (lambda image, other: image[:1, :1], "AFTER shows too little"),
    ],
)
def test_others_are_refused_with_the_reason(artworks, make, reason):
    with pytest.raises(InputError, match=reason):
        register(artworks[0], make(*artworks))
    if reason.startswith("AFTER"):
        with pytest.raises(InputError, match="BEFORE shows too little"):
            register(make(*artworks), artworks[0])


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.diag([-1.0, 1, 1]), "mirror"),
        (np.diag([10.0, 10, 1]), "times as large"),
        (np.array([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1]]), "behind the camera"),
        (np.array([[1, 0, 0], [0, 1, 0], [0.02, 0, 1]]), "far aside"),
        (np.array([[1, 0, 5000], [0, 1, 0], [0, 0, 1.0]]), "share 0 % of BEFORE"),
        (np.zeros((3, 3)), "cannot be laid"),
        (np.full((3, 3), np.nan), "cannot be laid"),
    ],
)
def test_homographies_that_cannot_be(matrix, reason):
    assert reason in implausible(np.asarray(matrix, float), (100, 100), (100, 100))


def test_a_turn_and_another_size_can_be():
    turned = np.array([[0, -2.0, 200], [2, 0, 0], [0, 0, 1]])
    assert implausible(turned, (200, 200), (100, 100)) == ""


def test_borders_of_copies_are_those_of_photographs():
    # A copy of half the size: the middle of its first pixel is between two of the photograph.
    assert np.allclose(moved(scaled(np.eye(3), 0.5, 0.5), np.array([[7.0, 3.0]])), [[7, 3]])
    assert np.allclose(moved(scaled(np.eye(3), 1.0, 0.5), np.array([[0.5, 0.5]])), [[0, 0]])


def test_maps_are_moved_by_whole_pixels():
    ids = np.random.default_rng(0).integers(0, 9, (40, 50), dtype=np.uint8)
    shift = np.array([[1, 0, 7], [0, 1, -3], [0, 0, 1.0]])
    found = warped_ids(ids, shift, (40, 50), outside=255)
    assert np.array_equal(found[:37, 7:], ids[3:, :43])
    assert (found[:, :7] == 255).all()
    assert (found[37:] == 255).all()


@pytest.mark.parametrize("shift", [(0, 0), (2.0, -1.0), (0.4, 0.7)])
def test_local_shifts_are_measured(artworks, shift):
    gray = cv2.cvtColor(artworks[0], cv2.COLOR_RGB2GRAY)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]])
    points = np.array([[x, y] for x in range(30, 270, 30) for y in range(30, 200, 30)], float)
    found = local_shifts(gray, gray, matrix, points)
    assert len(found.points) > 15
    assert np.abs(np.median(found.shifts, axis=0) - shift).max() < 0.1
