"""Connecting backbones and decoders, and predictions at every level."""

import re

import pytest
import timm
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_heritage.errors import InputError

BACKBONE = {"type": "TimmBackboneAdapter", "model_name": "test_convnext"}
FLAT = {"type": "UPerHead", "in_index": [0, 1, 2, 3], "channels": 8, "num_classes": 16}
SEGFORMER = {**FLAT, "type": "SegformerHead"}
UNET = {"type": "UNetHead", "in_strides": "auto", "num_classes": 16}
HIERARCHICAL = {**FLAT, "type": "HierarchicalUPerHead"}
BN = {"norm_cfg": {"type": "BN"}}
MIT = {
    "type": "MixVisionTransformer", "embed_dims": 8, "num_stages": 4, "num_layers": [1, 1, 1, 1],
    "num_heads": [1, 1, 1, 1], "out_indices": (0, 1, 2, 3),
}  # fmt: skip


def build(head, backbone=BACKBONE, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "HeritageEncoderDecoder",
            "backbone": dict(backbone),
            "decode_head": {"in_channels": "auto", **BN, **head},
            "test_cfg": ConfigDict(mode="whole"),
            **kwargs,
        }
    ).eval()


@pytest.mark.parametrize("backbone", [BACKBONE, MIT], ids=["adapter", "tried"])
def test_a_head_gets_the_channels_of_the_backbone(backbone):
    model = build(FLAT, backbone)
    features = model.extract_feat(torch.zeros(1, 3, 64, 64))
    assert list(model.decode_head.in_channels) == [f.shape[1] for f in features]


def test_the_feature_maps_of_in_index_count():
    model = build({**FLAT, "in_index": [1, 3]})
    whole = build(FLAT).decode_head.in_channels
    assert model.decode_head.in_channels == [whole[1], whole[3]]


def test_a_single_feature_map():
    head = {"type": "FCNHead", "in_index": 2, "channels": 8, "num_classes": 16}
    assert build(head).decode_head.in_channels == build(FLAT).decode_head.in_channels[2]


def test_auxiliary_heads_are_connected_too():
    aux = {"type": "FCNHead", "in_channels": "auto", "in_index": 2, "channels": 8,
           "num_classes": 16, **BN}  # fmt: skip
    whole = build(FLAT).decode_head.in_channels
    assert build(FLAT, auxiliary_head=aux).auxiliary_head.in_channels == whole[2]
    two = build(FLAT, auxiliary_head=[aux, {**aux, "in_index": 1}]).auxiliary_head
    assert [head.in_channels for head in two] == [whole[2], whole[1]]


def test_a_unet_head_gets_strides_and_the_image():
    unet = {"type": "UNetHead", "in_strides": "auto"}
    model = build({**unet, "num_classes": 16})
    assert model.decode_head.in_strides == (4, 8, 16, 32)
    assert model.decode_head.stem is not None
    image = torch.randn(1, 3, 50, 70)
    seen = model.extract_feat(image)[-1]
    assert seen.shape == (1, 3, 64, 96)
    assert torch.equal(seen[..., :50, :70], image)
    assert model(image).shape == (1, 16, 50, 70)


def test_the_image_is_no_feature_map_of_auxiliary_heads():
    aux = {"type": "FCNHead", "in_channels": "auto", "in_index": -1, "channels": 8,
           "num_classes": 16, **BN}  # fmt: skip
    unet = {"type": "UNetHead", "in_strides": "auto", "num_classes": 16}
    for backbone in (BACKBONE, MIT):
        model = build(unet, backbone, auxiliary_head=aux)
        deepest = model.decode_head.in_channels[-1]
        assert model.auxiliary_head.in_channels == deepest
        features = model.extract_feat(torch.randn(2, 3, 64, 64))
        assert model.auxiliary_head(features).shape == (2, 16, 2, 2)


def test_images_of_more_channels():
    backbone = {**MIT, "in_channels": 5}
    unet = {"type": "UNetHead", "in_strides": "auto", "image_channels": "auto"}
    model = build({**unet, "num_classes": 16}, backbone)
    assert model(torch.randn(1, 5, 64, 64)).shape == (1, 16, 64, 64)


def test_a_backbone_that_rounds_down_gets_whole_steps():
    """Mmpretrain's ConvNeXt leaves out the last pixels where they do not fill a step."""
    arch = {"depths": [1, 1, 1, 1], "channels": [8, 16, 24, 32]}
    backbone = {"type": "mmpretrain.ConvNeXt", "arch": arch, "out_indices": (0, 1, 2, 3),
                "gap_before_final_norm": False}  # fmt: skip
    model = build(FLAT, backbone)
    found = model.extract_feat(torch.randn(1, 3, 97, 130))
    assert [tuple(f.shape[2:]) for f in found] == [(32, 40), (16, 20), (8, 10), (4, 5)]


@pytest.mark.parametrize(
    "size",
    [
        (257, 300),
        *(pytest.param(size, marks=pytest.mark.slow) for size in ((300, 259), (283, 289))),
    ],
)
@pytest.mark.parametrize("head", [FLAT | {"pool_scales": ()}, SEGFORMER, UNET], ids=str)
def test_scores_lie_over_the_same_pixels_whatever_the_size_of_the_image(head, size):
    """A network that sees little around a pixel says the same where a larger image is cut off.

    A head that stretches maps over the sides of the image, as upstream, moves them.
    """
    model = build(head, {"type": "TimmBackboneAdapter", "model_name": "test_resnet"})
    image = torch.nn.functional.interpolate(torch.randn(1, 3, 44, 44), (352, 352), mode="bicubic")
    cut = image[..., : size[0], : size[1]]
    whole, part = (model.encode_decode(x, [{"img_shape": x.shape[2:]}]) for x in (image, cut))
    assert part.shape == (1, 16, *size)
    spread = whole.std()
    inside = (part - whole[..., : size[0], : size[1]])[..., :96, :96].abs().max()
    assert inside < 0.05 * spread


@pytest.mark.parametrize("size", [(50, 70), (1, 1), (20, 300)])
def test_the_loss_sees_scores_where_the_test_sees_them(size):
    model = build({**FLAT, "loss_decode": {"type": "ClassWeightedDiceLoss"}})
    image, labels = torch.randn(2, 3, *size), torch.randint(0, 16, (2, 1, *size))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    found = model.loss(image, samples)["decode.loss_dice"]
    scores = model.encode_decode(image, [{"img_shape": size}] * 2)
    torch.testing.assert_close(found, model.decode_head.loss_decode(scores, labels[:, 0]))
    assert samples[0].gt_sem_seg.data.shape[1:] == size  # the sample is left as it was


def test_windows_have_sides_that_the_backbone_need_not_pad():
    maxvit = {"type": "TimmBackboneAdapter", "model_name": "test_maxvit", "img_size": 96}
    model = build(FLAT, maxvit, inference={"crop": 100, "overlap": 0.0})
    assert model.input_multiple % model.stride == 0
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[2:]))
    model.predict(torch.randn(1, 3, 400, 400))
    for multiple in model.backbone.input_sizes.multiple:
        assert all(seen[0][i] % multiple == 0 for i in (0, 1))


def test_photographs_of_several_sizes_are_one_batch():
    model = build(FLAT, data_preprocessor={"type": "mmseg.SegDataPreProcessor"})
    sizes = [(40, 70), (33, 20), (1, 90)]
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    data = {"inputs": images, "data_samples": [sample(size, size) for size in sizes]}
    found = model.test_step(data)
    assert [tuple(one.pred_sem_seg.data.shape[1:]) for one in found] == sizes
    for one, image in zip(found, images, strict=True):
        [alone] = model.test_step({"inputs": [image]})
        assert torch.equal(one.pred_sem_seg.data, alone.pred_sem_seg.data)


def test_a_view_on_which_nothing_is_known_is_predicted_with_ordinary_metas():
    """Mmsegmentation's heads take pad_shape for the size wherever img_shape is a tuple."""
    model = build(FLAT)
    image = torch.randn(1, 3, 50, 70)
    ordinary = {"img_shape": (50, 70), "pad_shape": (50, 70), "ori_shape": (50, 70)}
    torch.testing.assert_close(
        model.encode_decode(image, [ordinary]), model.inference(image, [ordinary])
    )
    torch.testing.assert_close(
        model.encode_decode(image, [ordinary]), model.encode_decode(image, [{}])
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (FLAT | {"align_corners": True}, "model.decode_head.align_corners=True"),
        (FLAT | {"num_classes": 300}, "300 classes"),
    ],
)
def test_maps_that_would_not_be_right_are_refused(head, expected):
    with pytest.raises(InputError) as caught:
        build(head)
    assert expected in str(caught.value)


def test_strides_that_cannot_be_measured_are_refused():
    odd = {"type": "VisionTransformer", "patch_size": 14, "img_size": 224, "embed_dims": 16,
           "num_layers": 1, "num_heads": 2, "mlp_ratio": 2, "out_indices": (0,)}  # fmt: skip
    with pytest.raises(InputError, match="strides divide 64"):
        build({"type": "FCNHead", "in_channels": 16, "channels": 8, "num_classes": 16}, odd)


def test_a_mirrored_view_is_turned_back():
    model = build(FLAT, data_preprocessor={"type": "mmseg.SegDataPreProcessor"})
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    for direction, dims in (("horizontal", (2,)), ("vertical", (1,)), ("diagonal", (1, 2))):
        view, plain = sample((64, 96), (64, 96)), sample((64, 96), (64, 96))
        view.set_metainfo({"flip": True, "flip_direction": direction})
        seen = image.flip(dims)
        one, other = model.test_step({"inputs": [seen, seen], "data_samples": [view, plain]})
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data.flip(dims))


DEEPLAB = {"type": "DepthwiseSeparableASPPHead", "in_index": 3, "channels": 8, "num_classes": 16,
           "dilations": (1, 2), "c1_channels": 4}  # fmt: skip


@pytest.mark.parametrize("backbone", [BACKBONE, MIT], ids=["adapter", "tried"])
def test_deeplabs_second_map_is_connected(backbone):
    first = build(FLAT, backbone).decode_head.in_channels[0]
    model = build({**DEEPLAB, "c1_in_channels": "auto"}, backbone)
    assert model.decode_head.c1_bottleneck.conv.in_channels == first
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 16, 16, 16)
    assert build({**DEEPLAB, "c1_in_channels": first}, backbone)
    with pytest.raises(InputError, match=rf"c1_in_channels=999, but .* gives {first} in its first"):
        build({**DEEPLAB, "c1_in_channels": 999}, backbone)


@pytest.mark.parametrize("c1", [pytest.param(0, marks=pytest.mark.slow), "auto"])
def test_what_no_head_reads_is_not_trained(c1):
    """Distributed training would wait for gradients that never come."""
    backbone = {"type": "TimmBackboneAdapter", "model_name": "hrnet_w18_small"}
    head = {**DEEPLAB, "c1_in_channels": c1, "c1_channels": 4 if c1 else 0}
    aux = {"type": "FCNHead", "in_channels": "auto", "in_index": 1, "channels": 8,
           "num_classes": 16, **BN}  # fmt: skip
    for auxiliary in (None, aux):
        model = build(head, backbone, auxiliary_head=auxiliary).train()
        maps = model.extract_feat(torch.randn(2, 3, 64, 64))
        total = model.decode_head(maps).sum()
        if auxiliary:
            total = total + model.auxiliary_head(maps).sum()
        total.backward()
        parameters = dict(model.backbone.named_parameters())
        read = {name for name, p in parameters.items() if p.grad is not None}
        assert read == {name for name, p in parameters.items() if p.requires_grad}
        assert read != parameters.keys()


def test_heads_that_cannot_be_tried_leave_the_backbone_alone(monkeypatch):
    def fail(self, inputs):
        raise TypeError("another signature")

    head = {"type": "FCNHead", "in_index": 0, "channels": 8, "num_classes": 16}
    assert not all(p.requires_grad for p in build(head).backbone.parameters())
    monkeypatch.setattr(MODELS.get("FCNHead"), "forward", fail)
    assert all(p.requires_grad for p in build(head).backbone.parameters())


PREPROCESSOR = {"type": "mmseg.SegDataPreProcessor", "bgr_to_rgb": True}


def test_the_normalization_comes_from_the_backbone():
    backbone = {"type": "TimmBackboneAdapter", "model_name": "coatnet_nano_rw_224"}
    wanted = [255 * value for value in timm.get_pretrained_cfg("coatnet_nano_rw_224").mean]
    auto = {**PREPROCESSOR, "mean": "auto", "std": "auto"}
    found = build(FLAT, backbone, data_preprocessor=auto).data_preprocessor
    assert found.mean.flatten().tolist() == pytest.approx(wanted) == [127.5] * 3
    assert found.std.flatten().tolist() == pytest.approx([127.5] * 3)
    assert auto["mean"] == "auto"
    half = {**PREPROCESSOR, "mean": [1.0, 2.0, 3.0], "std": "auto"}
    found = build(FLAT, backbone, data_preprocessor=half).data_preprocessor
    assert found.mean.flatten().tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"mean='auto' asks a TimmBackboneAdapter.*MixVision"):
        build(FLAT, MIT, data_preprocessor=auto)


@pytest.mark.parametrize("backbone", [BACKBONE, MIT], ids=["adapter", "tried"])
@pytest.mark.parametrize("given", [[1.0] * 3, "auto"])
def test_normalization_for_other_channels_is_refused(backbone, given):
    given = [1.0] * 3 if backbone is MIT else given
    backbone = {**backbone, "in_channels": 4}
    with pytest.raises(InputError, match="of 4 channels; give mean and std 1 or 4") as e:
        build(FLAT, backbone, data_preprocessor={**PREPROCESSOR, "mean": given, "std": given})
    assert e.value.problems == [
        f"model.data_preprocessor.{name} has 3 numbers" for name in ("mean", "std")
    ]
    one = {**PREPROCESSOR, "mean": [1.0], "std": [1.0]}  # the forks take 1 or 3, never 4
    build(FLAT, backbone, data_preprocessor=one)


FOCAL = {"type": "MulticlassFocalLoss"}
DICE = {"type": "ClassWeightedDiceLoss"}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"loss_decode": {**DICE, "class_weight": [1, 2]}}, [r"decode_head.*2 weights for 16"]),
        (
            {"loss_decode": [{**DICE, "class_weight": [1]}, {**FOCAL, "alpha": [1, 2, 3]}]},
            ["Dice.*1 weights for 16", "Focal.*alpha.*3 numbers for 16"],
        ),
        (
            {"type": "HierarchicalUPerHead",
             "level_losses": {"binary": {**DICE, "class_weight": [1, 2, 3]},
                              "coarse": {**FOCAL, "alpha": [1, 2]}}},
            ["'binary'.*3 weights for 2", "'coarse'.*2 numbers for 4"],
        ),
        ({"type": "HierarchicalUPerHead", "loss_decode": {**DICE, "class_weight": [1, 2]}},
         ["'fine'.*2 weights for 16"]),
    ],
)  # fmt: skip
def test_losses_for_another_number_of_classes_are_refused(head, expected):
    aux = {"type": "FCNHead", "in_channels": "auto", "in_index": 2, "channels": 8,
           "num_classes": 16, **BN}  # fmt: skip
    aux["loss_decode"] = {**DICE, "class_weight": [1.0] * 16}
    build({**FLAT, "loss_decode": {**FOCAL, "alpha": [1.0] * 16}}, MIT, auxiliary_head=aux)
    with pytest.raises(InputError, match="do not fit the number of classes") as caught:
        build({**FLAT, **head}, MIT)
    assert len(caught.value.problems) == len(expected)
    for problem, pattern in zip(caught.value.problems, expected, strict=True):
        assert re.search(pattern, problem)
    aux["loss_decode"]["class_weight"] = [1, 2]
    with pytest.raises(InputError, match=r"model\.auxiliary_head, loss_decode, .*2 weights for 16"):
        build(FLAT, MIT, auxiliary_head=aux)
    with pytest.raises(InputError, match=r"model\.auxiliary_head\.1, loss_decode"):
        build(FLAT, MIT, auxiliary_head=[{**aux, "loss_decode": DICE}, aux])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"in_channels": [1, 2, 3, 4]}, "model.decode_head (UPerHead) expects in_channels=[1, 2"),
        ({"in_channels": [1, 2, 3, 4]}, "model.backbone (TimmBackboneAdapter test_convnext) gives"),
        ({"in_index": [0, 1, 2, 9]}, "asks for feature maps [0, 1, 2, 9]"),
    ],
)
def test_parts_that_do_not_fit_are_both_named(head, expected):
    with pytest.raises(InputError) as caught:
        build({**FLAT, **head})
    assert expected in str(caught.value)


def test_without_levels_it_predicts_as_the_stock_segmentor():
    model = build(FLAT)
    channels = model.decode_head.in_channels
    stock = EncoderDecoder(
        backbone=dict(BACKBONE), decode_head={**FLAT, **BN, "in_channels": channels},
        test_cfg=ConfigDict(mode="whole"),
    ).eval()  # fmt: skip
    stock.load_state_dict(model.state_dict())
    image = torch.randn(1, 3, 64, 96)  # whole steps, so that upstream stretches nothing
    model.window_inference.logits = True
    [ours], [theirs] = model.predict(image), stock.predict(image)
    # Logarithms of probabilities: the same but for a number that all classes have in common.
    centered = (one.seg_logits.data - one.seg_logits.data.mean(0) for one in (ours, theirs))
    torch.testing.assert_close(*centered, rtol=1e-4, atol=1e-4)
    assert torch.equal(ours.pred_sem_seg.data.long(), theirs.pred_sem_seg.data)
    assert "pred_sem_seg_binary" not in ours


def sample(ori_shape, img_shape):
    return SegDataSample(
        metainfo={"ori_shape": ori_shape, "img_shape": img_shape, "pad_shape": img_shape}
    )


@pytest.mark.parametrize("mode", ["independent", "marginal", "conditional"])
def test_every_level_is_predicted_at_the_size_of_the_photograph(mode):
    model = build({**HIERARCHICAL, "mode": mode}, inference={"logits": True})
    head = model.decode_head
    for classifier in (head.conv_seg, *head.level_classifiers.values()):
        torch.nn.init.normal_(classifier.weight, std=5)
    image = torch.randn(1, 3, 50, 70)
    [found] = model.predict(image, [sample((100, 140), (50, 70))])
    assert found.seg_logits.shape == (100, 140)
    assert found.seg_logits.data.shape[0] == 16
    for name in ("pred_sem_seg", "pred_sem_seg_binary", "pred_sem_seg_coarse"):
        assert found.get(name).data.shape == (1, 100, 140)
    assert set(found.levels) == {"binary", "coarse"}
    binary, coarse = found.pred_sem_seg_binary.data, found.pred_sem_seg_coarse.data
    assert ((coarse == 255) == (binary == 0)).all()
    assert (found.pred_sem_seg.data[0] == found.seg_logits.data.argmax(0)).all()


def test_windows_of_mmsegmentation_are_refused_since_they_would_have_no_effect():
    cfg = {"mode": "slide", "crop_size": (32, 32), "stride": (16, 16)}
    with pytest.raises(InputError, match=r"model\.inference=dict\(mode='window'"):
        build(FLAT, test_cfg=ConfigDict(cfg))


def test_windows_agree_with_mmsegmentations_where_none_overlap():
    model = build(FLAT, inference={"crop": 32, "overlap": 0.0, "logits": True})
    stock = EncoderDecoder(
        backbone=dict(BACKBONE),
        decode_head={**FLAT, **BN, "in_channels": model.decode_head.in_channels},
        test_cfg=ConfigDict(mode="slide", crop_size=(32, 32), stride=(32, 32)),
    ).eval()
    stock.load_state_dict(model.state_dict())
    image = torch.randn(1, 3, 64, 96)
    [ours], [theirs] = model.predict(image), stock.predict(image)
    wrong = ours.pred_sem_seg.data.long() != theirs.pred_sem_seg.data
    # Upstream enlarges each window by itself, we the joined map: they differ beside the borders.
    inside = torch.ones(64, 96, dtype=torch.bool)
    inside[30:34], inside[:, 30:34], inside[:, 62:66] = False, False, False
    assert not (wrong[0] & inside).any()


def test_channels_last_changes_the_layout_only():
    plain = build(UNET)
    model = build(UNET, channels_last=True)
    kernels = [m.weight for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
    image = torch.randn(2, 3, 50, 70)
    expected = plain.encode_decode(image, [{}] * 2)
    torch.testing.assert_close(model.encode_decode(image, [{}] * 2), expected)
    for this, other in ((model, plain), (plain, model)):
        other.load_state_dict(this.state_dict())
