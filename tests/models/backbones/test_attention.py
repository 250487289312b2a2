"""Attention without weights gives the same maps."""

import copy

import torch
from mmseg.registry import MODELS
from torch import nn

from mmseg_heritage.models.backbones.attention import without_attention_weights

MIT = {"type": "mmseg.MixVisionTransformer", "embed_dims": 8, "num_stages": 2, "num_layers": [1, 1],
       "num_heads": [1, 2], "patch_sizes": [7, 3], "strides": [4, 2], "sr_ratios": [2, 1],
       "out_indices": (0, 1)}  # fmt: skip


def test_maps_and_weights_are_the_same_and_no_attention_is_returned(monkeypatch):
    torch.manual_seed(0)
    stock = MODELS.build(MIT).eval()
    lean = copy.deepcopy(stock)
    without_attention_weights(lean)
    image = torch.randn(1, 3, 40, 56)
    returned, forward = [], nn.MultiheadAttention.forward

    def noted(self, *args, **kwargs):
        found = forward(self, *args, **kwargs)
        returned.append(found[1] is not None)
        return found

    monkeypatch.setattr(nn.MultiheadAttention, "forward", noted)
    with torch.no_grad():
        expected, found = stock(image), lean(image)
    assert returned == [True, True, False, False]
    assert all(
        torch.allclose(one, other, atol=1e-5) for one, other in zip(expected, found, strict=True)
    )
    assert list(stock.state_dict()) == list(lean.state_dict())
    copy.deepcopy(lean)(image)  # as averaging of weights does


def test_a_backbone_without_attention_stays_as_it_is():
    without_attention_weights(nn.Sequential(nn.Conv2d(3, 3, 1)))
