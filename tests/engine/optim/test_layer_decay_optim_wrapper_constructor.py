"""Learning rates by layer: what each parameter of a segmentor gets."""

from itertools import pairwise

import pytest
import torch
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.engine.optim import LayerDecayOptimWrapperConstructor
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter

LR, WEIGHT_DECAY, RATE = 1e-3, 0.05, 0.8


class Segmentor(nn.Module):
    """A backbone, as it is or inside another one, and a head."""

    def __init__(self, backbone, wrapped=False):
        super().__init__()
        self.backbone = backbone
        if wrapped:
            self.backbone = nn.Module()
            self.backbone.stem = nn.Conv2d(3, 8, 3)
            self.backbone.backbone = backbone
        self.decode_head = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))


def mit():
    sizes = {"embed_dims": 8, "num_layers": [2, 1, 3, 1], "num_heads": [1, 2, 4, 8]}
    return MODELS.build({"type": "MixVisionTransformer", **sizes})


def settings_of(model, **paramwise):
    """Returns (learning rate, weight decay) by parameter, checking that each is in one group."""
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        {
            "type": "LayerDecayOptimWrapperConstructor",
            "optim_wrapper_cfg": {
                "type": "OptimWrapper",
                "optimizer": {"type": "AdamW", "lr": LR, "weight_decay": WEIGHT_DECAY},
            },
            "paramwise_cfg": {"decay_rate": RATE, **paramwise},
        }
    )(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    pairs = [
        (names[id(parameter)], (group["lr"], group["weight_decay"]))
        for group in wrapper.optimizer.param_groups
        for parameter in group["params"]
    ]
    assert len(pairs) == len(dict(pairs))
    assert set(dict(pairs)) == {name for name, p in model.named_parameters() if p.requires_grad}
    keys = [(group["lr"], group["weight_decay"]) for group in wrapper.optimizer.param_groups]
    assert len(keys) == len(set(keys))  # merged
    return dict(pairs)


def test_configs_find_it_by_name():
    assert (
        OPTIM_WRAPPER_CONSTRUCTORS.get("LayerDecayOptimWrapperConstructor")
        is LayerDecayOptimWrapperConstructor
    )


# Name -> parameters from the stem to the last stage, and the number of layers.
TIMM = {
    "test_resnet": (("conv1", "layer1", "layer2", "layer3", "layer4"), None),
    "test_convnext": (("stem_0", "stages_0", "stages_1", "stages_2", "stages_3"), None),
    "test_maxvit": (("stem", "stages_0", "stages_1", "stages_2", "stages_3"), 5),
    "test_mambaout": (("stem", "stages_0", "stages_1", "stages_2", "stages_3"), None),
    "swin_tiny_patch4_window7_224": (
        ("patch_embed", "layers_0", "layers_1", "layers_2", "layers_3"),
        13,  # 12 blocks and the patch embedding
    ),
}


@pytest.mark.parametrize(
    ("name", "wrapped"), [*((name, False) for name in TIMM), ("test_convnext", True)]
)
def test_rates_of_timms_networks_rise_from_the_stem_to_the_head(name, wrapped):
    stages, num_layers = TIMM[name]
    model = Segmentor(TimmBackboneAdapter(name), wrapped)
    rates = {key: rate for key, (rate, _) in settings_of(model).items()}
    inner = f"backbone.{'backbone.' if wrapped else ''}timm_model."
    by_stage = [[r for k, r in rates.items() if k.startswith(inner + stage)] for stage in stages]
    assert all(by_stage)
    for earlier, later in pairwise(by_stage):
        assert max(earlier) < min(later)
    assert max(by_stage[-1]) == pytest.approx(LR * RATE)
    counted = len({round(rate, 12) for key, rate in rates.items() if key.startswith(inner)})
    assert num_layers in (None, counted)
    assert set(by_stage[0]) == {min(rates.values())}
    assert min(rates.values()) == pytest.approx(LR * RATE**counted)
    outside = {rate for key, rate in rates.items() if not key.startswith(inner)}
    assert outside == {LR}


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_blocks_of_mit(wrapped):
    rates = {key: rate for key, (rate, _) in settings_of(Segmentor(mit(), wrapped)).items()}
    inner = "backbone.backbone." if wrapped else "backbone."
    # 7 blocks and the stem: 8 layers.
    expected = {
        "layers.0.0.projection.weight": 0,
        "layers.0.0.norm.weight": 0,
        "layers.0.1.0.ffn.layers.0.weight": 1,
        "layers.0.1.1.ffn.layers.0.weight": 2,
        "layers.0.2.weight": 2,
        "layers.1.0.projection.weight": 3,
        "layers.1.1.0.attn.attn.in_proj_weight": 3,
        "layers.2.1.2.ffn.layers.0.weight": 6,
        "layers.3.1.0.ffn.layers.0.weight": 7,
        "layers.3.2.weight": 7,
    }
    for name, layer in expected.items():
        assert rates[inner + name] == pytest.approx(LR * RATE ** (8 - layer)), name
    assert rates["decode_head.0.weight"] == LR


def test_mmpretrains_convnext():
    convnext = pytest.importorskip("mmpretrain.models.backbones.convnext").ConvNeXt
    arch = {"depths": [1, 1, 3, 1], "channels": [8, 8, 8, 8]}
    model = Segmentor(convnext(arch=arch, out_indices=(0, 1, 2, 3), gap_before_final_norm=False))
    rates = {key: rate for key, (rate, _) in settings_of(model).items()}
    assert rates["backbone.downsample_layers.0.0.weight"] == pytest.approx(LR * RATE**7)
    assert rates["backbone.stages.0.0.depthwise_conv.weight"] == pytest.approx(LR * RATE**6)
    assert rates["backbone.stages.3.0.depthwise_conv.weight"] == pytest.approx(LR * RATE)
    assert rates["backbone.norm3.weight"] == LR  # new, with the head
    assert rates["decode_head.0.weight"] == LR


def test_weight_decay_spares_biases_norms_and_tables():
    model = Segmentor(TimmBackboneAdapter("swin_tiny_patch4_window7_224"))
    decays = {key: decay for key, (_, decay) in settings_of(model).items()}
    spared = {key for key, decay in decays.items() if decay == 0}
    parameters = dict(model.named_parameters())
    tables = {key for key in parameters if "bias_table" in key}
    assert tables
    assert spared == {key for key, p in parameters.items() if p.ndim == 1} | tables
    assert {decays[key] for key in set(decays) - spared} == {WEIGHT_DECAY}


@pytest.mark.slow
def test_mmengines_options_keep_their_meaning():
    model = Segmentor(TimmBackboneAdapter("swin_tiny_patch4_window7_224"))
    plain = settings_of(model)
    table = next(key for key in plain if "bias_table" in key)
    found = settings_of(
        model,
        norm_decay_mult=0.5,
        table_decay_mult=1.0,
        custom_keys={"decode_head": {"lr_mult": 10.0}, "patch_embed.proj": {"decay_mult": 0.1}},
    )
    assert found["decode_head.0.weight"] == (pytest.approx(10 * LR), WEIGHT_DECAY)
    stem = "backbone.timm_model.patch_embed.proj.weight"
    assert found[stem] == (plain[stem][0], pytest.approx(0.1 * WEIGHT_DECAY))
    assert found["backbone.timm_model.patch_embed.norm.weight"][1] == 0.5 * WEIGHT_DECAY
    assert found[table][1] == WEIGHT_DECAY


def test_what_is_frozen_is_left_out():
    settings_of(Segmentor(TimmBackboneAdapter("test_resnet", frozen_stages=2)))


def test_a_rate_of_one_is_one_rate():
    found = settings_of(Segmentor(mit()), decay_rate=1.0)
    assert {rate for rate, _ in found.values()} == {LR}


def test_the_optimizer_steps():
    model = Segmentor(TimmBackboneAdapter("test_convnext"))
    constructor = LayerDecayOptimWrapperConstructor(
        {"optimizer": {"type": "SGD", "lr": LR}}, {"decay_rate": RATE}
    )
    wrapper = constructor(model)  # without weight decay
    stem = model.backbone.timm_model.stem_0.weight
    before = stem.detach().clone()
    loss = sum(level.square().mean() for level in model.backbone(torch.randn(1, 3, 64, 64)))
    wrapper.update_params(loss)
    assert not torch.equal(stem, before)


@pytest.mark.parametrize("rate", [None, 0, 1.5, "0.8"])
def test_a_bad_rate_is_refused(rate):
    with pytest.raises(InputError, match="above 0 and up to 1"):
        settings_of(Segmentor(mit()), decay_rate=rate)


def test_a_missing_learning_rate_is_refused():
    with pytest.raises(InputError, match="learning rate written out"):
        LayerDecayOptimWrapperConstructor({"optimizer": {"type": "SGD"}}, {"decay_rate": RATE})


@pytest.mark.slow
def test_backbones_without_known_layers_are_refused_with_those_that_have():
    with pytest.raises(InputError, match=r"layers of ResNet are not known.*MixVisionTransformer"):
        settings_of(Segmentor(MODELS.build({"type": "ResNet", "depth": 18})))
    with pytest.raises(InputError, match="caformer_s18: timm does not tell its layers"):
        settings_of(Segmentor(TimmBackboneAdapter("caformer_s18")))
