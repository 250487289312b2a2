"""SegFormer's decoder, joined before resizing, against mmsegmentation's."""

import pytest
import torch
from torch import fx, nn

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import SegformerHead
from mmseg.models.utils import resize

from mmseg_heritage.models.decode_heads import HeritageSegformerHead

CHANNELS = (4, 6, 8, 10)


def make_heads(**options):
    options = {
        "in_channels": CHANNELS, "in_index": (0, 1, 2, 3), "channels": 12, "num_classes": 5,
        "dropout_ratio": 0.0, "norm_cfg": {"type": "BN"}, **options,
    }  # fmt: skip
    torch.manual_seed(0)
    stock, ours = SegformerHead(**options), HeritageSegformerHead(**options)
    ours.load_state_dict(stock.state_dict(), strict=True)  # checkpoints fit both
    for head in (stock, ours):  # batch norm that changes nothing would not show a wrong order
        generator = torch.Generator().manual_seed(2)
        for name, tensor in head.state_dict().items():
            if "bn" in name and tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return stock, ours


def make_maps(height=64, width=96, strides=(4, 8, 16, 32)):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, channels, -(-height // s), -(-width // s), generator=generator)
        for channels, s in zip(CHANNELS, strides, strict=True)
    ]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (64, 96)),
        ({}, (37, 61)),
        ({"align_corners": True}, (64, 96)),
        ({"interpolate_mode": "bicubic"}, (64, 64)),
        ({"norm_cfg": None}, (64, 96)),  # then its convolutions have a bias
        ({"in_index": (1, 3), "in_channels": CHANNELS[1::2]}, (64, 96)),
    ],
    ids=["plain", "odd", "corners", "bicubic", "bias", "two-levels"],
)
def test_gives_the_scores_and_the_gradients_of_mmseg(options, size, training):
    heads = make_heads(**options)
    found = []
    for head in heads:
        maps = [map_.requires_grad_() for map_ in make_maps(*size)]
        scores = head.train(training)(maps)
        (scores * torch.linspace(-1, 1, scores.numel()).view_as(scores)).sum().backward()
        grads = [map_.grad for map_ in maps if map_.grad is not None]
        found.append([scores.detach(), *grads, *(weight.grad for weight in head.parameters())])
    for ours, stock in zip(*found[::-1], strict=True):
        torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-4)


def test_coarse_maps_are_joined_at_their_own_size(monkeypatch):
    """The work of a map falls with its pixels: the reason for this head."""
    _, ours = make_heads()
    enlarged = []
    monkeypatch.setattr(
        "mmseg_heritage.models.decode_heads.heritage_segformer_head.resize",
        lambda part, *others: enlarged.append(tuple(part.shape[1:])) or resize(part, *others),
    )
    ours.eval()(make_maps(64, 64))
    assert enlarged == [(12, 8, 8), (12, 4, 4), (12, 2, 2)]


def test_can_be_traced():
    """As tools for quantization and pruning do."""

    class Tracer(fx.Tracer):
        def is_leaf_module(self, module, name):
            return isinstance(module, ConvModule | nn.BatchNorm2d) or super().is_leaf_module(
                module, name
            )

    _, ours = make_heads()
    traced = fx.GraphModule(ours, Tracer().trace(ours.eval()))
    for size in ((64, 96), (37, 61)):
        assert torch.equal(traced(make_maps(*size)), ours(make_maps(*size)))


@pytest.mark.parametrize("norm_cfg", [None, {"type": "BN"}])
def test_maps_of_16_bits_stay_so(norm_cfg):
    """Under autocast memory would double where float32 parameters were added to them."""
    _, ours = make_heads(norm_cfg=norm_cfg)
    seen = []
    ours.fusion_conv.activate.register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        ours.eval()(make_maps())
    assert seen == [torch.bfloat16]
