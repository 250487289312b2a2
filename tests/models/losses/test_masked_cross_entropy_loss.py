"""Cross entropy with weights and ignored pixels, against plain numpy, torch and mmseg."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses import MaskedCrossEntropyLoss


def batch(seed=0, n=2, c=5, size=(6, 7), ignore=255, share=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, c, *size, generator=generator)
    labels = torch.randint(0, c, (n, *size), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < share] = ignore
    return logits.requires_grad_(), labels


def reference(logits, labels, weights, normalize, ignore, pixel_weight):
    """Pixel by pixel in float64, as the definition reads."""
    logits, total, divisor = logits.detach().double().numpy(), 0.0, 0.0
    for n, y, x in np.ndindex(*labels.shape):
        t = int(labels[n, y, x])
        if t == ignore:
            continue
        row = logits[n, :, y, x]
        log_p = row[t] - row.max() - np.log(np.exp(row - row.max()).sum())
        m = 1.0 if pixel_weight is None else float(pixel_weight[n, y, x])
        total -= m * weights[t] * log_p
        divisor += m * (weights[t] if normalize == "weights" else 1)
    return total / divisor if divisor > 0 else 0.0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    c=st.integers(2, 6),
    ignore=st.sampled_from([255, -100, -1, 0]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    normalize=st.sampled_from(["pixels", "weights"]),
    pixel_weighted=st.booleans(),
)
def test_equals_the_reference(seed, c, ignore, share, normalize, pixel_weighted):
    logits, labels = batch(seed, c=c, size=(3, 4), ignore=ignore, share=share)
    generator = torch.Generator().manual_seed(seed)
    weights = [0.0, *torch.rand(c - 1, generator=generator).add(0.01).tolist()]
    pixel_weight = torch.rand(labels.shape, generator=generator) if pixel_weighted else None
    loss = MaskedCrossEntropyLoss(weights, normalize, ignore_index=ignore)
    found = loss(logits, labels, pixel_weight)
    expected = reference(logits, labels, weights, normalize, ignore, pixel_weight)
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_by_weights_it_is_torch(smoothing):
    logits, labels = batch()
    weights = torch.tensor([0.5, 2.0, 1.0, 0.1, 3.0])
    expected = F.cross_entropy(logits, labels, weights, ignore_index=255, label_smoothing=smoothing)
    loss = MaskedCrossEntropyLoss(weights.tolist(), "weights", smoothing)
    torch.testing.assert_close(loss(logits, labels), expected)


def test_the_scale_does_not_depend_on_how_much_is_ignored():
    logits, labels = batch(share=0.0)
    loss = MaskedCrossEntropyLoss()
    twice = torch.cat([labels, torch.full_like(labels, 255)])
    torch.testing.assert_close(loss(torch.cat([logits] * 2), twice), loss(logits, labels))


def test_an_ignored_batch_costs_nothing():
    logits, labels = batch(share=1.0)
    loss = MaskedCrossEntropyLoss([1, 2, 3, 4, 5])(logits, labels)
    assert loss == 0
    [gradient] = torch.autograd.grad(loss, logits)
    assert (gradient == 0).all()


def test_ignored_pixels_have_no_gradient():
    logits, labels = batch()
    [gradient] = torch.autograd.grad(MaskedCrossEntropyLoss()(logits, labels), logits)
    ignored = (labels == 255)[:, None].expand_as(gradient)
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).all()


def test_gradcheck():
    logits, labels = batch(size=(2, 3))
    loss = MaskedCrossEntropyLoss([1.0, 2, 0, 4, 5])
    double = logits.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), double)


def test_half_precision_logits_are_upcast():
    logits, labels = batch()
    rounded = logits.detach().bfloat16()
    found = MaskedCrossEntropyLoss()(rounded, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, MaskedCrossEntropyLoss()(rounded.float(), labels))


def test_reductions():
    logits, labels = batch()
    terms = MaskedCrossEntropyLoss(reduction="none")(logits, labels)
    assert terms.shape == labels.shape
    assert (terms[labels == 255] == 0).all()
    loss = MaskedCrossEntropyLoss()
    total = loss(logits, labels, reduction_override="sum")
    torch.testing.assert_close(total, terms.sum())
    torch.testing.assert_close(loss(logits, labels), total / (labels != 255).sum())
    torch.testing.assert_close(loss(logits, labels, avg_factor=7.0), total / 7)
    with pytest.raises(ValueError, match="avg_factor"):
        loss(logits, labels, avg_factor=7.0, reduction_override="sum")


def test_weights_from_a_file(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps([1, 2, 3, 4, 5]))
    logits, labels = batch()
    torch.testing.assert_close(
        MaskedCrossEntropyLoss(str(path))(logits, labels),
        MaskedCrossEntropyLoss([1, 2, 3, 4, 5])(logits, labels),
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"class_weight": [1, -1]}, "-1"),
        ({"class_weight": [1, float("nan")]}, "nan"),
        ({"normalize": "batch"}, "normalize='batch', expected one of"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"reduction": "median"}, "reduction='median'"),
    ],
)
def test_what_cannot_be_built_is_said(arguments, expected):
    with pytest.raises(InputError) as caught:
        MaskedCrossEntropyLoss(**arguments)
    assert expected in str(caught.value)


def test_a_weight_too_few_names_both_numbers():
    logits, labels = batch()
    with pytest.raises(InputError, match="4 weights for 5 classes"):
        MaskedCrossEntropyLoss([1, 2, 3, 4])(logits, labels)


def test_a_label_that_is_no_class():
    logits, labels = batch()
    labels[0, 0, 0] = 77
    with pytest.raises(InputError, match="label 77 in 1 pixels"):
        MaskedCrossEntropyLoss()(logits, labels)
    loss = MaskedCrossEntropyLoss(check_labels=False)(logits, labels)
    assert loss.isnan()
    [gradient] = torch.autograd.grad(loss, logits)
    assert gradient.isfinite().all()
    assert (gradient[0, :, 0, 0] == 0).all()
