"""The rule of all losses for logits that are not finite, and for batches without any weight."""

import math

import pytest
import torch

from mmseg_heritage.models.losses import (
    ClassWeightedDiceLoss,
    GeneralizedDiceLoss,
    MaskedCrossEntropyLoss,
    MulticlassFocalLoss,
)

WEIGHTS = [1.0, 2, 0.5, 4]
LOSSES = [
    ClassWeightedDiceLoss(WEIGHTS),
    ClassWeightedDiceLoss(absent="zero", smooth=0.0),
    ClassWeightedDiceLoss(absent="penalize"),
    GeneralizedDiceLoss(WEIGHTS),
    MaskedCrossEntropyLoss(WEIGHTS, "weights"),
    MaskedCrossEntropyLoss(label_smoothing=0.1),
    MulticlassFocalLoss(class_weight=WEIGHTS),
    MulticlassFocalLoss(gamma=0.5),
]


def name_of(value):
    return type(value).__name__ if isinstance(value, torch.nn.Module) else str(value)


def batch():
    """Logits, labels of which classes 1 and 2 occur, and a pixel weight that is sometimes 0."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, generator=generator)
    labels = torch.randint(1, 3, (2, 5, 6), generator=generator)
    labels[:, 0] = 255
    weight = torch.rand(labels.shape, generator=generator)
    weight[:, :, 0] = 0
    return logits, labels, weight


def value_and_gradient(loss, logits, labels, weight, **options):
    logits = logits.detach().requires_grad_()
    value = loss(logits, labels, weight, **options)
    return value, torch.autograd.grad(value.sum(), logits)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_logits_of_pixels_without_a_part_change_nothing(loss, bad, dtype):
    logits, labels, weight = batch()
    logits = logits.to(dtype)
    part = (labels != 255) & (weight != 0)
    for reduction in ("mean", "sum", "none"):
        options = {"reduction_override": reduction}
        for classes in (slice(None), slice(1, 2)):  # the whole pixel, or the score of one class
            spoiled = logits.clone()
            spoiled[:, classes] = logits[:, classes].masked_fill(~part[:, None], bad)
            expected = value_and_gradient(loss, logits, labels, weight, **options)
            found = value_and_gradient(loss, spoiled, labels, weight, **options)
            assert expected[0].isfinite().all()
            for ours, wanted in zip(found, expected, strict=True):
                assert torch.equal(ours, wanted)


@pytest.mark.parametrize("label", [1, 2])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_nan_at_a_labeled_pixel_makes_the_loss_nan(loss, label):
    logits, labels, weight = batch()
    n, y, x = ((labels == label) & (weight > 0)).nonzero()[0].tolist()
    for classes in (slice(None), slice(3, 4)):
        spoiled = logits.clone()
        spoiled[n, classes, y, x] = math.nan
        for pixel_weight in (None, weight):
            assert loss(spoiled, labels, pixel_weight).isnan()


@pytest.mark.parametrize(
    "loss",
    [
        ClassWeightedDiceLoss([1.0, 0, 0, 1]),
        GeneralizedDiceLoss([1.0, 0, 0, 1]),
        MaskedCrossEntropyLoss([1.0, 0, 0, 1], "weights"),
        MaskedCrossEntropyLoss([1.0, 0, 0, 1], "weights", label_smoothing=0.1),
        MulticlassFocalLoss(class_weight=[1.0, 0, 0, 1], normalize="weights"),
    ],
    ids=name_of,
)
def test_a_batch_of_nothing_but_classes_of_weight_0_costs_nothing(loss):
    logits, labels, weight = batch()
    for pixel_weight in (None, weight):
        value, gradient = value_and_gradient(loss, logits, labels, pixel_weight)
        assert value == 0
        assert (gradient == 0).all()
    assert loss(logits.fill_(math.nan), labels).isnan()
