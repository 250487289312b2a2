"""Adaptation of a model to an image: what changes, what does not, and that it comes back."""

import copy
import math

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmseg_heritage.domains import Adaptation, AdaptationSettings
from mmseg_heritage.domains.adaptation.adaptation import STATISTICS
from mmseg_heritage.domains.adaptation.adapted_statistics import adapted_statistics, batch_norms
from mmseg_heritage.domains.adaptation.entropy_losses import entropy, mean_entropy
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.segmentors.tuning import norm_layers

IMAGE = torch.randint(
    0, 256, (3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
NAMES = {"convnext": "test_convnext", "resnet": "test_resnet"}


def build(backbone="convnext", norm="BN", head="UPerHead"):
    """Returns a segmentor with dropout; ConvNeXt has LayerNorm, ResNet and the heads BatchNorm."""
    init_default_scope("mmseg")
    torch.manual_seed(0)
    extra = {"num_groups": 4} if norm == "GN" else {}
    model = MODELS.build(
        {
            "type": "HeritageEncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor", "mean": [127.0] * 3,
                                  "std": [60.0] * 3},
            "backbone": {"type": "TimmBackboneAdapter", "model_name": NAMES[backbone]},
            "decode_head": {"type": head, "in_channels": "auto", "in_index": [0, 1, 2, 3],
                            "channels": 8, "num_classes": 16, "dropout_ratio": 0.5,
                            "norm_cfg": {"type": norm, **extra}},
        }
    )  # fmt: skip
    nn.init.normal_(model.decode_head.conv_seg.weight)
    return model.eval()


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before, model):
    return {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }


def predicted(model, image=IMAGE):
    return model.test_step({"inputs": [image]})[0].pred_sem_seg.data


def adaptation(model, method="tent", **settings):
    return Adaptation(model, AdaptationSettings(method, **settings))


def uncertainty(adapted, image=IMAGE):
    with torch.no_grad():
        return entropy(adapted._probabilities(adapted._view(image))).mean().item()


def test_entropy_is_that_of_torch():
    logits = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    found = entropy(logits.softmax(dim=1))
    expected = torch.distributions.Categorical(logits=logits.movedim(1, -1)).entropy()
    assert torch.allclose(found, expected)
    certain = torch.tensor([[1.0, 0.0]])[..., None]
    assert entropy(certain).item() == 0


def test_balanced_entropy_weighs_predicted_classes_alike():
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]).T[None]
    rare = entropy(probabilities)[0, 3]
    often = entropy(probabilities)[0, 0]
    assert mean_entropy(probabilities).item() == pytest.approx(((3 * often + rare) / 4).item())
    balanced = mean_entropy(probabilities, class_balanced=True)
    assert balanced.item() == pytest.approx(((often + rare) / 2).item())


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_statistics_are_those_that_torch_s_batch_norm_takes(share):
    """nn.BatchNorm2d in training mode, with momentum = share."""
    torch.manual_seed(0)
    mine, stock = nn.BatchNorm2d(3).eval(), nn.BatchNorm2d(3, momentum=share).train()
    inputs = (2 * torch.randn(2, 3, 20, 30) + 1).requires_grad_()
    with adapted_statistics([mine], share):
        found = mine(inputs)
    expected = stock(inputs)
    number = 1200 / 1199  # torch keeps variances by n - 1
    assert torch.allclose(mine.running_mean, stock.running_mean)
    assert torch.allclose(mine.running_var, stock.running_var, rtol=number - 1, atol=1e-6)
    assert torch.allclose(mine(inputs), found, atol=1e-5)  # it keeps what it used
    if share == 1:
        assert torch.allclose(found, expected, atol=1e-5)
        ways = [torch.autograd.grad((v**3).sum(), inputs)[0] for v in (found, expected)]
        assert torch.allclose(*ways, atol=1e-4)


def test_what_timm_computes_within_a_norm_layer_is_kept():
    inputs = torch.randn(2, 4, 9, 9)
    layer = BatchNormAct2d(4, act_layer=nn.ReLU6).train()
    expected = layer(inputs)
    with adapted_statistics([layer.eval()], 1.0):
        found = layer(inputs)
    assert torch.allclose(found, expected, atol=1e-5)
    assert (found >= 0).all()


def test_a_channel_of_one_value_keeps_its_trained_statistics():
    layer = nn.BatchNorm2d(3).eval()
    inputs = torch.randn(1, 3, 1, 1)
    with adapted_statistics([layer], 1.0):
        found = layer(inputs)
    assert torch.allclose(found, layer(inputs))
    assert torch.equal(layer.running_mean, torch.zeros(3))
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("kind", ["BN", "SyncBN"])
def test_which_layers_and_weights_are_adapted(kind):
    model = build("convnext", kind)
    kinds = {type(layer).__name__ for layer in batch_norms(model)}
    assert kinds == {"BN": {"BatchNorm2d"}, "SyncBN": {"SyncBatchNorm"}}[kind]
    of_norms = {type(layer).__name__ for layer in norm_layers(model)}
    assert kinds < of_norms  # and ConvNeXt's
    names = {id(p): name for name, p in model.named_parameters()}
    for params, prefixes in (("bn", {"decode_head"}), ("norm", {"decode_head", "backbone"})):
        learned = [names[id(p)] for p in adaptation(model, params=params)._parameters]
        assert {name.split(".")[0] for name in learned} == prefixes
        assert not any("conv_seg" in name for name in learned)


@pytest.mark.parametrize("method", ["bn", "tent", "sar"])
@pytest.mark.parametrize("backbone", ["convnext", "resnet"])
def test_only_norm_layers_change_and_everything_comes_back(method, backbone):
    model = build(backbone)
    before = state(model)
    adapted = adaptation(model, method, certain=1.0)
    adapted.adapt(IMAGE)
    modules = dict(model.named_modules())
    found = changed(before, model)
    assert found
    kinds = {type(modules[name.rpartition(".")[0]]).__name__ for name in found}
    assert all("Norm" in kind for kind in kinds)
    buffers = {name for name in found if "running" in name}
    assert bool(buffers) == (method != "sar")
    assert (found == buffers) == (method == "bn")
    assert not [p for p in model.parameters() if p.grad is not None]
    assert all(p.requires_grad for p in model.decode_head.parameters())
    assert not model.training
    adapted.restore()
    assert not changed(before, model)


def test_tent_makes_the_entropy_smaller_and_the_prediction_is_made_again():
    model = build()
    plain = uncertainty(adaptation(model, statistics="source"))
    source = predicted(model)
    adapted = adaptation(model, statistics="source", steps=3, lr=1e-2)
    adapted.adapt(IMAGE)
    assert uncertainty(adapted) < plain
    assert not torch.equal(predicted(model), source)


def test_the_default_statistics():
    for method, share in (("bn", 0.5), ("tent", 0.5), ("sar", 0.0)):
        assert AdaptationSettings(method).share == share
    shares = {name: AdaptationSettings("bn", name, mix=0.2).share for name in STATISTICS}
    assert shares == {"source": 0.0, "batch": 1.0, "mix": 0.2}


def test_without_a_step_it_is_the_source_or_the_adaptation_of_statistics():
    model = build()
    before = state(model)
    adaptation(model, statistics="source", steps=0).adapt(IMAGE)
    assert not changed(before, model)
    adaptation(model, steps=0).adapt(IMAGE)
    by_tent = state(model)
    adaptation(model, steps=0).restore()
    model.load_state_dict(before)
    adaptation(model, "bn").adapt(IMAGE)
    assert not changed(by_tent, model)


@pytest.mark.parametrize("method", ["tent", "sar"])
def test_the_order_of_images_does_not_matter(method):
    model = build()
    adapted = adaptation(model, method, certain=1.0, statistics="mix")
    images = [IMAGE, IMAGE.flip(2) // 2, IMAGE[:, :50, :70]]
    results = []
    for order in ([0, 1, 2], [2, 1, 0]):
        found = {}
        for place in order:
            adapted.adapt(images[place])
            found[place] = predicted(model, images[place])
        results.append(found)
    assert all(torch.equal(results[0][i], results[1][i]) for i in range(3))


def test_online_it_goes_on_from_image_to_image():
    model = build()
    adapted = adaptation(model, episodic=False, statistics="source")
    adapted.adapt(IMAGE)
    once = state(model)
    adapted.adapt(IMAGE)
    assert changed(once, model)


@pytest.mark.parametrize("grad", [torch.no_grad, torch.enable_grad])
def test_it_works_inside_loops_without_gradients_and_without_dropout(grad):
    results = []
    for seed in (0, 1):
        model = build()
        torch.manual_seed(seed)
        with grad():
            adaptation(model).adapt(IMAGE)
        results.append(state(model))
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def test_a_view_has_no_padding_and_at_most_the_long_edge():
    model = build()
    adapted = adaptation(model, long_edge=64)
    for height, width in ((97, 130), (20, 300), (10, 10), (64, 32)):
        view = adapted._view(torch.zeros(3, height, width, dtype=torch.uint8))
        assert all(side % model.input_multiple == 0 for side in view.shape[2:])
        assert max(view.shape[2:]) <= 64


def test_a_view_is_at_the_scale_at_which_the_model_predicts():
    model = build()
    model.window_inference.scales = ("fit:64", "native")
    assert max(adaptation(model)._view(torch.zeros(3, 300, 200, dtype=torch.uint8)).shape) == 64


def test_sar_leaves_out_uncertain_pixels_and_without_a_certain_one_makes_no_step():
    model = build()
    before = state(model)
    adaptation(model, "sar", certain=0.0).adapt(IMAGE)
    assert not changed(before, model)


def test_sar_s_step_is_the_formula():
    """Gradient at the weights, uphill by rho, gradient there, SGD from where they were."""
    model = build(norm="GN")
    reference = copy.deepcopy(model)
    settings = {"certain": 0.9, "radius": 0.05, "lr": 0.1}
    adapted = adaptation(model, "sar", **settings)
    adapted.adapt(IMAGE)
    other = adaptation(reference, "sar", **settings)
    inputs, limit = other._view(IMAGE), 0.9 * math.log(16)
    parameters = other._parameters
    first = entropy(other._probabilities(inputs))
    mask = first < limit
    assert 0 < mask.float().mean() < 1
    gradients = torch.autograd.grad(first[mask].mean(), parameters)
    length = torch.cat([g.flatten() for g in gradients]).norm()
    start = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, g in zip(parameters, gradients, strict=True):
            p.add_(0.05 * g / length)
    second = entropy(other._probabilities(inputs))
    there = torch.autograd.grad(second[mask & (second < limit)].mean(), parameters)
    for p, s, g in zip(adapted._parameters, start, there, strict=True):
        assert torch.allclose(p, s - 0.1 * g, atol=1e-6)


def test_sar_begins_anew_once_after_a_collapse():
    model = build()
    before = state(model)
    adapted = adaptation(model, "sar", episodic=False, certain=1.0, collapsed=1.0)
    adapted.adapt(IMAGE)  # below ln C: every entropy is a collapse
    assert not changed(before, model)
    assert adapted._mean_entropy is None
    adapted.settings.__dict__["collapsed"] = 0.0
    adapted.adapt(IMAGE)
    assert changed(before, model)
    assert adapted._mean_entropy is not None


def test_models_without_such_layers_are_refused():
    with pytest.raises(InputError, match="needs BatchNorm layers"):
        adaptation(build(norm="GN"), "bn")
    with pytest.raises(InputError, match="params=bn: this model has no BatchNorm"):
        adaptation(build(norm="GN"), params="bn")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "cotta"}, "method='cotta', expected one of bn, tent, sar"),
        ({"method": "tent", "statistics": "test"}, "statistics='test'"),
        ({"method": "tent", "params": "head"}, "params='head'"),
        ({"method": "tent", "steps": -1}, "steps=-1"),
        ({"method": "tent", "mix": 1.5}, "mix=1.5"),
        ({"method": "tent", "lr": "1"}, "lr='1'"),
        ({"method": "tent", "long_edge": 0}, "long_edge=0"),
        ({"method": "tent", "episodic": "yes"}, "episodic='yes'"),
    ],
)
def test_settings_that_cannot_be_used_are_said(settings, message):
    with pytest.raises(InputError) as caught:
        AdaptationSettings(**settings)
    assert message in str(caught.value)
