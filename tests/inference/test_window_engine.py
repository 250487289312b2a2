"""The window engine gives the same maps with a network of numpy as with one of torch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmseg_heritage.inference.sources import PhotographSource
from mmseg_heritage.inference.window_engine import WindowEngine
from mmseg_heritage.models.decode_heads.hierarchy_scores import HierarchyScores
from mmseg_heritage.scores.class_calibration import ClassCalibration
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import ARTEFACT

LEVELS = {name: ARTEFACT.levels[name] for name in ("binary", "coarse")}
PHOTOGRAPH = np.random.default_rng(1).integers(0, 256, (150, 110, 3), dtype=np.uint8)


class Cells:
    """Scores of cells of 4 px by their mean color, with other weights for each channel."""

    unit = multiple = 32
    batch = 2

    def __init__(self, head, outputs, with_torch):
        self.head = HeadScores(head)
        self._with_torch = with_torch
        self._weights = np.random.default_rng(2).normal(0, 0.05, (outputs, 3)).astype(np.float32)

    def __call__(self, parts, size):
        found = []
        for part in parts:
            margins = ((0, 0), *((0, a - b) for a, b in zip(size, part.shape[1:], strict=True)))
            cells = np.pad(part, margins, "edge").reshape(3, size[0] // 4, 4, size[1] // 4, 4)
            scores = np.tensordot(self._weights, cells.mean((2, 4), dtype=np.float32) - 127, 1)
            found.append(self.head.probabilities(torch.from_numpy(scores)[None]))
        found = torch.cat(found)
        return found if self._with_torch else found.numpy()


HEADS = {
    "plain": (SimpleNamespace(out_channels=16), 16),
    "one channel": (SimpleNamespace(out_channels=1, threshold=0.3), 1),
    "temperature": (SimpleNamespace(calibration=ClassCalibration(16, temperature=1.7)), 16),
    "vector": (
        SimpleNamespace(calibration=ClassCalibration(16, None, [0.5] * 8 + [1.5] * 8, [0.1] * 16)),
        16,
    ),
    **{
        mode: (SimpleNamespace(scores=HierarchyScores(LEVELS, 16, mode)), outputs)
        for mode, outputs in (("independent", 22), ("marginal", 16), ("conditional", 22))
    },
}
SETTINGS = ({"mode": "whole"}, {"crop": 64}, {"crop": 64, "scales": ["native", "fit:90"]})


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("confidence", [False, True])
def test_a_network_of_numpy_gives_the_same_maps(name, settings, confidence):
    engine = WindowEngine(confidence=confidence, **settings)
    source, size = PhotographSource(PHOTOGRAPH), PHOTOGRAPH.shape[:2]
    expected, found = (
        engine.maps_of(Cells(*HEADS[name], with_torch), source, size)
        for with_torch in (True, False)
    )
    assert found.ids.keys() == expected.ids.keys()
    for level, ids in found.ids.items():
        assert isinstance(ids, np.ndarray)
        assert level != "fine" or len(np.unique(ids)) > 1
        assert (ids != expected.ids[level].numpy()).mean() < 1e-4
    if confidence:
        apart = found.confidence.astype(int) - expected.confidence.numpy()
        assert np.abs(apart).max() <= 1
