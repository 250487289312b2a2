"""U-Net's decoder against segmentation_models_pytorch's, at odd sizes, and what it refuses."""

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split

from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.decode_heads.unet_head import UNetHead

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


@pytest.mark.parametrize(
    ("upsample", "size"),
    # At odd sizes, bilinear, theirs stretches a map where ours crops it.
    [("nearest", (64, 96)), ("nearest", (97, 61)), ("bilinear", (64, 96))],
)
@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32)], ids=["5", "4"])
def test_it_equals_segmentation_models_pytorch(strides, size, upsample):
    """With four maps their stride-2 skip has 0 channels, as their MiT encoder gives it."""
    head = make_head(strides, stem_channels=0, upsample=upsample).eval()
    randomize_statistics(head)
    channels = [3, *(PYRAMID[s] if s in strides else 0 for s in PYRAMID)]
    decoder = UnetDecoder(channels, WIDTHS, n_blocks=5, interpolation_mode=upsample).eval()
    classifier = SegmentationHead(WIDTHS[-1], 5, kernel_size=1)
    with torch.no_grad():
        copy_weights(head, decoder)
        classifier[0].weight.copy_(head.conv_seg.weight.normal_())
        classifier[0].bias.copy_(head.conv_seg.bias.normal_())
        inputs = make_inputs(strides, *size)
        *maps, image = inputs
        finest = [] if 2 in strides else [torch.empty(2, 0, -(-size[0] // 2), -(-size[1] // 2))]
        theirs = classifier(decoder([image, *finest, *maps]))
        ours = head(inputs)
    assert ours.shape == theirs.shape == (2, 5, *size)
    assert theirs.std() > 0.1  # a comparison of zeros would hold for anything
    assert (ours - theirs).abs().max() < 1e-5


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
    for n in (4, 4000):  # at 4000, resizing with nearest rounds wrong
        x = torch.arange(float(n))[None, None, None]
        expected = torch.arange(2 * n - 1).div(2, rounding_mode="floor").float()
        assert torch.equal(block(x, None, (1, 2 * n - 1))[0, 0, 0], expected)


def test_the_stem_takes_other_images_than_rgb():
    head = make_head((4, 8, 16, 32), image_channels=5)
    assert head(make_inputs((4, 8, 16, 32), image_channels=5)).shape == (2, 5, 64, 96)


@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32)], ids=["5", "4"])
def test_the_image_is_a_skip_of_full_size_where_that_is_asked_for(strides):
    head = make_head(strides, image_skip_channels=7, image_channels=4).eval()
    last = head.blocks[-1].conv1.conv
    assert last.in_channels == make_head(strides).blocks[-1].conv1.conv.in_channels + 7
    inputs = make_inputs(strides, 61, 43, image_channels=4)
    before = head(inputs)
    assert before.shape == (2, 5, 61, 43)
    inputs[-1][:, :, 30, 20] += 10  # one pixel changes its surroundings: three convolutions
    rows, columns = torch.where((head(inputs) - before).abs().amax(dim=(0, 1)) > 1e-5)
    if 4 not in strides[:1]:  # the stem sees the image too, at stride 2
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (27, 33, 17, 23)
    with pytest.raises(InputError, match="image of 4 channels as its last input, found 3"):
        head(make_inputs(strides))


def test_another_normalization():
    head = make_head((4, 8, 16, 32), norm_cfg={"type": "GN", "num_groups": 2})
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in head.modules())
    assert head(make_inputs((4, 8, 16, 32))).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"in_strides": (4, 8, 16, 16)}, "expected to begin at 1, 2 or 4, to double"),
        ({"in_strides": (8, 16, 32, 64)}, "expected to begin at 1, 2 or 4"),
        ({"in_strides": (8, 16, 32)}, "4 in_channels, but 3 in_strides"),
        ({"out_stride": 4}, "out_stride=4, expected 1 or 2"),
        ({"decoder_channels": (8, 8)}, "expected 5 widths, for the strides 16, 8, 4, 2, 1"),
        ({"out_stride": 2}, "expected 4 widths, for the strides 16, 8, 4, 2"),
        ({"in_strides": "auto"}, "in_strides='auto', expected a list"),
        ({"in_channels": 14}, "in_channels=14, expected a list"),
        ({"decoder_channels": (8, 8, 8, 8, 0)}, "decoder_channels=(8, 8, 8, 8, 0), expected a"),
        ({"in_channels": [14], "in_strides": (2,), "decoder_channels": [8]}, "to reach 4"),
        ({"in_index": [0, 1, 2]}, "3 in_index, but 4 in_channels"),
        ({"stem_channels": -1}, "stem_channels=-1"),
        ({"image_skip_channels": -1}, "image_skip_channels=-1, expected 0, or more with"),
        (
            {"image_skip_channels": 8, "out_stride": 2, "decoder_channels": (8, 8, 8, 8)},
            "image_skip_channels=8, expected 0, or more with out_stride=1",
        ),
        ({"upsample": "cubic"}, "upsample='cubic', expected nearest or bilinear"),
        ({"channels": 16}, "channels is the last of decoder_channels"),
    ],
)
def test_what_does_not_go_together_is_said(arguments, expected):
    options = {"in_channels": [8, 10, 12, 14], "in_strides": (4, 8, 16, 32), **arguments}
    with pytest.raises(InputError) as caught:
        UNetHead(num_classes=5, **options)
    assert expected in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(InputError) as caught:
        UNetHead([8, 10], num_classes=5, in_strides=(4, 9, 16), stem_channels=-1, upsample="cubic")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32)], ids=["5", "4"])
@pytest.mark.parametrize("unused", [0, 1])
def test_inputs_without_the_image_are_refused(strides, unused):
    inputs = [*make_inputs(strides)[:-1], *[torch.randn(2, 7, 1, 1)] * unused]
    with pytest.raises(InputError, match="use HeritageEncoderDecoder"):
        make_head(strides)(inputs)


def test_an_image_of_other_channels_is_refused():
    with pytest.raises(InputError, match="expects an image of 3 channels as its last input"):
        make_head((4, 8, 16, 32))(make_inputs((4, 8, 16, 32), image_channels=4))


def test_maps_of_another_size_are_refused():
    inputs = make_inputs((4, 8, 16, 32), 66, 66)
    inputs[1] = inputs[1][..., :-1]
    with pytest.raises(InputError, match=r"a map of \(9, 9\) at stride 8, found \(9, 8\)"):
        make_head((4, 8, 16, 32))(inputs)


def test_negative_indices_count_feature_maps_and_not_the_image():
    inputs = make_inputs((4, 8, 16, 32))
    head = make_head((4, 8, 16, 32)).eval()
    same = make_head((4, 8, 16, 32), in_index=[-4, -3, -2, -1]).eval()
    with torch.no_grad():
        assert torch.equal(head(inputs), same(inputs))


def make_segmentor(**head):
    torch.manual_seed(0)
    backbone = {
        "type": "MixVisionTransformer", "embed_dims": 8, "num_layers": [1] * 4,
        "num_heads": [1, 2, 4, 8], "out_indices": (0, 1, 2, 3),
    }  # fmt: skip
    decode_head = {
        "type": "UNetHead", "in_channels": "auto", "in_strides": "auto", "num_classes": 5,
        "decoder_channels": WIDTHS, "stem_channels": 6, "norm_cfg": {"type": "BN"}, **head,
    }  # fmt: skip
    return MODELS.build(
        ConfigDict(
            type="HeritageEncoderDecoder",
            backbone=backbone,
            decode_head=decode_head,
            test_cfg={"mode": "whole"},
        )
    )


def make_sample(label):
    size = tuple(label.shape)
    sample = SegDataSample(metainfo={"img_shape": size, "ori_shape": size, "pad_shape": size})
    sample.gt_sem_seg = PixelData(data=label[None])
    return sample


def test_in_a_segmentor_every_parameter_learns():
    model = make_segmentor()
    model.init_weights()
    label = torch.randint(0, 5, (64, 64))
    label[:20] = 255
    losses = model.loss(torch.randn(2, 3, 64, 64), [make_sample(label)] * 2)
    losses["decode.loss_ce"].backward()
    for name, parameter in model.decode_head.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_ignored_pixels_do_not_count():
    model = make_segmentor(dropout_ratio=0.0, align_corners=False)
    scores = torch.randn(1, 5, 32, 32, requires_grad=True)
    label = torch.randint(0, 5, (32, 32))
    label[:12] = 255
    model.decode_head.loss_by_feat(scores, [make_sample(label)])["loss_ce"].backward()
    assert (scores.grad[:, :, :12] == 0).all()
    assert (scores.grad[:, :, 12:] != 0).all()


def test_predictions_have_the_size_of_odd_images_and_survive_saving(tmp_path):
    model = make_segmentor().eval()
    randomize_statistics(model)
    image = torch.randn(1, 3, 97, 61)
    torch.save(model.state_dict(), tmp_path / "model.pth")
    again = make_segmentor()
    for parameter in again.parameters():
        parameter.data.zero_()
    again.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    sample = make_sample(torch.zeros(97, 61, dtype=torch.long))
    found = model.predict(image, [sample])[0]
    assert found.pred_sem_seg.shape == (97, 61)
    with torch.no_grad():
        scores = model(image, mode="tensor")
        assert torch.equal(scores, again.eval()(image, mode="tensor"))
    assert scores.shape == (1, 5, 97, 61)
