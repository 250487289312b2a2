"""Penalties against DomainBed's numbers, autograd, and what they must not depend on.

The golden numbers were computed by DomainBed's own code (commit b93c22a, MIT) on the same tensors.
"""

import math

import pytest
import torch
from torch.func import grad, vmap
from torch.nn import functional as F

pytest.importorskip("mmseg")

from mmseg_heritage.domains.penalties import penalty_functions as f
from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS

COUNT = torch.arange(30.0, dtype=torch.float64)
LOGITS = [2 * torch.sin(0.7 * COUNT[:24] + 1.3 * d).reshape(6, 4) for d in range(3)]
LABELS = [torch.tensor([(3 * i + d) % 4 for i in range(6)]) for d in range(3)]
FEATURES = [torch.cos(0.5 * COUNT + 0.9 * d).reshape(6, 5) for d in range(3)]
WEIGHT, BIAS = 0.3 * torch.sin(COUNT[:20]).reshape(4, 5), 0.1 * torch.cos(COUNT[:4])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_irm_is_domainbed_s():
    assert f.irm_penalty(LOGITS[0], LABELS[0]).item() == pytest.approx(2.642617669950543, abs=1e-12)


def test_vrex_is_domainbed_s():
    losses = torch.stack([F.cross_entropy(z, y) for z, y in zip(LOGITS, LABELS, strict=True)])
    assert losses.tolist() == pytest.approx([2.596961164229, 1.527074750417, 1.735968745597])
    assert f.vrex_penalty(losses).item() == pytest.approx(0.2144001760695706, abs=1e-12)


def test_coral_is_domainbed_s():
    found = f.coral_distance(*FEATURES[:2]).item()
    assert found == pytest.approx(0.022651149881718236, abs=1e-14)
    pairs = [f.coral_distance(FEATURES[a], FEATURES[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert f.coral_penalty(FEATURES).item() == pytest.approx(torch.stack(pairs).mean().item())


def samples_by_autograd(features, labels):
    """Returns the gradients of each sample's cross entropy by weights and biases."""

    def loss(parameters, x, y):
        weight, bias = parameters
        return F.cross_entropy((weight @ x + bias)[None], y[None])

    weights, biases = vmap(grad(loss), (None, 0, 0))((WEIGHT, BIAS), features, labels)
    return torch.cat([weights.flatten(1), biases], dim=1)


def test_fishr_is_domainbed_s_at_the_first_step():
    variances = torch.stack(
        [f.gradient_variance(samples_by_autograd(x, y))
         for x, y in zip(FEATURES, LABELS, strict=True)]
    )  # fmt: skip
    used = torch.stack([f.running_variance(None, v, 0.95)[0] for v in variances])
    assert f.fishr_penalty(used).item() == pytest.approx(0.0012033263385531614, abs=1e-15)


@pytest.mark.parametrize("form", ["image", "pixel"])
def test_both_closed_forms_are_the_variance_of_gradients_by_autograd(form):
    features, labels = FEATURES[0].clone().requires_grad_(), LABELS[0]
    expected = f.gradient_variance(samples_by_autograd(features, labels))
    gradients = f.cross_entropy_gradients(F.linear(features, WEIGHT, BIAS), labels)
    if form == "pixel":
        found = f.pixel_gradient_variance(gradients, features)
    else:
        maps = [tensor[..., None, None] for tensor in (gradients, features)]
        found = f.gradient_variance(f.image_gradients(*maps))
    assert torch.allclose(found, expected, atol=1e-15, rtol=0)
    ways = [torch.autograd.grad(v.square().sum(), features, retain_graph=True)[0]
            for v in (found, expected)]  # fmt: skip
    assert torch.allclose(*ways, atol=1e-15, rtol=0)


def test_running_variance_takes_the_past_as_constant_and_grows_400_times():
    variance = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    before = None
    for number in range(1, 201):
        used, before = f.running_variance(before, variance, 0.95)
        assert not before.requires_grad
        [slope] = torch.autograd.grad(used.sum(), variance)
        assert slope.tolist() == pytest.approx([1, 1])  # (1 - decay) / (1 - decay)
        if number == 2:
            assert (used[0] / 2).item() ** 2 == pytest.approx(3.80, abs=0.01)
    penalty = f.fishr_penalty(torch.stack([used, 2 * used]))
    once = f.fishr_penalty(torch.stack([variance, 2 * variance]))
    assert (penalty / once).item() == pytest.approx(400, abs=0.1)


@pytest.mark.parametrize("shape", [(), (3, 5)])
def test_irm_s_closed_form_is_autograd_s_with_its_gradient(shape):
    logits = normal(4, 6, *shape).requires_grad_()
    labels = torch.randint(0, 6, (4, *shape), generator=torch.Generator().manual_seed(1))
    if shape:
        labels[:, 0] = NO_CLASS
    halves = []
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    for part in (slice(0, None, 2), slice(1, None, 2)):
        loss = F.cross_entropy(scale * logits[part], labels[part], ignore_index=NO_CLASS)
        halves.append(torch.autograd.grad(loss, scale, create_graph=True)[0])
    expected, found = halves[0] * halves[1], f.irm_penalty(logits, labels)
    assert found.item() == pytest.approx(expected.item(), abs=1e-14)
    ways = [torch.autograd.grad(v, logits, retain_graph=True)[0] for v in (found, expected)]
    assert torch.allclose(*ways, atol=1e-14, rtol=0)


def test_irm_does_not_depend_on_which_half_is_first_or_on_ignored_pixels():
    logits, labels = normal(4, 6, 3, 5), torch.randint(0, 6, (4, 3, 5))
    labels[:, :, 2] = NO_CLASS
    found = f.irm_penalty(logits, labels)
    order = [1, 0, 3, 2]
    assert f.irm_penalty(logits[order], labels[order]).item() == pytest.approx(found.item())
    logits[:, :, :, 2] = 100
    assert f.irm_penalty(logits, labels).item() == found.item()
    labels[:] = NO_CLASS
    assert f.irm_penalty(logits, labels).item() == 0


@pytest.mark.parametrize("call", [
    lambda: f.irm_penalty(LOGITS[0][:1], LABELS[0][:1]),
    lambda: f.coral_distance(FEATURES[0][:1], FEATURES[1]),
])  # fmt: skip
def test_one_sample_is_an_error_not_zero_or_nan(call):
    with pytest.raises(ValueError, match=r"2|two"):
        call()


def test_what_coral_does_not_depend_on():
    a, b = normal(50, 4), normal(40, 4, seed=1) + 0.3
    found = f.coral_distance(a, b)
    shuffled = f.coral_distance(b[torch.randperm(40)], a[torch.randperm(50)])
    assert shuffled.item() == pytest.approx(found.item())
    assert f.coral_distance(a, a).item() == 0
    moved = f.coral_distance(a, b + 2) - found  # only the term of the means
    before = (a.mean(0) - b.mean(0)).square().mean()
    after = (a.mean(0) - b.mean(0) - 2).square().mean()
    assert moved.item() == pytest.approx((after - before).item())
    half = f.coral_distance(normal(300, 256).float(), normal(300, 256, seed=2).float())
    assert math.isfinite(half.item())


def test_coral_by_class_ignores_the_shares_of_classes():
    """Two domains with the same classes in other shares."""
    kinds = [normal(400, 3, seed=s) + 4 * s for s in (1, 2)]
    more, less = kinds[0][:300], kinds[0][300:]
    features = [torch.cat([more, kinds[1][:50]]), torch.cat([less, kinds[1][50:]])]
    labels = [torch.tensor([0] * 300 + [1] * 50), torch.tensor([0] * 100 + [1] * 350)]
    by_class = f.class_coral_penalty(features, labels)
    assert by_class < 0.01 * f.coral_penalty(features)
    pairs = [f.coral_distance(*(x[y == name] for x, y in zip(features, labels, strict=True)))
             for name in (0, 1)]  # fmt: skip
    assert by_class.item() == pytest.approx(torch.stack(pairs).mean().item())
    assert f.class_coral_penalty(features, [labels[0] * 0, labels[1] * 0 + 1]).item() == 0


def test_group_dro_adds_up_to_the_weighed_loss():
    losses, logs = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.1, 0.7, 0.2])
    weights = logs.exp() / logs.exp().sum()
    found = losses.mean() + f.group_dro_penalty(losses, logs)
    assert found.item() == pytest.approx((weights * losses).sum().item())
