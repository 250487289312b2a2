"""The sums under the Dice loss: pieces, precision and derivatives."""

import numpy as np
import pytest
import torch

from mmseg_heritage.models.losses import functional
from mmseg_heritage.models.losses.functional import class_dice_losses, soft_class_sums


def textbook_sums(logits, labels, pixel_weight, ignore):
    """The same sums with a one-hot target and plain autograd."""
    mass = (labels != ignore) * pixel_weight
    one_hot = torch.stack([(labels == c) * mass for c in range(logits.shape[1])], dim=1)
    probs = logits.softmax(1)
    return (probs * one_hot).sum((0, 2)), (probs * mass[:, None]).sum((0, 2)), one_hot.sum((0, 2))


@pytest.mark.parametrize("values", [1, 12, 35, 10**9])
def test_pieces_of_any_size_give_the_textbook_sums_and_gradients(monkeypatch, values):
    monkeypatch.setattr(functional, "CACHED_VALUES", values)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 29, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (3, 29), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = -9
    weight = torch.rand(labels.shape, generator=generator, dtype=torch.float64)
    factors = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    results = []
    for sums in (
        soft_class_sums(logits, labels, weight),
        textbook_sums(logits, labels, weight, -9),
    ):
        (grad,) = torch.autograd.grad((sums[0] * factors[0] + sums[1] * factors[1]).sum(), logits)
        results.append([*sums, grad])
    for ours, textbook in zip(*results, strict=True):
        torch.testing.assert_close(ours, textbook, atol=1e-12, rtol=1e-12)


def test_labels_outside_the_classes_weigh_nothing():
    logits = torch.randn(1, 3, 5)
    odd = torch.tensor([[0, 1, 3, -1, 10**12]])
    for ours, kept in zip(
        soft_class_sums(logits, odd), soft_class_sums(logits[..., :2], odd[..., :2]), strict=True
    ):
        torch.testing.assert_close(ours, kept)


@pytest.mark.parametrize("shape", [(0, 3, 5), (2, 3, 0)])
def test_empty_batches_sum_to_zero(shape):
    logits = torch.zeros(shape, requires_grad=True)
    sums = soft_class_sums(logits, torch.zeros(shape[0], shape[2], dtype=torch.long))
    assert [s.tolist() for s in sums] == [[0.0] * 3] * 3
    sums[0].sum().backward()
    assert logits.grad.shape == shape


@pytest.mark.parametrize("values", [2**18, 10**9])
def test_large_sums_are_not_rounded_pixel_by_pixel(monkeypatch, values):
    monkeypatch.setattr(functional, "CACHED_VALUES", values)
    # Adding 0.9 at a time in float32 is 3 % off after 2 million pixels.
    logits = torch.zeros(1, 2, 1500, 1500)
    logits[:, 0] = float(np.log(9.0))
    labels = torch.zeros(1, 1500, 1500, dtype=torch.long)
    intersection, predicted, labeled = soft_class_sums(logits.flatten(2), labels.flatten(1))
    assert intersection[0].item() == pytest.approx(0.9 * 1500**2, rel=1e-6)
    assert predicted[0].item() == pytest.approx(0.9 * 1500**2, rel=1e-6)
    assert labeled.tolist() == [1500**2, 0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_second_backward_finds_the_probabilities_again(dtype, weighted):
    """The first one has turned what was kept into its gradient."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 4, 50, generator=generator).to(dtype).requires_grad_()
    labels = torch.randint(0, 5, (2, 50), generator=generator)  # 4 is none of the classes
    weight = torch.rand(2, 50, generator=generator, dtype=torch.float32) if weighted else None
    intersection, predicted, _ = soft_class_sums(logits, labels, weight)
    total = (intersection * torch.arange(4)).sum() - predicted.square().sum()
    total.backward(retain_graph=True)
    first = logits.grad.clone()
    logits.grad = None
    total.backward()
    assert first.abs().max() > 0
    assert torch.equal(logits.grad, first)


def test_infinite_incoming_gradients_leave_ignored_pixels_alone():
    logits = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    _, predicted, _ = soft_class_sums(logits, torch.tensor([[0, 255, 2, 1]]))
    (predicted.sum() * float("inf")).backward()
    assert logits.grad[0, :, 1].tolist() == [0.0, 0.0, 0.0]
    assert logits.grad[0, :, 0].isnan().all()


def test_second_derivatives_fail_clearly():
    logits = torch.randn(1, 3, 4, requires_grad=True)
    sums = soft_class_sums(logits, torch.tensor([[0, 1, 2, 0]]))
    loss = class_dice_losses(*sums, smooth=1.0).sum()
    (grad,) = torch.autograd.grad(loss, logits, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_a_class_neither_labeled_nor_predicted_costs_nothing():
    nothing = torch.zeros(2)
    for smooth in (0.0, 1.0):
        assert class_dice_losses(nothing, nothing, nothing, smooth).tolist() == [0.0, 0.0]
