"""What is trained of a backbone, what stays as it is, and what adapters compute."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.segmentors.tuning import TUNE, tune_backbone
from mmseg_heritage.runs.config.config_files import load_config

CONVNEXT = {"type": "TimmBackboneAdapter", "model_name": "test_convnext"}
RESNET = {"type": "TimmBackboneAdapter", "model_name": "test_resnet"}
MIT = {
    "type": "MixVisionTransformer", "embed_dims": 8, "num_stages": 4, "num_layers": [1, 1, 1, 1],
    "num_heads": [1, 1, 1, 1], "out_indices": (0, 1, 2, 3), "drop_path_rate": 0.1,
}  # fmt: skip


def build(backbone, tune="all", **kwargs):
    torch.manual_seed(0)
    head = {"type": "SegformerHead", "in_channels": "auto", "in_index": [0, 1, 2, 3],
            "channels": 8, "num_classes": 3, "norm_cfg": {"type": "BN"}}  # fmt: skip
    return MODELS.build(
        {"type": "HeritageEncoderDecoder", "backbone": dict(backbone), "decode_head": head,
         "tune": tune, **kwargs}
    )  # fmt: skip


def step(model):
    """Trains a step, and returns the names of parameters and buffers that it changed."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 64, 64)))
    model.train()
    for _ in range(2):  # adapters begin at 0, where the first half has no gradient
        losses = model.loss(torch.randn(2, 3, 64, 64), [sample, sample])
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()
    after = model.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("backbone", [CONVNEXT, RESNET, MIT], ids=["convnext", "resnet", "mit"])
@pytest.mark.parametrize("tune", TUNE)
def test_a_step_changes_what_is_to_be_trained_and_nothing_else(backbone, tune):
    model = build(backbone, tune)
    changed = {name for name in step(model) if "num_batches" not in name}
    of_backbone = {name for name in changed if name.startswith("backbone.")}
    assert "decode_head.conv_seg.weight" in changed
    modules = dict(model.named_modules())
    kinds = {type(modules[name.rpartition(".")[0]]).__name__ for name in of_backbone}
    if tune == "all":
        assert {"Conv2d"} < kinds
    elif tune == "norm":
        assert kinds
        assert all("Norm" in kind for kind in kinds)
    elif tune == "adapters":
        assert of_backbone
        assert all(".adapter_" in name for name in of_backbone)
    else:
        assert not of_backbone  # no statistics of BatchNorm either


@pytest.mark.parametrize("backbone", [CONVNEXT, RESNET, MIT], ids=["convnext", "resnet", "mit"])
def test_adapters_begin_with_the_pretrained_function_and_keep_its_names(backbone):
    plain, adapted = build(backbone).eval(), build(backbone, "adapters").eval()
    names = plain.state_dict().keys()
    extra = adapted.state_dict().keys() - names
    assert names <= adapted.state_dict().keys()
    assert extra
    assert all(".adapter_" in name for name in extra)
    adapted.load_state_dict(plain.state_dict(), strict=False)
    inputs = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(plain(inputs), adapted(inputs))


def test_an_adapter_is_a_term_of_low_rank_in_the_weights():
    model = build(CONVNEXT, "adapters", adapter_rank=2).eval()
    layers = [m for m in model.backbone.modules() if hasattr(m, "adapter_in")]
    assert {type(layer) for layer in layers} >= {nn.Linear}
    for layer in layers:
        nn.init.normal_(layer.adapter_out)
        inputs = torch.randn(2, 7, layer.in_features)
        weight = layer.weight + layer.adapter_out @ layer.adapter_in
        assert torch.linalg.matrix_rank(layer.adapter_out @ layer.adapter_in) <= 2
        assert torch.allclose(layer(inputs), F.linear(inputs, weight, layer.bias), atol=1e-4)
    for layer in build(RESNET, "adapters").backbone.modules():
        if hasattr(layer, "adapter_in"):
            nn.init.normal_(layer.adapter_out)
            inputs = torch.randn(1, layer.in_channels, 6, 6)
            weight = layer.weight + (layer.adapter_out @ layer.adapter_in)[..., None, None]
            expected = F.conv2d(inputs, weight, layer.bias, stride=layer.stride)
            assert torch.allclose(layer(inputs), expected, atol=1e-4)


def test_layers_whose_weights_are_used_without_calling_them_get_none():
    """nn.MultiheadAttention, in MiT, hands out_proj's weight on."""
    model = build(MIT, "adapters")
    attention = [m for m in model.backbone.modules() if isinstance(m, nn.MultiheadAttention)]
    assert attention
    assert not [m for m in attention if hasattr(m.out_proj, "adapter_in")]


def test_what_was_frozen_before_stays_frozen():
    backbone = {**CONVNEXT, "frozen_stages": 1}
    frozen = {n for n, p in build(backbone).named_parameters() if not p.requires_grad}
    assert frozen
    for tune in ("norm", "adapters"):
        again = {n for n, p in build(backbone, tune).named_parameters() if not p.requires_grad}
        assert frozen <= again


def test_what_cannot_be_used_is_said():
    with pytest.raises(InputError, match="cannot be tuned") as caught:
        build(CONVNEXT, "lora", adapter_rank=0)
    assert "tune='lora', expected one of all, norm, adapters, frozen" in str(caught.value)
    assert "adapter_rank=0" in str(caught.value)
    with pytest.raises(InputError, match="no such layers"):
        tune_backbone(nn.Sequential(nn.Conv2d(3, 3, 3)), "norm", 8, lambda: None)


def test_it_is_one_variable():
    cfg = load_config("segformer_mitb3_artefact-erm-balanced", {"tune": "norm"})
    assert cfg.model.tune == "norm"
