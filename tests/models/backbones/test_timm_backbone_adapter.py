"""timm's networks as backbones: parity with timm, levels, freezing, bad arguments."""

import math

import pytest
import timm
import torch
from mmseg.registry import MODELS

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter

NHWC = ["test_mambaout", "swin_tiny_patch4_window7_224"]


def test_the_features_are_timms_own(each_kind, build, image, tiny_arguments):
    name = each_kind
    ours = build(name).eval()
    extra = {"out_indices": ours.out_indices, **tiny_arguments(name)}
    reference = timm.create_model(name, features_only=True, **extra).eval()
    reference.load_state_dict(ours.timm_model.state_dict())
    batch = image(*ours.img_size)
    with torch.no_grad():
        expected = reference(batch)
        found = ours(batch)
    if name in NHWC:
        expected = [level.permute(0, 3, 1, 2) for level in expected]
    assert ours.out_strides == (4, 8, 16, 32)
    for level, wanted, channels, stride in zip(
        found, expected, ours.out_channels, ours.out_strides, strict=True
    ):
        size = (math.ceil(ours.img_size[0] / stride), math.ceil(ours.img_size[1] / stride))
        assert level.shape == wanted.shape == (2, channels, *size)
        assert level.is_contiguous() or name not in NHWC
        torch.testing.assert_close(level, wanted, atol=1e-5, rtol=0)


def test_out_indices_are_obeyed(build, image):
    ours = build("test_resnet", out_indices=(0, 2, -1))
    assert ours.out_indices == (0, 2, 4)
    assert ours.out_strides == (2, 8, 32)
    levels = ours(image(64, 64))
    assert [level.shape[-1] for level in levels] == [32, 8, 2]
    assert tuple(level.shape[1] for level in levels) == ours.out_channels
    assert build("test_resnet", out_indices="all").out_strides == (2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    "name",
    [
        "swinv2_tiny_window8_256",
        "pvt_v2_b0",
        "hrnet_w18_small",
        "resnet18.a1_in1k",
        "convnext_tiny.dinov3_lvd1689m",
        "sam2_hiera_tiny",
    ],
)
@pytest.mark.slow
def test_full_size_networks_are_built_through_the_registry(name):
    model = MODELS.build({"type": "TimmBackboneAdapter", "model_name": name})
    assert model.out_strides == (4, 8, 16, 32)
    assert len(model.out_channels) == 4


def test_dilated_networks_keep_their_levels(build, image):
    model = build("resnet18", output_stride=8)
    assert model.out_strides == (4, 8, 8, 8)
    assert model(image(65, 65))[-1].shape == (2, 512, 9, 9)


def test_what_no_output_depends_on_is_not_trained(build, image):
    model = build("hrnet_w18_small", out_indices=(1,))
    sum(level.sum() for level in model(image(64, 64))).backward()
    assert any(not p.requires_grad for p in model.parameters())
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("with_cp", [False, True])
def test_what_only_unread_maps_depend_on_is_not_trained(with_cp, build, image):
    model = build("test_convnext", frozen_stages=0, with_cp=with_cp)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    model.train_only({0, 2})
    levels = model(image(64, 64))
    (levels[0].sum() + levels[2].sum()).backward()
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {name for name, p in model.named_parameters() if p.grad is not None}
    assert frozen and frozen.isdisjoint(learning)
    assert any("stages_3" in name for name, _ in model.named_parameters())
    assert not any("stages_3" in name for name in learning)


def test_unread_maps_above_frozen_stages(build):
    model = build("test_convnext", frozen_stages=2)
    model.train_only({0, 1})
    assert not any(p.requires_grad for p in model.parameters())


def test_it_is_built_alike_where_gradients_are_off(build):
    with torch.no_grad():
        model = build("hrnet_w18_small", out_indices=(1,))
    assert any(p.requires_grad for p in model.parameters())
    assert any(not p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_mambaout", "hiera_tiny_224"]
)
@pytest.mark.parametrize(
    "stages",
    [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(3, marks=pytest.mark.slow)],
)
def test_frozen_stages_neither_learn_nor_drift(name, stages, build, image):
    model = build(name, frozen_stages=stages, drop_path_rate=0.5).train()
    batch = image(*model.img_size)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    frozen = {key for key, p in model.named_parameters() if not p.requires_grad}
    learning = {key for key, p in model.named_parameters() if p.requires_grad}
    assert frozen and learning
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        levels = model(batch)
        sum(level.square().sum() for level in levels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    # The frozen levels give the same, batch statistics and stochastic depth included.
    if stages:
        torch.manual_seed(3)
        first = model(batch)[:stages]
        torch.manual_seed(4)
        assert all(torch.equal(a, b) for a, b in zip(first, model(batch), strict=False))
        assert all(not level.requires_grad for level in first)
        assert model(batch)[stages].requires_grad
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in frozen)
    assert any(not torch.equal(before[key], after[key]) for key in learning)


def test_norm_eval_keeps_running_statistics(build, image):
    model = build("test_resnet", norm_eval=True).train()
    before = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    model(image(64, 64))
    after = model.state_dict()
    assert before and all(torch.equal(value, after[key]) for key, value in before.items())
    assert model.training


@pytest.mark.parametrize("name", ["test_convnext", "test_maxvit", "hiera_tiny_224"])
def test_checkpointing_changes_no_gradient(name, build, image):
    gradients = []
    for with_cp in (False, True):
        model = build(name, with_cp=with_cp).eval()  # without batch statistics
        sum(level.square().mean() for level in model(image(*model.img_size))).backward()
        gradients.append({key: p.grad for key, p in model.named_parameters()})
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, atol=1e-6, rtol=1e-4)


def test_stochastic_depth_reaches_the_network(build, image):
    model = build("test_convnext", drop_path_rate=0.9).train()
    assert not torch.equal(model(image(64, 64))[-1], model(image(64, 64))[-1])


def test_the_normalization_of_timms_weights(build):
    model = build("resnet18")
    assert model.pixel_mean == pytest.approx((123.675, 116.28, 103.53))
    assert model.pixel_std == pytest.approx((58.395, 57.12, 57.375))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_name": "convnext_tyni"}, "did you mean convnext_tiny"),
        ({"model_name": "vit_tiny_patch16_224"}, "no feature pyramid.* stride 16"),
        (
            {"out_indices": (5,)},
            r"out_indices=\(5,\): expected ascending .* 0\.\.4 of strides 2, 4",
        ),
        ({"out_indices": (2, 1)}, "expected ascending"),
        ({"out_indices": ()}, "expected ascending"),
        ({"frozen_stages": 5}, "frozen_stages=5: expected .* up to 4"),
        ({"frozen_stages": -2}, "frozen_stages=-2"),
        ({"img_size": "512"}, "img_size='512': expected one whole number"),
        ({"img_size": 224}, "unexpected keyword argument 'img_size'"),
        ({"no_such_option": 1}, "no_such_option"),
        ({"model_name": "vgg11", "drop_path_rate": 0.1}, "drop_path_rate"),
        ({"drop_path_rate": 1.5}, r"drop_path_rate=1\.5, expected"),
        ({"features_only": True, "num_classes": 3}, "(?s)features_only: .*num_classes: "),
        ({"pretrained": True, "checkpoint_path": "x.pth"}, "give one source of weights"),
        ({"model_name": "coat_lite_mini", "with_cp": True}, "use with_cp=False"),
        ({"model_name": "test_maxvit", "img_size": 100}, r"\(100, 100\).*multiple of 32"),
        ({"in_channels": 0}, r"in_channels=0, expected a whole number from 1"),
        ({"in_channels": True}, r"in_channels=True, expected"),
        ({"model_name": "mvitv2_tiny", "img_size": (96, 128)}, r"\(96, 128\).*AssertionError"),
        ({"model_name": "inception_v3"}, r"Choose another model, or, where this one takes"),
        ({"model_name": "sequencer2d_s"}, "a recurrent network.* Choose another model"),
        ({"model_name": "caformer_s18", "frozen_stages": 0}, "does not tell its layers"),
    ],
)
def test_bad_arguments_give_one_message(arguments, message):
    with pytest.raises(InputError, match=message):
        TimmBackboneAdapter(**{"model_name": "test_resnet", **arguments})
