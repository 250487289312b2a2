"""The simple feature pyramid: sizes, its network, and plain vision transformers through it."""

import pytest
import timm
import torch
from mmseg.registry import MODELS
from torch import nn

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.necks import SimpleFeaturePyramid

TINY = {"embed_dim": 32, "depth": 3, "num_heads": 2}
DINOV2 = {"model_name": "vit_small_patch14_dinov2", "patch_size": 16, "img_size": 64, **TINY}
DINOV3 = {"model_name": "vit_small_patch16_dinov3", **TINY}


def _segmentor(backbone, width, **more):
    torch.manual_seed(0)
    cfg = {
        "type": "HeritageEncoderDecoder",
        "backbone": {"type": "TimmBackboneAdapter", "out_indices": [-1], **backbone},
        "neck": {"type": "SimpleFeaturePyramid", "in_channels": width, "out_channels": 16},
        "decode_head": {
            "type": "SegformerHead", "in_channels": [16] * 4, "in_index": [0, 1, 2, 3],
            "channels": 16, "num_classes": 3, "norm_cfg": {"type": "BN"},
        },
        **more,
    }  # fmt: skip
    return MODELS.build(cfg)


def test_sizes_and_that_each_map_is_made_from_the_last_one_alone():
    neck = SimpleFeaturePyramid(8, 6).eval()
    last = torch.randn(2, 8, 5, 3)
    found = neck([torch.full((2, 8, 5, 3), torch.nan), last])
    assert [tuple(level.shape) for level in found] == [
        (2, 6, 20, 12), (2, 6, 10, 6), (2, 6, 5, 3), (2, 6, 3, 2)
    ]  # fmt: skip
    assert all(level.isfinite().all() for level in found)


def test_a_layer_norm_is_over_channels_and_the_middle_map_is_the_last_one():
    neck = SimpleFeaturePyramid(8, 6).eval()
    last = torch.randn(1, 8, 4, 4)
    _, first, _, second, _ = neck.levels[2]
    norm = nn.LayerNorm(6, eps=1e-6)

    def normed(x):
        return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    torch.testing.assert_close(neck([last])[2], normed(second(normed(first(last)))))


@pytest.mark.parametrize("backbone", [DINOV2, DINOV3], ids=["dinov2", "dinov3"])
def test_the_map_is_that_of_the_last_block(backbone):
    model = MODELS.build({"type": "TimmBackboneAdapter", "out_indices": [-1], **backbone}).eval()
    network = timm.create_model(
        backbone["model_name"], **{k: v for k, v in backbone.items() if k != "model_name"}
    ).eval()
    network.load_state_dict(
        {k.removeprefix("model."): v for k, v in model.timm_model.state_dict().items()},
        strict=False,
    )
    image = torch.randn(1, 3, *model.img_size)
    with torch.no_grad():
        expected = network.forward_intermediates(image, indices=[2], intermediates_only=True)
        torch.testing.assert_close(model(image), tuple(expected))
    assert model.out_indices == (2,)
    assert model.out_strides == (16,)


@pytest.mark.parametrize("backbone", [DINOV2, DINOV3], ids=["dinov2", "dinov3"])
@pytest.mark.parametrize("tune", ["all", "norm", "adapters", "frozen"])
def test_a_plain_vision_transformer_is_trained_at_any_size(backbone, tune):
    model = _segmentor(backbone, 32, tune=tune, adapter_rank=2).train()
    logits = model.decode_head(model.extract_feat(torch.randn(2, 3, 64, 96)))
    logits.square().mean().backward()
    learning = [n for n, p in model.backbone.named_parameters() if p.requires_grad]
    assert bool(learning) == (tune != "frozen")
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        found = model.decode_head(model.extract_feat(torch.randn(1, 3, 70, 41)))
    assert found.shape == (1, 3, 24, 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "width"),
    [
        ({"model_name": "vit_small_patch14_dinov2", "patch_size": 16, "img_size": 256}, 384),
        ({"model_name": "vit_small_patch16_dinov3.lvd1689m"}, 384),
    ],
)
def test_networks_of_their_real_size_take_their_weights_from_a_file(backbone, width, tmp_path):
    model = _segmentor(backbone, width)
    file = tmp_path / "weights.pth"
    torch.save(model.backbone.timm_model.state_dict(), file)
    other = _segmentor(backbone, width)
    with torch.no_grad():
        for p in other.backbone.parameters():
            p.zero_()
    other.backbone.load_weights(str(file))
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, other.backbone.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("size", ["tiny", "base"])
def test_convnext_of_dinov3_is_a_pyramid(size):
    cfg = {"type": "TimmBackboneAdapter", "model_name": f"convnext_{size}.dinov3_lvd1689m"}
    assert MODELS.build(cfg).out_strides == (4, 8, 16, 32)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "tune"), [("tiny", "adapters"), ("small", "norm")])
def test_hiera_of_sam2_is_a_pyramid_that_can_be_tuned(size, tune):
    torch.manual_seed(0)
    model = MODELS.build({
        "type": "HeritageEncoderDecoder", "tune": tune,
        "backbone": {"type": "TimmBackboneAdapter", "model_name": f"sam2_hiera_{size}"},
        "decode_head": {"type": "SegformerHead", "channels": 16, "num_classes": 3,
                        "in_channels": [96, 192, 384, 768], "in_index": [0, 1, 2, 3],
                        "norm_cfg": {"type": "BN"}},
    })  # fmt: skip
    levels = model.extract_feat(torch.randn(1, 3, 64, 64))
    assert [level.shape[-1] for level in levels] == [16, 8, 4, 2]


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="multiple of 4"):
        SimpleFeaturePyramid(6)
    with pytest.raises(InputError, match="set in_channels=32"):
        _segmentor(DINOV3, 16).extract_feat(torch.zeros(1, 3, 64, 64))
    with pytest.raises(InputError, match=r"out_indices=\[-1\].*SimpleFeaturePyramid"):
        MODELS.build({"type": "TimmBackboneAdapter", "model_name": "vit_tiny_patch16_224"})
