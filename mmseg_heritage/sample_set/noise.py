"""Random fields and pixel arithmetic the sample set is painted with.

Everything here is plain numpy on purpose: the pictures then do not depend on the version of OpenCV,
whose float filters change. Between numpy 1.26 and 2.4 a few pixels differ by a rounding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
Shape = tuple[int, int]


def child_rng(seed: int, *keys: int) -> np.random.Generator:
    """Returns the generator of one image (or of one purpose within it), independent of others."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *keys])))


def pick(rng: np.random.Generator, low: float, high: float) -> float:
    """Draws one number uniformly from ``low``..``high``."""
    return low + (high - low) * float(rng.random())


def stretch(field: npt.NDArray[np.floating]) -> FloatArray:
    """Scales a field so that it fills 0..1 exactly."""
    low, high = float(field.min()), float(field.max())
    scaled = (field - low) / max(high - low, 1e-9)
    return scaled.astype(np.float32)


def smoothstep(low: float, high: float, x: npt.NDArray[np.floating]) -> FloatArray:
    """Rises from 0 at ``low`` to 1 at ``high`` without corners (falls where ``low > high``)."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def grid(shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Returns the row and column coordinates of every pixel, each (H, W) float32."""
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    return ys.astype(np.float32), xs.astype(np.float32)


def _spline_axis(length: int, cell: float, offset: float) -> tuple[IntArray, FloatArray]:
    """Lattice index (length,) and the four cubic B-spline weights (4, length) of each pixel."""
    position = np.arange(length) / cell + offset
    index = np.floor(position).astype(np.int32)
    t = position - index
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    )
    return index, (weights / 6.0).astype(np.float32)


def value_noise(
    shape: Shape, cell: float | tuple[float, float], rng: np.random.Generator
) -> FloatArray:
    """Smooth random field with bumps of about ``cell`` pixels (rows, columns).

    Returns:
        (H, W) float32 that fills 0..1.
    """
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    iy, wy = _spline_axis(shape[0], max(cell_y, 1.0), float(rng.random()))
    ix, wx = _spline_axis(shape[1], max(cell_x, 1.0), float(rng.random()))
    lattice = rng.random((int(iy[-1]) + 4, int(ix[-1]) + 4)).astype(np.float32)
    rows = np.zeros((shape[0], lattice.shape[1]), np.float32)
    for tap in range(4):
        rows += wy[tap][:, None] * lattice[iy + tap]
    field = np.zeros(shape, np.float32)
    for tap in range(4):
        field += wx[tap][None, :] * rows[:, ix + tap]
    return stretch(field)


def fbm(
    shape: Shape,
    cell: float | tuple[float, float],
    rng: np.random.Generator,
    octaves: int = 4,
    gain: float = 0.5,
) -> FloatArray:
    """Sum of ever finer value noise: clouds, smoke, stone, the outline of a stain.

    Returns:
        (H, W) float32 that fills 0..1.
    """
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    field = np.zeros(shape, np.float32)
    for octave in range(octaves):
        finer = (cell_y / 2**octave, cell_x / 2**octave)
        if max(finer) < 1.0:
            break
        field += np.float32(gain**octave) * value_noise(shape, finer, rng)
    return stretch(field)


def ridge(length: int, cell: float, rng: np.random.Generator, octaves: int = 4) -> FloatArray:
    """One-dimensional :func:`fbm`, e.g. the skyline of a hill: (length,) float32 in 0..1."""
    return fbm((1, length), (1.0, cell), rng, octaves)[0]


def _box(image: FloatArray, width: int, axis: int) -> FloatArray:
    """Running mean of odd ``width`` along an axis, edges repeated."""
    pad = [(0, 0)] * image.ndim
    pad[axis] = (width // 2 + 1, width // 2)
    total = np.cumsum(np.pad(image.astype(np.float64), pad, mode="edge"), axis=axis)
    upper = np.take(total, np.arange(width, total.shape[axis]), axis=axis)
    lower = np.take(total, np.arange(0, total.shape[axis] - width), axis=axis)
    return ((upper - lower) / width).astype(np.float32)


def _convolve(image: FloatArray, kernel: npt.NDArray[np.float64], axis: int) -> FloatArray:
    """Correlates with a short odd kernel along an axis, edges repeated."""
    radius = len(kernel) // 2
    pad = [(0, 0)] * image.ndim
    pad[axis] = (radius, radius)
    padded = np.pad(image, pad, mode="edge")
    out = np.zeros_like(image)
    window: list[slice] = [slice(None)] * image.ndim
    for tap, weight in enumerate(kernel):
        window[axis] = slice(tap, tap + image.shape[axis])
        out += np.float32(weight) * padded[tuple(window)]
    return out


def blur(image: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur of an (H, W) or (H, W, C) float32 image."""
    if sigma < 0.2:
        return image
    if sigma > 3.0:  # three running means are a Gaussian to the eye, at a cost without radius
        width = 2 * round(sigma * 0.94) + 1
        for axis in (0, 1) * 3:
            image = _box(image, width, axis)
        return image
    reach = np.arange(-int(np.ceil(3 * sigma)), int(np.ceil(3 * sigma)) + 1)
    kernel = np.exp(-0.5 * (reach / sigma) ** 2)
    kernel /= kernel.sum()
    return _convolve(_convolve(image, kernel, 0), kernel, 1)


def resample(image: FloatArray, ys: FloatArray, xs: FloatArray) -> FloatArray:
    """Bilinear look-up of (H, W[, C]) at float coordinates; outside, the edge repeats."""
    ys = np.clip(ys, 0, image.shape[0] - 1)
    xs = np.clip(xs, 0, image.shape[1] - 1)
    y0, x0 = np.floor(ys).astype(np.int32), np.floor(xs).astype(np.int32)
    y1 = np.minimum(y0 + 1, image.shape[0] - 1)
    x1 = np.minimum(x0 + 1, image.shape[1] - 1)
    fy, fx = ys - y0, xs - x0
    if image.ndim == 3:
        fy, fx = fy[..., None], fx[..., None]
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    out: FloatArray = (top * (1 - fy) + bottom * fy).astype(np.float32)
    return out


def shift(image: FloatArray, dy: float, dx: float) -> FloatArray:
    """Moves a field by (dy, dx) pixels; outside, the edge repeats."""
    ys, xs = grid((image.shape[0], image.shape[1]))
    return resample(image, ys - np.float32(dy), xs - np.float32(dx))


def relief(height: FloatArray, strength: float) -> FloatArray:
    """Light from the upper left on a height field: (H, W) factors around 1."""
    slope = height - shift(height, 1.0, 1.0)
    return np.clip(1.0 + strength * slope, 0.4, 1.6)


def warped(
    shape: Shape, amount: float, cell: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Pixel coordinates pushed about by smooth noise of up to ``amount`` pixels each way."""
    ys, xs = grid(shape)
    push_y = (fbm(shape, cell, rng, 3) - 0.5) * np.float32(2 * amount)
    push_x = (fbm(shape, cell, rng, 3) - 0.5) * np.float32(2 * amount)
    return ys + push_y, xs + push_x


class Cells:
    """Irregular tiling of the plane: tesserae, craquelure islands, flakes of paint.

    Attributes:
        edge: (H, W) float32, distance of each pixel to the border of its cell, in pixels.
        index: (H, W) int32, number of the cell.
        neighbor: (H, W) int32, number of the cell across the nearest border.
        centers: (N, 2) float32, center of each cell as (y, x) in the warped coordinates.
    """

    def __init__(
        self, ys: FloatArray, xs: FloatArray, size: float, jitter: float, rng: np.random.Generator
    ) -> None:
        """Tiles the coordinates ``ys``, ``xs`` with cells of ``size``; ``jitter`` 0 is a grid."""
        low_y, low_x = float(ys.min()) - 2 * size, float(xs.min()) - 2 * size
        rows = int((float(ys.max()) - low_y) / size) + 4
        cols = int((float(xs.max()) - low_x) / size) + 4
        row, col = np.mgrid[:rows, :cols]
        wobble = (rng.random((2, rows, cols)) - 0.5) * jitter
        center_y = ((row + 0.5 + wobble[0]) * size + low_y).astype(np.float32)
        center_x = ((col + 0.5 + wobble[1]) * size + low_x).astype(np.float32)
        self.centers = np.stack([center_y.ravel(), center_x.ravel()], axis=1)

        home_y = np.floor((ys - low_y) / size).astype(np.int32)
        home_x = np.floor((xs - low_x) / size).astype(np.int32)
        first = np.full(ys.shape, np.inf, np.float32)
        second = first.copy()
        self.index = np.zeros(ys.shape, np.int32)
        self.neighbor = self.index.copy()
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                near_y, near_x = home_y + dy, home_x + dx
                candidate = (near_y * cols + near_x).astype(np.int32)
                gap = (ys - center_y[near_y, near_x]) ** 2 + (xs - center_x[near_y, near_x]) ** 2
                wins = gap < first
                places = ~wins & (gap < second)
                self.neighbor = np.where(
                    wins, self.index, np.where(places, candidate, self.neighbor)
                )
                second = np.where(wins, first, np.where(places, gap, second))
                self.index = np.where(wins, candidate, self.index)
                first = np.where(wins, gap, first)
        apart = self.centers[self.index] - self.centers[self.neighbor]
        distance = np.sqrt((apart**2).sum(axis=-1))
        self.edge = ((second - first) / (2.0 * np.maximum(distance, 1e-3))).astype(np.float32)
