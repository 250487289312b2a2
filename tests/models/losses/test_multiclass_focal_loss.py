"""Focal loss against its definition, the sigmoid form of torchvision, and cross entropy."""

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses import MaskedCrossEntropyLoss, MulticlassFocalLoss


def batch(seed=0, n=2, c=5, size=(6, 7), share=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, c, *size, generator=generator)
    labels = torch.randint(0, c, (n, *size), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < share] = 255
    return logits.requires_grad_(), labels


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("normalize", ["pixels", "weights"])
def test_equals_the_definition(gamma, normalize):
    logits, labels = batch()
    weights, alpha = torch.tensor([1.0, 2, 0, 4, 5]), torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    valid = labels != 255
    p = logits.detach().double().softmax(1).movedim(1, -1)[valid]
    t = labels[valid]
    p = p[torch.arange(len(t)), t]
    terms = (weights * alpha).double()[t] * (1 - p) ** gamma * -p.log()
    divisor = valid.sum() if normalize == "pixels" else weights[t].sum()
    loss = MulticlassFocalLoss(alpha.tolist(), gamma, weights.tolist(), normalize)
    torch.testing.assert_close(loss(logits, labels).double(), terms.sum() / divisor)


def test_two_classes_are_the_sigmoid_form():
    """With the logits 0 and z, the softmax probability of the second class is sigmoid(z)."""
    z = 3 * torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 2, z.shape, generator=torch.Generator().manual_seed(1))
    expected = sigmoid_focal_loss(z, labels.float(), alpha=0.3, gamma=2.0, reduction="mean")
    logits = torch.stack([torch.zeros_like(z), z], dim=1)
    found = MulticlassFocalLoss(alpha=[0.7, 0.3], gamma=2.0)(logits, labels)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_without_focus_it_is_cross_entropy(reduction):
    logits, labels = batch()
    weights = [1, 2, 3, 4, 5]
    focal = MulticlassFocalLoss(1.0, 0.0, weights, reduction=reduction)
    plain = MaskedCrossEntropyLoss(weights, reduction=reduction)
    torch.testing.assert_close(focal(logits, labels), plain(logits, labels))


def test_right_pixels_weigh_less():
    _, labels = batch(share=0.0)
    right = torch.nn.functional.one_hot(labels, 5).movedim(-1, 1) * 5.0
    focal, plain = MulticlassFocalLoss(1.0, 2.0), MaskedCrossEntropyLoss()
    assert focal(right, labels) / plain(right, labels) < 0.01
    assert focal(-right, labels) / plain(-right, labels) > 0.9


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_certain_pixels_have_finite_gradients(gamma):
    logits = torch.tensor([[[[200.0]], [[-200.0]]]]).requires_grad_()
    for label in (0, 1):
        loss = MulticlassFocalLoss(gamma=gamma)(logits, torch.tensor([[[label]]]))
        [gradient] = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_gradcheck():
    logits, labels = batch(size=(2, 3))
    loss = MulticlassFocalLoss(0.25, 2.0, [1.0, 2, 0, 4, 5])
    double = logits.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), double)


def test_an_ignored_batch_costs_nothing():
    logits, labels = batch(share=1.0)
    loss = MulticlassFocalLoss()(logits, labels)
    assert loss == 0
    [gradient] = torch.autograd.grad(loss, logits)
    assert (gradient == 0).all()


def test_half_precision_logits_are_upcast():
    logits, labels = batch()
    rounded = logits.detach().bfloat16()
    found = MulticlassFocalLoss()(rounded, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, MulticlassFocalLoss()(rounded.float(), labels))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"alpha": -1}, "alpha=-1"),
        ({"alpha": [0.1, float("inf")]}, "alpha=[0.1, inf]"),
        ({"gamma": -0.5}, "gamma=-0.5"),
        ({"normalize": "batch"}, "normalize='batch'"),
    ],
)
def test_what_cannot_be_built_is_said(arguments, expected):
    with pytest.raises(InputError) as caught:
        MulticlassFocalLoss(**arguments)
    assert expected in str(caught.value)


def test_an_alpha_too_few_names_both_numbers():
    logits, labels = batch()
    with pytest.raises(InputError, match="4 numbers for 5 classes"):
        MulticlassFocalLoss(alpha=[1, 2, 3, 4])(logits, labels)
