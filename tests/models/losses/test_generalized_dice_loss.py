"""Generalized Dice against its definition."""

import numpy as np
import pytest
import torch

from mmseg_heritage.models.losses import GeneralizedDiceLoss


def batch(seed=0, n=2, c=5, size=(6, 7), share=0.2, absent=3):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, c, *size, generator=generator)
    present = torch.tensor([k for k in range(c) if k != absent])
    labels = present[torch.randint(0, len(present), (n, *size), generator=generator)]
    labels[torch.rand(labels.shape, generator=generator) < share] = 255
    return logits.requires_grad_(), labels


@pytest.mark.parametrize("pixel_weighted", [False, True])
def test_equals_the_definition(pixel_weighted):
    logits, labels = batch()
    class_weight = np.array([1.0, 2, 0, 4, 5])
    mass = (labels != 255).numpy().astype(float)
    pixel_weight = None
    if pixel_weighted:
        pixel_weight = torch.rand(labels.shape, generator=torch.Generator().manual_seed(3))
        mass = mass * pixel_weight.numpy()
    p = logits.detach().double().softmax(1).numpy()
    top = bottom = 0.0
    for c in range(5):
        true = mass * (labels == c).numpy()
        if true.sum() > 0:
            v = class_weight[c] / true.sum() ** 2
            top += v * (true * p[:, c]).sum()
            bottom += v * ((mass * p[:, c]).sum() + true.sum())
    found = GeneralizedDiceLoss(class_weight.tolist())(logits, labels, pixel_weight)
    assert found.item() == pytest.approx(1 - 2 * top / bottom, rel=1e-5)


def test_perfect_and_wrong():
    _, labels = batch(share=0.0)
    right = torch.nn.functional.one_hot(labels, 5).movedim(-1, 1) * 50.0
    assert GeneralizedDiceLoss()(right, labels) == pytest.approx(0, abs=1e-6)
    assert GeneralizedDiceLoss()(right.roll(1, dims=1), labels) == pytest.approx(1, abs=1e-6)


def test_an_ignored_batch_costs_nothing():
    logits, labels = batch(share=1.1)
    loss = GeneralizedDiceLoss()(logits, labels)
    assert loss == 0
    [gradient] = torch.autograd.grad(loss, logits)
    assert (gradient == 0).all()


def test_classes_of_a_large_batch_stay_in_range():
    """The square of the pixels of a class leaves float16 and nears the end of float32."""
    labels = torch.zeros(1, 2048, 2048, dtype=torch.long)
    labels[0, 0, 0] = 1
    logits = torch.zeros(1, 2, 2048, 2048)
    n = 2048**2
    v = np.array([1 / (n - 1) ** 2, 1.0])
    y, i, p = np.array([n - 1, 1.0]), np.array([(n - 1) / 2, 0.5]), np.array([n / 2, n / 2])
    expected = 1 - 2 * (v * i).sum() / (v * (p + y)).sum()
    assert GeneralizedDiceLoss()(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_gradcheck():
    logits, labels = batch(size=(2, 3))
    double = logits.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: GeneralizedDiceLoss()(z, labels), double)
