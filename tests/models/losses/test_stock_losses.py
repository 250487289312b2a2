"""mmsegmentation's losses that need no replacement here: that they leave 255 alone."""

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg.registry import MODELS


def batch(share=0.2):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 4, 6, 7, generator=generator)
    labels = torch.randint(0, 3, (2, 6, 7), generator=generator)  # class 3 is absent
    labels[torch.rand(labels.shape, generator=generator) < share] = 255
    return logits.requires_grad_(), labels


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 3.0]])
def test_tversky_is_right_under_255(weights):
    logits, labels = batch()
    loss = MODELS.build({"type": "TverskyLoss", "class_weight": weights})
    p = logits.detach().double().softmax(1).numpy()
    expected = 0.0
    for c in range(4):
        terms = []
        for n in range(2):
            valid, true = (labels[n] != 255).numpy(), (labels[n] == c).numpy()
            tp = (p[n, c] * true * valid).sum()
            fp = (p[n, c] * ~true * valid).sum()
            fn = ((1 - p[n, c]) * true * valid).sum()
            terms.append(1 - (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1))
        expected += (1 if weights is None else weights[c]) * np.mean(terms) / 4
    assert loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_tversky_of_an_ignored_batch_is_0():
    logits, labels = batch(share=1.1)
    loss = MODELS.build({"type": "TverskyLoss"})(logits, labels)
    assert loss.item() == pytest.approx(0)


def test_lovasz_is_right_under_255():
    logits, labels = batch()
    loss = MODELS.build({"type": "LovaszLoss", "reduction": "none"})
    valid = labels != 255
    pixels = logits.movedim(1, -1)[valid].T[None, :, None]  # (1, C, 1, P), nothing ignored
    expected = loss(pixels, labels[valid][None, None])
    found = loss(logits, labels, ignore_index=255)
    torch.testing.assert_close(found, expected)
    [gradient] = torch.autograd.grad(found, logits)
    assert (gradient.movedim(1, -1)[~valid] == 0).all()


def test_lovasz_of_an_ignored_batch_is_not_a_number():
    """docs/reference/models.md says so; when this test fails, mmsegmentation has fixed it."""
    logits, labels = batch(share=1.1)
    loss = MODELS.build({"type": "LovaszLoss", "reduction": "none"})
    assert loss(logits, labels, ignore_index=255).mean().isnan()
