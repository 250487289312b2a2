"""Which regions a person should look at first: those where the most area is expected to be wrong.

If the probabilities of a model are calibrated, 1 - p is how often a pixel of confidence p is wrong.
So the sum of 1 - p over a region is the number of pixels that are wrong in it, on average: its area
times (1 - its mean confidence).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.quantities.measure import Measurement

FIRST = 5
"""Regions of a photograph that are named as those to look at first."""


def expected_wrong(area: float, mean_confidence: float) -> float:
    """Returns the area of a region that is expected to be wrong, in the unit of the area.

    Args:
        area: Of the region.
        mean_confidence: Mean probability of its class, 0 to 1.
    """
    return area * (1 - mean_confidence)


def wrong_pixels(found: Measurement) -> NDArray[np.float64] | None:
    """Returns the number of pixels of each region that is expected to be wrong, (N,).

    Args:
        found: What was measured on a class map.

    Returns:
        In the order of the regions; None where the map has no confidences.
    """
    if found.unsure_share is None:
        return None
    values = found.regions.values
    return np.maximum(values["pixels"] - values["confidence_sum"], 0)


def look_first(found: Measurement, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Returns the :data:`FIRST` regions to look at, for JSON; none without confidences.

    Args:
        found: What was measured on a class map.
        names: Of the classes.
    """
    wrong, table = wrong_pixels(found), found.regions
    if wrong is None:
        return []
    values = table.values
    return [
        {
            "region": int(i) + 1,
            "class": names[int(table.classes[i])],
            "left": int(values["left"][i]),
            "top": int(values["top"][i]),
            "width": int(values["right"][i] - values["left"][i]),
            "height": int(values["bottom"][i] - values["top"][i]),
            "pixels": int(values["pixels"][i]),
            "expected_wrong_px": round(float(wrong[i]), 1),
        }
        for i in np.argsort(-wrong, kind="stable")[:FIRST]
    ]
