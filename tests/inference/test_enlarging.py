"""Steps of a map become pixels where they lie, against an independent interpolation."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmseg_heritage.inference.enlarging import Line, enlarge


def enlarged(steps, size, resized, cell, band):
    rows, columns = (Line(*sides, cell) for sides in zip(size, resized, strict=True))
    parts = []
    for start in range(0, size[0], band):
        stop = min(start + band, size[0])
        first, last = rows.span(start, stop)
        parts.append(enlarge(steps[:, first:last], rows, columns, start, stop))
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("cell", [1, 2, 4, 32])
@pytest.mark.parametrize("band", [1, 7, 1000])
def test_at_whole_steps_it_is_what_torch_does(cell, band):
    steps = torch.rand(3, 5, 8, generator=torch.Generator().manual_seed(0))
    size = (5 * cell, 8 * cell)
    expected = functional.interpolate(steps[None], size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(enlarged(steps, size, size, cell, band), expected)


@pytest.mark.parametrize("size", [(1, 1), (29, 200), (683, 1024), (1000, 10)])
@pytest.mark.parametrize(("factor", "cell"), [(1, 4), (1, 32), (0.3, 4), (2.5, 2)])
def test_a_ramp_stays_a_ramp_at_every_size(size, factor, cell):
    """Each step holds the place of its center in the photograph: between them, so do all pixels."""
    resized = tuple(max(round(side * factor), 1) for side in size)
    counts = [-(-side // cell) for side in resized]
    centers = [
        (np.arange(n) + 0.5) * cell * side / small
        for n, side, small in zip(counts, size, resized, strict=True)
    ]
    steps = torch.tensor(np.stack(np.meshgrid(*centers, indexing="ij")), dtype=torch.float32)
    found = enlarged(steps, size, resized, cell, 17).numpy()
    for axis, (middle, side) in enumerate(zip(centers, size, strict=True)):
        place = np.clip(np.arange(side) + 0.5, middle[0], middle[-1])
        expected = np.moveaxis(np.broadcast_to(place, (*np.delete(size, axis), side)), -1, axis)
        np.testing.assert_allclose(found[axis], expected, rtol=1e-5, atol=1e-3)
