"""Parameters and FLOPs: against numbers derived by hand, and of whole models."""

import math
from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from torch import nn
from torch.nn import functional

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.build import build_model
from mmseg_heritage.runs.model_stats import (
    count_flops,
    count_parameters,
    measure_model,
    measure_models,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def meta(*shape):
    return torch.empty(*shape, device="meta")


@pytest.fixture
def convnext(tmp_path):
    """Config file of a small network of timm under UPerNet, with an auxiliary head."""
    path = tmp_path / "small.py"
    path.write_text(
        f"_base_ = [{str(REPOSITORY / 'configs/upernet_convnext-tiny_artefact-aux.py')!r}]\n"
        "_base_.train_dataloader.dataset.pipeline[2].size = 64\n"
        "model = dict(\n"
        "    backbone=dict(_delete_=True, type='TimmBackboneAdapter',\n"
        "                  model_name='test_convnext'),\n"
        "    decode_head=dict(channels=16), auxiliary_head=dict(channels=8))\n"
    )
    return path


class TestFlopsByHand:
    """2 x multiply-adds, as the formulas of the layers say."""

    def test_convolution(self):
        layer = nn.Conv2d(6, 10, 3, stride=2, padding=1, groups=2, device="meta")
        # 8 x 12 positions, 10 channels, each a sum over 3 channels of 3 x 3.
        assert count_flops(layer, meta(1, 6, 15, 24)) == 2 * (8 * 12) * 10 * (3 * 3 * 3)

    def test_linear(self):
        layer = nn.Linear(7, 11, device="meta")
        assert count_flops(layer, meta(2, 5, 7)) == 2 * (2 * 5) * 7 * 11

    @pytest.mark.parametrize("keys", [50, 13])
    def test_scaled_dot_product_attention(self, keys):
        q, k, v = meta(2, 4, 50, 8), meta(2, 4, keys, 8), meta(2, 4, keys, 8)
        # Scores, and their product with the values.
        expected = 2 * 2 * (2 * 4) * 50 * keys * 8
        assert count_flops(functional.scaled_dot_product_attention, q, k, v) == expected

    def test_attention_with_a_mask(self):
        q = meta(1, 2, 9, 4)
        expected = 2 * 2 * 2 * 9 * 9 * 4
        attend = functional.scaled_dot_product_attention
        assert count_flops(attend, q, q, q, meta(1, 2, 9, 9)) == expected

    @pytest.mark.parametrize("gradients", [True, False])
    def test_multihead_attention_that_torch_fuses(self, gradients):
        layer = nn.MultiheadAttention(16, 2, batch_first=True, device="meta").eval()
        tokens = meta(1, 10, 16)
        with torch.set_grad_enabled(gradients):
            found = count_flops(layer, tokens, tokens, tokens)
        # Query, key, value and output layers; scores, and their product with the values.
        assert found == 2 * (4 * 10 * 16 * 16 + 2 * 10 * 10 * 16)

    @pytest.mark.parametrize("fused", [True, False])
    def test_attention_of_timm(self, fused):
        layer = timm.layers.Attention(32, num_heads=4, qkv_bias=True).to("meta").eval()
        layer.fused_attn = fused
        expected = 2 * (20 * 32 * 3 * 32 + 2 * 20 * 20 * 32 + 20 * 32 * 32)
        assert count_flops(layer, meta(1, 20, 32)) == expected

    def test_norms_activations_and_resizing_are_free(self):
        layers = nn.Sequential(nn.BatchNorm2d(4), nn.GELU(), nn.Upsample(scale_factor=2))
        assert count_flops(layers.to("meta").eval(), meta(1, 4, 8, 8)) == 0


def mit_flops(side, dims, layers, heads_reduction, patches):
    """FLOPs of a Mix Transformer from the equations of the SegFormer paper, section 3.1."""
    total, channels, stride = 0, 3, 4
    for dim, depth, reduction, patch in zip(dims, layers, heads_reduction, patches, strict=True):
        tokens = (side // stride) ** 2
        keys = tokens // reduction**2
        total += tokens * patch**2 * channels * dim  # overlapping patch embedding
        reducing = keys * dim * dim * reduction**2 if reduction > 1 else 0
        projections = 2 * tokens * dim * dim + 2 * keys * dim * dim
        attention = 2 * tokens * keys * dim
        mix_ffn = 2 * tokens * dim * 4 * dim + tokens * 9 * 4 * dim
        total += depth * (reducing + projections + attention + mix_ffn)
        channels, stride = dim, 2 * stride
    return 2 * total


def test_the_backbone_of_segformer_by_hand():
    found = measure_model(REPOSITORY / "configs" / "segformer_mitb3_artefact.py", 224)
    expected = mit_flops(224, (64, 128, 320, 512), (3, 4, 18, 3), (8, 4, 2, 1), (7, 3, 3, 3))
    assert found.flops["backbone"] == expected
    assert (found.backbone, found.image_sizes) == ("mit_b3", "any")
    # Four linear layers to 256 channels and their shares of the fusion, each at its own size, and
    # the classifier at a quarter of 224.
    tokens = [(224 // stride) ** 2 for stride in (4, 8, 16, 32)]
    pairs = zip(tokens, (64, 128, 320, 512), strict=True)
    head = sum(n * channels * 256 for n, channels in pairs)
    head += sum(tokens) * 256 * 256 + tokens[0] * 256 * 16
    assert found.flops["head"] == 2 * head


def test_parameters_are_those_of_the_parts(convnext):
    found = measure_model(convnext)
    model = build_model(Config.fromfile(convnext))
    assert found.parameters["backbone"] == count_parameters(model.backbone)
    assert found.parameters["head"] == count_parameters(model.decode_head)
    assert found.parameters["auxiliary"] == count_parameters(model.auxiliary_head) > 0
    assert sum(found.parameters.values()) == sum(p.numel() for p in model.parameters())


def test_levels_are_those_that_timm_tells(convnext):
    found = measure_model(convnext)
    info = timm.create_model("test_convnext", features_only=True).feature_info
    assert found.channels == tuple(info.channels())
    assert found.strides == tuple(info.reduction())
    assert (found.backbone, found.image_sizes) == ("test_convnext", "multiples of 32")
    assert (found.config, found.size) == ("small", (64, 64))


@pytest.mark.slow
def test_the_auxiliary_head_and_the_memory_of_gradients_cost_nothing(convnext):
    found = measure_model(convnext)
    without = measure_model(convnext, options={"model.auxiliary_head": None})
    again = measure_model(convnext, options={"model.backbone.with_cp": True})
    assert found.flops == without.flops == again.flops
    assert found.parameters["head"] == without.parameters["head"]
    assert without.parameters["auxiliary"] == 0


@pytest.mark.slow
def test_convolutions_grow_with_the_area(convnext):
    small, large = measure_model(convnext, 64), measure_model(convnext, [128, 192])
    assert large.size == (128, 192)
    assert large.flops["backbone"] == 6 * small.flops["backbone"]
    assert large.parameters == small.parameters


def test_padding_is_counted_because_it_is_computed(convnext):
    assert (
        measure_model(convnext, 65).flops["backbone"]
        == (measure_model(convnext, 96).flops["backbone"])
    )


@pytest.mark.slow
def test_tiles_are_counted_each(convnext):
    options = {"model.backbone.model_name": "test_coatnet"}
    one, two = (measure_model(convnext, size, options) for size in ([160, 160], [160, 320]))
    assert one.image_sizes == "160 only, cut into tiles"
    assert two.flops["backbone"] == 2 * one.flops["backbone"]


@pytest.mark.slow
def test_weights_are_neither_asked_for_nor_loaded(convnext, monkeypatch):
    create = timm.create_model

    def without_weights(model_name, pretrained=False, **kwargs):
        assert not pretrained
        return create(model_name, **kwargs)

    monkeypatch.setattr(timm, "create_model", without_weights)
    options = {"model.backbone.pretrained": True, "model.backbone.in_channels": 5}
    options["model.data_preprocessor.mean"] = [123.7]
    options["model.data_preprocessor.std"] = [58.4]
    five = measure_model(convnext, options=options)
    options = {"model.backbone.type": "mmseg.TIMMBackbone", "model.backbone.pretrained": True}
    options |= {"model.backbone.features_only": True, "model.backbone.out_indices": [0, 1, 2, 3]}
    stock = measure_model(convnext, options=options)
    three = measure_model(convnext)
    assert stock.parameters == three.parameters
    assert stock.flops == three.flops
    stem = five.parameters["backbone"] - three.parameters["backbone"]
    assert stem > 0 and five.flops["backbone"] > three.flops["backbone"]


@pytest.mark.parametrize("size", [0, -1, [64, 0], [64, 64, 64], [], 64.0, True])
def test_bad_sizes(size, convnext):
    with pytest.raises(InputError, match="image size must be one whole number of pixels from 1"):
        measure_model(convnext, size)


def test_a_config_without_a_crop_size(tmp_path):
    (tmp_path / "bare.py").write_text("model = dict(type='EncoderDecoder')\n")
    with pytest.raises(InputError, match=r"bare\.py: no crop of this package"):
        measure_model(tmp_path / "bare.py")
    with pytest.raises(InputError, match="the config's 'model' cannot be built"):
        measure_model(tmp_path / "bare.py", 64)


def test_an_image_that_the_model_does_not_take(tmp_path):
    path = tmp_path / "unet.py"
    path.write_text(
        "model = dict(type='EncoderDecoder', backbone=dict(type='UNet', base_channels=4),\n"
        "             decode_head=dict(type='FCNHead', in_channels=4, in_index=4, channels=4,\n"
        "                              num_classes=3))\n"
    )
    assert measure_model(path, 32).parameters["head"] > 0
    with pytest.raises(InputError, match=r"unet\.py: expected a model .* 30 x 40 px"):
        measure_model(path, [30, 40])


@pytest.mark.slow
def test_all_problems_of_several_configs_are_told(convnext, tmp_path):
    paths = [tmp_path / "a.py", convnext, tmp_path / "b.py"]
    with pytest.raises(InputError) as caught:
        measure_models(paths)
    assert [Path(p.split(":")[0]).name for p in caught.value.problems] == ["a.py", "b.py"]
    with pytest.raises(InputError, match="image size") as caught:
        measure_models([convnext, convnext], 0)
    assert not caught.value.problems
    done = []

    class Recorder:
        def __enter__(self):
            return lambda *state: done.append(state)

        def __exit__(self, *_):
            return None

    measured = measure_models([convnext, convnext], bar=lambda title: Recorder())
    assert done == [(1, 2), (2, 2)]
    assert measured[0] == measured[1]
    assert all(math.isfinite(n) and n > 0 for n in measured[0].flops.values())
