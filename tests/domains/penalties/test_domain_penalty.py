"""The penalties in a segmentor: DomainBed's trainings, masks, states, and what is refused."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from mmseg_heritage.domains.penalties.domain_batch import DomainBatch, by_domain
from mmseg_heritage.domains.penalties.domain_penalty import FishrPenalty
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS

# What DomainBed's own code (commit b93c22a) makes of the parameters p, which are in the order
# backbone, classifier: steps, the sum of p_i sin(i + 1), and the sum of squares.
TRAJECTORIES = {
    "ERM": (3, 5.039980738969262, 5.159372307624476, None, 3),
    "IRM": (4, 4.918534882871544, 5.078855358223684, {"type": "IRMPenalty", "anneal": 0.5}, 4),
    "VREx": (4, 4.724462544572357, 5.113677890735128, {"type": "VRExPenalty", "anneal": 0.5}, 4),
    "GroupDRO": (4, 4.885918634763595, 5.065821538584343,
                 {"type": "GroupDROPenalty", "step": 0.5}, 4),
    "CORAL": (3, 5.101478042696414, 5.155065582154098, {"type": "CORALPenalty"}, 3),
    "Fishr": (6, 5.0175052850742805, 4.954902913577946, {"type": "FishrPenalty"}, 10),
}  # fmt: skip
METHODS = [name for name in TRAJECTORIES if name != "ERM"]


def summary(model):
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    places = torch.arange(1, len(flat) + 1, dtype=torch.float64)
    return (flat * places.sin()).sum().item(), flat.square().sum().item()


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_a_training_is_domainbed_s(name, linear_segmentor, training_steps, pixels):
    """With the switch of the weight, and the optimizer cleared there, where there is one."""
    steps, *expected, penalty, max_iters = TRAJECTORIES[name]
    train = training_steps(linear_segmentor([penalty] if penalty else []), max_iters)
    for step in range(steps):
        train(*pixels(step))
    assert summary(train.model) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("sample", ["image", "patch", "pixel"])
def test_a_pixel_is_a_sample_however_fishr_takes_them(
    sample, linear_segmentor, training_steps, pixels
):
    steps, *expected, _, max_iters = TRAJECTORIES["Fishr"]
    penalty = {"type": "FishrPenalty", "sample": sample, "patch": 2}
    train = training_steps(linear_segmentor([penalty]), max_iters)
    for step in range(steps):
        train(*pixels(step))
    assert summary(train.model) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "stop"), [(name, s) for name in METHODS for s in range(1, TRAJECTORIES[name][0])]
)
def test_a_resumed_training_is_the_unbroken_one(
    name, stop, linear_segmentor, training_steps, pixels
):
    """Stopped before, at and after the switch; Fishr's is at step 3."""
    steps, _, _, penalty, max_iters = TRAJECTORIES[name]
    whole = training_steps(linear_segmentor([penalty]), max_iters)
    kept = None
    for step in range(steps):
        if step == stop:
            kept = whole.checkpoint()
        whole(*pixels(step))
    again = training_steps(linear_segmentor([penalty]), max_iters).resume(kept)
    for step in range(stop, steps):
        again(*pixels(step))
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", METHODS)
def test_at_weight_0_it_is_plain_training_bit_by_bit(
    name, linear_segmentor, training_steps, pixels
):
    penalty = {**TRAJECTORIES[name][3], "weight": 0}
    models = [linear_segmentor(), linear_segmentor([penalty])]
    for model in models:
        train = training_steps(model, 4)
        for step in range(4):
            losses = train(*pixels(step))
        assert not [key for key in losses if "dg" in key]
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(a, b)
    assert not models[1].decode_head.conv_seg._forward_hooks


def test_fishr_before_its_switch_is_plain_training_but_remembers(
    linear_segmentor, training_steps, pixels
):
    models = [linear_segmentor(), linear_segmentor([{"type": "FishrPenalty"}])]
    for model in models:
        train = training_steps(model, 10)
        for step in range(3):
            train(*pixels(step))
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(a, b)
    state = models[1].penalties.penalties[0].state
    assert list(state) == ["domain 0", "domain 1", "domain 2"]
    assert all(value.shape == (4 * 5 + 4,) and value.gt(0).all() for value in state.values())


@pytest.mark.parametrize("name", METHODS)
def test_a_checkpoint_has_the_names_of_the_plain_model(name, linear_segmentor):
    with_penalty = linear_segmentor([TRAJECTORIES[name][3]])
    assert with_penalty.state_dict().keys() == linear_segmentor().state_dict().keys()


def photographs(height=10, width=14, stride=2, images=2, domains=("Glass", "Paper"), seed=0):
    """Returns features, logits, labels and samples of crops with an ignored margin."""
    generator = torch.Generator().manual_seed(seed)
    number = images * len(domains)
    size = (number, 5, height // stride, width // stride)
    features = torch.randn(size, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (number, height, width), generator=generator)
    labels[:, :3] = 255
    samples = [SegDataSample(metainfo={"domain": name}) for name in domains * images]
    return features, labels, samples


def classifier():
    layer = torch.nn.Conv2d(5, 4, 1).double()
    count = torch.arange(20.0, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[..., 0, 0] = torch.sin(count).reshape(4, 5)
        layer.bias[:] = torch.cos(count[:4])
    return layer


def test_gradients_of_images_are_those_of_convolution_enlarging_and_masked_cross_entropy():
    features, labels, samples = photographs()
    layer = classifier()
    features.requires_grad_()
    batch = by_domain(features, layer(features), labels, samples)
    found = FishrPenalty()(batch)

    def loss(parameters, x, y):
        logits = functional_call(layer, parameters, (x[None],))
        full = F.interpolate(logits, y.shape, mode="bilinear", align_corners=False)
        terms = F.cross_entropy(full, y[None].clamp(max=3), reduction="none")[0]
        return (terms * (y != 255)).sum() / (y != 255).sum()

    gradients = vmap(grad(loss), (None, 0, 0))(dict(layer.named_parameters()), features, labels)
    flat = torch.cat([gradients["weight"].flatten(1), gradients["bias"].flatten(1)], dim=1)
    variances = [flat[[i for i, s in enumerate(samples) if s.domain == name]].var(0, unbiased=False)
                 for name in ("Glass", "Paper")]  # fmt: skip
    stacked = torch.stack(variances)
    expected = (stacked - stacked.mean(0)).square().mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-10)
    ways = [torch.autograd.grad(v, features, retain_graph=True)[0] for v in (found, expected)]
    assert torch.allclose(*ways, atol=1e-16, rtol=1e-8)


@pytest.mark.parametrize("sample", ["patch", "pixel"])
def test_patches_and_pixels_are_samples_of_the_last_feature_map(sample):
    features, labels, samples = photographs(stride=1)
    layer = classifier()
    batch = by_domain(features, layer(features), labels, samples)
    found = FishrPenalty(sample=sample, patch=4)._variance(batch, 0)
    side = 4 if sample == "patch" else 1
    gradients = []
    for image, label in zip(batch.features[0], batch.labels[0], strict=True):
        for top in range(0, 10, side):
            for left in range(0, 14, side):
                part = label[top : top + side, left : left + side]
                if (part != NO_CLASS).any():
                    cut = image[:, top : top + side, left : left + side]
                    loss = F.cross_entropy(layer(cut[None]), part[None], ignore_index=NO_CLASS)
                    found_here = torch.autograd.grad(loss, tuple(layer.parameters()))
                    gradients.append(torch.cat([g.flatten() for g in found_here]))
    expected = torch.stack(gradients).var(0, unbiased=False)
    assert torch.allclose(found, expected, atol=1e-13, rtol=0)


PENALTIES = [
    {"type": "CORALPenalty"}, {"type": "CORALPenalty", "mode": "class"}, {"type": "IRMPenalty"},
    {"type": "VRExPenalty"}, {"type": "GroupDROPenalty"}, {"type": "FishrPenalty"},
    {"type": "FishrPenalty", "sample": "patch", "patch": 2},
    {"type": "FishrPenalty", "sample": "pixel"},
]  # fmt: skip


def build(cfg):
    init_default_scope("mmseg")
    return MODELS.build(dict(cfg))


@pytest.mark.parametrize("cfg", PENALTIES, ids=str)
def test_ignored_pixels_change_nothing(cfg):
    features, labels, samples = photographs(stride=1)
    layer = classifier()
    found = []
    for number in (0.0, 50.0):
        features[:, :, :3] = number
        batch = by_domain(features, layer(features), labels, samples)
        found.append(build(cfg)(batch).item())
    assert found[0] == found[1] != 0


@pytest.mark.parametrize("cfg", PENALTIES, ids=str)
def test_crops_without_a_labeled_pixel_give_a_number(cfg):
    features, labels, samples = photographs()
    labels[[0, 2]] = 255  # all of a domain
    features.requires_grad_()
    batch = by_domain(features, classifier()(features), labels, samples)
    found = build(cfg)(batch)
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(features.grad).all()


def test_coral_takes_labeled_cells_up_to_a_number():
    features, labels, samples = photographs()
    batch = by_domain(features, classifier()(features), labels, samples)
    assert batch.cell_labels[0].tolist() == batch.labels[0][:, 1::2, 1::2].tolist()
    whole, few = (build({"type": "CORALPenalty", "cells": n})(batch) for n in (10_000, 10))
    assert whole != few
    assert torch.isfinite(few)


def test_penalties_are_float32_within_autocast(linear_segmentor, pixels, training_steps):
    model = linear_segmentor([{"type": "FishrPenalty", "anneal": 0}]).float()
    inputs, samples = pixels()
    model.penalties.penalties[0].current_weight = 1.0
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.loss(inputs.float(), samples)
    assert losses["loss_dg_fishr"].dtype == torch.float32
    assert losses["loss_dg_fishr"] > 0


def test_one_domain_or_one_image_is_an_error_with_a_reason(
    linear_segmentor, training_steps, pixels
):
    train = training_steps(linear_segmentor([{"type": "IRMPenalty"}]), 4)
    with pytest.raises(InputError, match="two domains") as caught:
        train(*pixels(domains=1))
    assert "all 6 images are of domain 0" in str(caught.value)
    with pytest.raises(InputError) as caught:
        train(*pixels(images=1))
    assert "one image of domain 2" in str(caught.value)
    inputs, samples = pixels()
    samples[3].set_metainfo({"domain": ""})
    with pytest.raises(InputError, match="names no domain"):
        train(inputs, samples)


def test_without_the_hook_it_is_refused(linear_segmentor, pixels):
    with pytest.raises(InputError, match="DomainPenaltyHook"):
        linear_segmentor([{"type": "CORALPenalty"}]).loss(*pixels())


@pytest.mark.parametrize(
    ("dg", "message"),
    [
        ([{"type": "CORALPenalty", "mode": "all"}], "mode='all', expected 'marginal' or 'class'"),
        ([{"type": "CORALPenalty", "cells": 1}], "cells=1"),
        ([{"type": "IRMPenalty", "weight": -1}], "weight=-1, expected a number from 0"),
        ([{"type": "VRExPenalty", "anneal": 1.0}], "anneal=1.0, expected a share of the training"),
        ([{"type": "GroupDROPenalty", "step": 0}], "step=0"),
        ([{"type": "FishrPenalty", "sample": "crop"}], "sample='crop'"),
        ([{"type": "FishrPenalty", "decay": 1}], "decay=1"),
        ([{"type": "IRMPenalty"}, {"type": "IRMPenalty"}], "IRMPenalty is there twice"),
        ([{"type": "ReLU"}], "ReLU is no penalty"),
    ],
)
def test_what_cannot_be_used_is_said(dg, message, linear_segmentor):
    with pytest.raises(InputError) as caught:
        linear_segmentor(dg)
    assert message in str(caught.value)


def test_several_penalties_share_a_batch(linear_segmentor, training_steps, pixels):
    model = linear_segmentor([{"type": "IRMPenalty"}, {"type": "CORALPenalty", "weight": 2.0}])
    losses = training_steps(copy.deepcopy(model), 10)(*pixels())
    assert {key for key in losses if "dg" in key} == {"loss_dg_irm", "loss_dg_coral"}
    alone = training_steps(linear_segmentor([{"type": "CORALPenalty"}]), 10)(*pixels())
    assert losses["loss_dg_coral"].item() == pytest.approx(2 * alone["loss_dg_coral"].item())


def test_a_batch_is_taken_apart_by_domain():
    features, labels, samples = photographs()
    labels[0, 5, 5] = 4  # no class of 4
    batch = by_domain(features, classifier()(features), labels, samples)
    assert isinstance(batch, DomainBatch)
    assert batch.names == ("Glass", "Paper")
    assert torch.equal(batch.features[1], features[1::2])
    assert batch.labels[0][0, 5, 5] == NO_CLASS
    terms = [F.cross_entropy(z, y, ignore_index=NO_CLASS)
             for z, y in zip(batch.full_logits, batch.labels, strict=True)]  # fmt: skip
    assert torch.allclose(batch.losses, torch.stack(terms))
