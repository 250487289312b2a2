"""Losses of heads against those that mmsegmentation computes."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.losses import accuracy
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_heritage.models.segmentors.head_losses import head_losses, pixel_accuracy

CROSS_ENTROPY = {"type": "mmseg.CrossEntropyLoss", "loss_weight": 0.7}
LOSSES = {
    "one": CROSS_ENTROPY,
    "two of one name": [CROSS_ENTROPY, {**CROSS_ENTROPY, "loss_weight": 0.2}],
    "several": [CROSS_ENTROPY, {"type": "mmseg.ClassWeightedDiceLoss", "class_weight": [1, 2, 3]}],
}


def build(losses, **options):
    return MODELS.build(
        {"type": "mmseg.FCNHead", "in_channels": 5, "channels": 4, "num_convs": 1,
         "num_classes": 3, "dropout_ratio": 0, "loss_decode": losses, **options}
    )  # fmt: skip


def samples(number=2, size=(13, 17)):
    labels = np.random.default_rng(0).choice([0, 1, 2, 255], (number, 1, *size))
    return [SegDataSample(gt_sem_seg=PixelData(data=torch.from_numpy(one))) for one in labels]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("sampler", [None, {"type": "mmseg.OHEMPixelSampler", "thresh": 0.7}])
def test_losses_and_gradients_equal_those_of_mmsegmentation(name, sampler):
    torch.manual_seed(0)
    head = build(LOSSES[name], sampler=sampler)
    maps = [torch.randn(2, 5, 7, 9)]
    results = []
    for mine in (True, False):
        head.zero_grad()
        found = head_losses(head, maps, samples(), {}, True) if mine else head.loss(
            maps, samples(), {}
        )  # fmt: skip
        sum(v for k, v in found.items() if "loss" in k).backward()
        results.append((found, [p.grad.clone() for p in head.parameters() if p.grad is not None]))
    (found, gradients), (expected, expected_gradients) = results
    assert set(found) == set(expected)
    assert all(torch.allclose(found[key], expected[key], atol=1e-5) for key in expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected if key != "acc_seg")
    assert all(map(torch.equal, gradients, expected_gradients))


def test_accuracy_is_left_out_where_it_was_not_asked_for():
    found = head_losses(build(CROSS_ENTROPY), [torch.randn(2, 5, 7, 9)], samples(), {}, False)
    assert set(found) == {"loss_ce"}


def test_a_head_with_losses_of_its_own_computes_them():
    head = build(CROSS_ENTROPY)
    own = type("Own", (type(head),), {"loss_by_feat": lambda *_: {"loss_own": torch.ones(1)}})
    head.__class__ = own
    assert set(head_losses(head, [torch.randn(2, 5, 7, 9)], samples(), {}, True)) == {"loss_own"}


def test_accuracy_equals_that_of_mmsegmentation():
    scores = torch.randn(3, 6, 20, 30, generator=torch.Generator().manual_seed(0))
    labels = torch.from_numpy(np.random.default_rng(0).choice([*range(6), 255], (3, 20, 30)))
    expected = accuracy(scores, labels, ignore_index=255)
    assert torch.allclose(pixel_accuracy(scores, labels, 255), expected)
    assert pixel_accuracy(scores, torch.full_like(labels, 255), 255) == 0
    one = scores[:, :1]
    share = ((one[:, 0] > 0) == (labels == 1))[labels != 255].float().mean()
    assert torch.allclose(pixel_accuracy(one, labels, 255), 100 * share)
