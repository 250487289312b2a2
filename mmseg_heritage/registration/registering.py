"""Finds the homography that lays a photograph over an earlier one of the same object.

SIFT features (Lowe, IJCV 2004) of smaller copies are matched and their homography found by MAGSAC++
(Barath et al., CVPR 2020, in OpenCV's USAC); it is refined by the enhanced correlation coefficient
(Evangelidis and Psarakis, TPAMI 2008), then by shifts measured at full size, which also say how far
the photographs are still apart. A homography is right for a flat object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.resizing import fitted_size
from mmseg_heritage.registration.homographies import (
    LARGEST_SIDE,
    Matrix,
    enlarged,
    implausible,
    moved,
    scaled,
    seen,
    warped_image,
)
from mmseg_heritage.registration.local_shifts import (
    LEAST_FOUND,
    LocalShifts,
    corner_points,
    local_shifts,
)

EDGE = 1600
"""Long edge in pixels of the copies on which features are found."""
ECC_EDGE = 640
"""Long edge in pixels of the copies on which the correlation is made as large as it gets."""
LEAST_FEATURES = 40
LEAST_INLIERS = 24
LEAST_CORRELATION = 0.25
"""Between BEFORE and AFTER in register; photographs of different things are at 0.1 and below."""
LARGEST_ERROR = 0.02
"""Of the long side of BEFORE, that the photographs may be apart."""
HALF_DIAGONAL = math.sqrt(0.5)
"""Sides of a pixel from its center to a corner: as far is a place from the center that stands for
it in a map."""
_FEATURES = 6000
_RATIO = 0.8  # of Lowe, between the nearest and the next feature
_APART = 3.0  # pixels of a copy that features of one homography may be apart
_STEPS = 60
_SAMPLES, _PLACES = 20, 500
_LEAST_SPREAD = 0.5  # of what both show, that points must surround to refine the homography


@dataclass(frozen=True, eq=False)
class Registration:
    """How AFTER lies over BEFORE.

    Attributes:
        matrix: The homography from places on AFTER to places on BEFORE.
        residual: How far the photographs are still apart, in pixels of BEFORE: 95 of 100 measured
            places are nearer.
        spread: How far the homography moves places, also where nothing could be measured, when it
            is fitted to points that are off as much as those were: 95 of 100 times less.
        pixel: Side of a pixel of AFTER in pixels of BEFORE, in the middle of AFTER.
        places: Number of places where the residual was measured; 0 where too few could be, and it
            is that of the matched features.
        tried: Number of places where it was tried.
        matches: Number of matched features.
        inliers: Number of those that agree with the homography.
        correlation: Between BEFORE and AFTER where both show the object, -1 to 1.
        overlap: Share of BEFORE that AFTER shows, 0 to 1.
    """

    matrix: Matrix
    residual: float
    spread: float
    pixel: float
    places: int
    tried: int
    matches: int
    inliers: int
    correlation: float
    overlap: float

    @property
    def error(self) -> float:
        """Pixels of BEFORE by which the borders of both maps may differ though nothing changed.

        That is how far the photographs are apart, and half a diagonal of a pixel of each.
        """
        return math.hypot(self.residual, self.spread) + HALF_DIAGONAL * (1 + self.pixel)


def register(before: np.ndarray, after: np.ndarray) -> Registration:
    """Registers two photographs of one flat object.

    Args:
        before: uint8 (H, W, 3), RGB, or (H, W).
        after: The same, of any size, turned in any way.

    Raises:
        InputError: With the reason, if they cannot be registered.
    """
    grays = [_gray(image) for image in (before, after)]
    copies, scales = zip(*(_copy(gray, EDGE) for gray in grays), strict=True)
    first, matches, pairs = _from_features(*copies)
    if problem := implausible(first, copies[0].shape, copies[1].shape):
        raise InputError(f"the matched features make no sense: {problem}")
    refined, correlation = _correlated(first, copies)
    if correlation < LEAST_CORRELATION:
        raise InputError(
            f"laid over each other the photographs do not look alike (correlation "
            f"{correlation:.2f}, expected at least {LEAST_CORRELATION:g})"
        )
    matrix = scaled(refined, scales[0], scales[1])
    mask = seen(refined, copies[0].shape, copies[1].shape)
    points = corner_points(copies[0], scales[0], mask.astype(np.uint8))
    matrix, shifts, used = _at_full_size(grays, matrix, points, mask.sum() / scales[0] ** 2)
    if problem := implausible(matrix, grays[0].shape, grays[1].shape):
        raise InputError(f"the registration makes no sense: {problem}")
    residuals = shifts.distances()
    enough = len(residuals) >= LEAST_FOUND
    apart = np.hypot(*(moved(first, pairs[0]) - pairs[1]).T) / scales[0]
    rows, columns = np.nonzero(mask)
    some = slice(None, None, max(len(rows) // _PLACES, 1))
    places = (np.stack([columns, rows], axis=1)[some] + 0.5) / scales[0] - 0.5
    if used is None:
        used = (pairs[1] + 0.5) / scales[0] - 0.5
    measured = residuals if enough else apart
    found = Registration(
        matrix,
        float(np.percentile(measured, 95)),
        _spread(used, measured, places),
        math.sqrt(abs(float(enlarged(matrix, _middle(grays[1]))[0]))),
        len(residuals) if enough else 0,
        shifts.tried,
        matches,
        len(pairs[0]),
        correlation,
        float(mask.mean()),
    )
    largest = LARGEST_ERROR * max(grays[0].shape)
    if math.hypot(found.residual, found.spread) > largest:
        raise InputError(
            f"laid over each other the photographs are still {found.residual:.1f} px apart, and "
            f"known within {found.spread:.1f} px, expected at most {largest:.1f}; is the object "
            "flat, and is enough of it on both?"
        )
    return found


def _middle(gray: np.ndarray) -> NDArray[np.float64]:
    return np.array([[gray.shape[1] / 2, gray.shape[0] / 2]])


def _spread(
    used: NDArray[np.float64], apart: NDArray[np.float64], places: NDArray[np.float64]
) -> float:
    """Returns how far a homography that is fitted to points is off elsewhere, in pixels.

    Args:
        used: Points on BEFORE that it was fitted to, (N, 2).
        apart: How far they are off, (M,): as much is added to them, in any direction.
        places: Where its error is asked for, (K, 2).
    """
    rng = np.random.default_rng(0)
    # Two directions share a distance, and half of all distances are below the median.
    sigma = float(np.median(apart)) / 1.18
    moves = []
    for _ in range(_SAMPLES):
        noisy = used + rng.normal(0, sigma, used.shape)
        fitted, _ = cv2.findHomography(noisy, used, 0)
        if fitted is not None:
            moves.append(np.hypot(*(moved(fitted, places) - places).T))
    return float(np.percentile(moves, 95)) if moves else math.inf


def _gray(image: np.ndarray) -> NDArray[np.uint8]:
    if max(image.shape[:2]) > LARGEST_SIDE:
        raise InputError(
            f"the photograph has {image.shape[1]}x{image.shape[0]} pixels; sides of at most "
            f"{LARGEST_SIDE:,} can be registered; shrink it"
        )
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(gray)


def _copy(gray: NDArray[np.uint8], edge: int) -> tuple[NDArray[np.uint8], float]:
    """Returns a copy of at most so long an edge, and its size in that of the photograph."""
    height, width = gray.shape
    size = fitted_size(width, height, edge)
    if size == (width, height):
        return gray, 1.0
    copy: NDArray[np.uint8] = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return copy, size[0] / width if width > height else size[1] / height


def _from_features(
    before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[Matrix, int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Returns the homography of matched features, their number, and inliers on AFTER and BEFORE."""
    # Local contrast, so that a photograph in other light has the same features.
    lifted = [cv2.createCLAHE(2.0, (8, 8)).apply(gray) for gray in (before, after)]
    finder = cv2.SIFT_create(nfeatures=_FEATURES)
    (points, descriptors), (others, other_descriptors) = (
        finder.detectAndCompute(gray, None) for gray in lifted
    )
    for name, found in (("BEFORE", points), ("AFTER", others)):
        if len(found) < LEAST_FEATURES:
            raise InputError(
                f"{name} shows too little to be registered by ({len(found)} features, expected at "
                f"least {LEAST_FEATURES})"
            )
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(other_descriptors, descriptors, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < _RATIO * p[1].distance]
    # One of the features of BEFORE that several of AFTER are matched to: the nearest.
    best: dict[int, cv2.DMatch] = {}
    for match in sorted(good, key=lambda m: m.distance):
        best.setdefault(match.trainIdx, match)
    source = np.array([others[m.queryIdx].pt for m in best.values()], np.float64).reshape(-1, 2)
    target = np.array([points[m.trainIdx].pt for m in best.values()], np.float64).reshape(-1, 2)
    matrix, inside = None, np.zeros(0, bool)
    if len(best) >= LEAST_INLIERS:
        matrix, mask = cv2.findHomography(source, target, cv2.USAC_MAGSAC, _APART,
                                          maxIters=10_000, confidence=0.9999)  # fmt: skip
        inside = np.zeros(0, bool) if mask is None else mask.ravel() > 0
    if matrix is None or inside.sum() < LEAST_INLIERS:
        raise InputError(
            f"only {inside.sum()} of {len(best)} matched features agree on how the photographs "
            f"lie, expected at least {LEAST_INLIERS}; do both show the same object?"
        )
    return matrix, len(best), (source[inside], target[inside])


def _correlated(first: Matrix, copies: tuple[NDArray[np.uint8], ...]) -> tuple[Matrix, float]:
    """Makes the correlation of the photographs larger; returns the homography and it."""
    (before, after), scales = zip(*(_copy(copy, ECC_EDGE) for copy in copies), strict=True)
    start = scaled(first, 1 / scales[0], 1 / scales[1])
    looks = _Looks(before, after, start)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-6)
    try:
        _, further = cv2.findTransformECC(
            looks.before, looks.after, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY,
            criteria, looks.mask.astype(np.uint8), 5,
        )  # fmt: skip
        # It is the way from BEFORE to AFTER as it lay.
        found = np.linalg.inv(further.astype(np.float64)) @ start
        found /= found[2, 2]
    except (cv2.error, np.linalg.LinAlgError):  # it does not converge
        return first, looks.correlation
    if implausible(found, before.shape, after.shape):
        return first, looks.correlation
    better = _Looks(before, after, found).correlation
    if better <= looks.correlation:
        return first, looks.correlation
    return scaled(found, scales[0], scales[1]), better


class _Looks:
    """BEFORE and AFTER in register without the light on them.

    Attributes:
        mask: Where both are, bool (H, W).
        before: Gray levels less the mean of their surroundings, by the contrast there.
        after: The same of AFTER, in the frame of BEFORE.
        correlation: Between the two, -1 to 1; 0 where they share nothing.
    """

    def __init__(self, before: NDArray[np.uint8], after: NDArray[np.uint8], matrix: Matrix) -> None:
        self.mask = seen(matrix, before.shape, after.shape)
        weights = self.mask.astype(np.float32)
        around = max(before.shape) / 20
        share = cv2.GaussianBlur(weights, (0, 0), around) + 1e-6

        def mean(levels: np.ndarray) -> np.ndarray:
            """Returns the mean around each pixel of those that both show."""
            return cv2.GaussianBlur(levels * weights, (0, 0), around) / share

        def standardized(gray: np.ndarray) -> NDArray[np.float32]:
            levels = gray.astype(np.float32)
            levels -= mean(levels)
            contrast = np.sqrt(np.maximum(mean(levels**2), 0))
            return (np.clip(levels / (contrast + 4), -3, 3) * weights).astype(np.float32)

        self.before = standardized(before)
        self.after = standardized(warped_image(after, matrix, before.shape))
        self.correlation = self._correlation()

    def _correlation(self) -> float:
        one, other = (image[self.mask].astype(np.float64) for image in (self.before, self.after))
        if len(one) < 100:
            return 0.0
        one, other = one - one.mean(), other - other.mean()
        size = float(np.linalg.norm(one) * np.linalg.norm(other))
        return float(one @ other) / size if size else 0.0


def _at_full_size(
    grays: list[NDArray[np.uint8]], matrix: Matrix, points: NDArray[np.float64], shared: float
) -> tuple[Matrix, LocalShifts, NDArray[np.float64] | None]:
    """Refines a homography by shifts at full size.

    Args:
        grays: BEFORE and AFTER.
        matrix: The homography.
        points: Places on BEFORE where shifts may be measured, (N, 2).
        shared: Pixels of BEFORE that both show.

    Returns:
        The homography; how far places are off with it; and the points that it was refined by, None
        where it was not.
    """
    found = local_shifts(grays[0], grays[1], matrix, points)
    if len(found.points) < 2 * LEAST_FOUND or (
        cv2.contourArea(cv2.convexHull(found.points.astype(np.float32))) < _LEAST_SPREAD * shared
    ):
        return matrix, found, None
    # What is at p on BEFORE was found at p + shift: moved back, it is at p.
    correction, mask = cv2.findHomography(
        found.points + found.shifts, found.points, cv2.USAC_MAGSAC, _APART
    )
    if correction is None:
        return matrix, found, None
    refined = correction @ matrix
    refined /= refined[2, 2]
    again = local_shifts(grays[0], grays[1], refined, points)
    is_better = len(again.points) >= len(found.points) * 0.9 and (
        np.median(again.distances()) <= np.median(found.distances())
    )
    if not is_better:
        return matrix, found, None
    return refined, again, found.points[mask.ravel() > 0]
