"""U-Net's decoder against segmentation_models_pytorch's, at odd sizes, and what it refuses."""

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.decode_heads import UNetHead

WIDTHS = (32, 16, 12, 10, 8)
PYRAMID = {2: 6, 4: 8, 8: 10, 16: 12, 32: 14}


def make_head(strides, **kwargs):
    torch.manual_seed(0)
    options = {"decoder_channels": WIDTHS, "norm_cfg": {"type": "BN"}, "dropout_ratio": 0.0}
    return UNetHead(
        in_channels=[PYRAMID[s] for s in strides], in_strides=strides, num_classes=5,
        **{**options, **kwargs},
    )  # fmt: skip


def make_inputs(strides, height=64, width=96, image_channels=3):
    torch.manual_seed(1)
    maps = [torch.randn(2, PYRAMID[s], -(-height // s), -(-width // s)) for s in strides]
    return [*maps, torch.randn(2, image_channels, height, width)]


def randomize_statistics(module):
    """Batch norm that changes nothing would not show a layer in the wrong place."""
    generator = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


def copy_weights(head, decoder):
    """Copies from ours to theirs, by position: both have conv and norm, twice a block."""
    source = [(n, t) for n, t in head.blocks.state_dict().items() if "num_batches" not in n]
    target = [(n, t) for n, t in decoder.blocks.state_dict().items() if "num_batches" not in n]
    assert [t.shape for _, t in source] == [t.shape for _, t in target]
    for (_, ours), (_, theirs) in zip(source, target, strict=True):
        theirs.copy_(ours)


@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32)], ids=["5", "4"])
def test_it_equals_segmentation_models_pytorch(strides):
    """With four maps their stride-2 skip has 0 channels, as their MiT encoder gives it."""
    head = make_head(strides, stem_channels=0).eval()
    randomize_statistics(head)
    channels = [3, *(PYRAMID[s] if s in strides else 0 for s in PYRAMID)]
    decoder = UnetDecoder(channels, WIDTHS, n_blocks=5).eval()
    copy_weights(head, decoder)
    inputs = make_inputs(strides)
    *maps, image = inputs
    theirs = [image, *maps] if 2 in strides else [image, torch.empty(2, 0, 32, 48), *maps]
    with torch.no_grad():
        difference = (head._forward_feature(inputs) - decoder(theirs)).abs().max()
    assert difference < 1e-5


@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32)], ids=["5", "4"])
@pytest.mark.parametrize("size", [(64, 64), (97, 61), (33, 130)])
@pytest.mark.parametrize("out_stride", [1, 2])
def test_any_image_size(strides, size, out_stride):
    widths = WIDTHS if out_stride == 1 else WIDTHS[:4]
    head = make_head(strides, out_stride=out_stride, decoder_channels=widths)
    scores = head(make_inputs(strides, *size))
    assert scores.shape == (2, 5, -(-size[0] // out_stride), -(-size[1] // out_stride))
    scores.square().mean().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_stem_gives_every_backbone_the_same_decoder():
    """With a stem as wide as the map it stands for, the blocks have the same shapes."""
    with_map = make_head((2, 4, 8, 16, 32))
    with_stem = make_head((4, 8, 16, 32), stem_channels=PYRAMID[2])
    assert with_map.stem is None
    shapes = [{n: t.shape for n, t in h.blocks.state_dict().items()} for h in (with_map, with_stem)]
    assert shapes[0] == shapes[1]


def test_what_is_above_an_odd_size_stays_over_its_pixels():
    """Without convolution, position i of a map of stride s covers the pixels s*i and after."""
    head = make_head((4, 8, 16, 32), stem_channels=0)
    block = head.blocks[0]
    block.conv1 = block.conv2 = torch.nn.Identity()
    x = torch.arange(4.0)[None, None, None].expand(1, 1, 4, 4)
    assert block(x, None, (7, 7))[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_the_stem_takes_other_images_than_rgb():
    head = make_head((4, 8, 16, 32), image_channels=5)
    assert head(make_inputs((4, 8, 16, 32), image_channels=5)).shape == (2, 5, 64, 96)


def test_another_normalisation():
    head = make_head((4, 8, 16, 32), norm_cfg={"type": "GN", "num_groups": 2})
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in head.modules())
    assert head(make_inputs((4, 8, 16, 32))).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"in_strides": (4, 8, 16, 16)}, "expected to begin at 1, 2 or 4 and to double"),
        ({"in_strides": (8, 16, 32, 64)}, "expected to begin at 1, 2 or 4"),
        ({"in_strides": (8, 16, 32)}, "4 in_channels, but 3 in_strides"),
        ({"out_stride": 4}, "out_stride=4, expected 1 or 2"),
        ({"decoder_channels": (8, 8)}, "expected 5 widths, for the strides 16, 8, 4, 2, 1"),
        ({"out_stride": 2}, "expected 4 widths, for the strides 16, 8, 4, 2"),
    ],
)
def test_what_does_not_go_together_is_said(arguments, expected):
    options = {"in_strides": (4, 8, 16, 32), **arguments}
    with pytest.raises(InputError) as caught:
        UNetHead(in_channels=[8, 10, 12, 14], num_classes=5, **options)
    assert expected in str(caught.value)


def test_inputs_without_the_image_are_refused():
    with pytest.raises(InputError, match="use HeritageEncoderDecoder"):
        make_head((4, 8, 16, 32))(make_inputs((4, 8, 16, 32))[:-1])
