"""Class-activation maps against gradients taken by hand."""

import numpy as np
import pytest

pytest.importorskip("mmseg")
import torch
import torch.nn.functional as F
from torch import nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.visualization.figures import activation as module
from mmseg_heritage.visualization.figures.activation import class_activations, require_captum


class _Head(nn.Module):
    """Takes the first and the last of three maps."""

    in_index = (0, 2)

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 1), nn.Conv2d(5, 4, 1)

    def forward(self, maps):
        fine, coarse = self.fine(maps[0]), self.coarse(maps[2])
        return fine * F.interpolate(coarse, size=fine.shape[2:]).sigmoid()


class _Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 3, 2, 2), nn.Conv2d(3, 5, 4, 4)
        self.decode_head = _Head()

    def extract_feat(self, image):
        return self.first(image), image, self.last(image)


def _by_hand(model, image, index, mask):
    maps = [feature.detach().requires_grad_() for feature in model.extract_feat(image)]
    logits = model.decode_head(maps)
    weight = F.interpolate(
        torch.from_numpy(mask)[None, None].float(), logits.shape[2:], mode="area"
    )
    score = (logits[0, index] * weight[0, 0]).sum() / weight.sum()
    gradients = torch.autograd.grad(score, [maps[0], maps[2]])
    return [
        (gradient.mean((2, 3), keepdim=True) * feature).sum(1)[0].relu().detach().numpy()
        for gradient, feature in zip(gradients, (maps[0], maps[2]), strict=True)
    ]


def test_the_grid_of_our_segmentor_reaches_as_far_as_the_mask():
    """33 px are two steps of 32, the second nearly all beyond the image."""
    pytest.importorskip("captum")
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmseg.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(
        {"type": "HeritageEncoderDecoder",
         "backbone": {"type": "TimmBackboneAdapter", "model_name": "test_resnet"},
         "decode_head": {"type": "SegformerHead", "in_channels": "auto", "in_index": [0, 1, 2, 3],
                         "channels": 8, "num_classes": 4, "norm_cfg": {"type": "BN"}},
         "inference": {"scales": ["fit:33"]}}
    ).eval()  # fmt: skip
    mask = np.zeros((66, 80), dtype=bool)
    mask[-5:, -5:] = True
    maps = class_activations(model, torch.rand(1, 3, 66, 80), 1, mask)
    assert [found.shape for found in maps] == [(7, 9), (4, 5), (2, 3), (1, 2)]
    assert all(np.isfinite(found).all() for found in maps)


@pytest.mark.parametrize("index", range(4))
def test_equal_to_gradients_by_hand(index):
    pytest.importorskip("captum")
    model, image = _Model().eval(), torch.rand(1, 3, 16, 24)
    mask = np.zeros((32, 48), dtype=bool)
    mask[4:20, 7:30] = True
    found = class_activations(model, image, index, mask)
    assert [values.shape for values in found] == [(8, 12), (4, 6)]
    for values, expected in zip(found, _by_hand(model, image, index, mask), strict=True):
        assert np.allclose(values, expected, atol=1e-6)
        assert values.min() >= 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_backbones_have_maps_too():
    pytest.importorskip("captum")
    model, image = _Model().eval().requires_grad_(False), torch.rand(1, 3, 16, 24)
    found = class_activations(model, image, 1, np.ones((16, 24), dtype=bool))
    assert len(found) == 2


def test_large_images_are_shrunk(monkeypatch):
    pytest.importorskip("captum")
    monkeypatch.setattr(module, "MAX_EDGE", 16)
    found = class_activations(_Model().eval(), torch.rand(1, 3, 32, 64), 0, np.ones((9, 9), bool))
    assert found[0].shape == (4, 8)


def test_a_decoder_without_a_map_of_scores_is_refused():
    pytest.importorskip("captum")
    model = _Model().eval()
    model.decode_head.forward = lambda maps: [maps[0]]
    with pytest.raises(InputError, match="_Head gives list"):
        class_activations(model, torch.rand(1, 3, 16, 16), 0, np.ones((16, 16), bool))


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install captum"):
        require_captum()
