"""The losses as mmsegmentation builds and calls them."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmseg_heritage.plugin  # noqa: F401  registers, and lets mmseg.models load with mmcv-lite
from mmseg_heritage.models.losses import ClassWeightedDiceLoss


def test_builds_from_the_registry():
    loss = MODELS.build({"type": "ClassWeightedDiceLoss", "class_weight": [1, 2], "smooth": 0.5})
    assert isinstance(loss, ClassWeightedDiceLoss)
    assert loss.loss_name == "loss_dice"
    assert ClassWeightedDiceLoss(loss_name="loss_damage").loss_name == "loss_damage"


@pytest.mark.parametrize("sampler", [None, {"type": "OHEMPixelSampler", "thresh": 0.7}])
def test_trains_in_a_decode_head(sampler):
    # Two losses of one name: mmsegmentation adds the second to the first in place.
    losses = [{"type": "ClassWeightedDiceLoss", "class_weight": [1, 2, 3]}] * 2
    if sampler:
        sampler = {**sampler, "min_kept": 20}
        losses = [{"type": "CrossEntropyLoss"}, losses[0]]
    head = MODELS.build(
        {
            "type": "FCNHead",
            "in_channels": 4,
            "channels": 4,
            "num_convs": 1,
            "num_classes": 3,
            "ignore_index": -7,
            "norm_cfg": None,
            "loss_decode": losses,
            "sampler": sampler,
        }
    )
    generator = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(2):
        label = torch.randint(0, 3, (1, 16, 16), generator=generator)
        label[:, :3] = -7
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    features = [torch.randn(2, 4, 8, 8, generator=generator)]
    logged = head.loss(features, samples, train_cfg={})
    assert logged["loss_dice"].dim() == 0
    logged["loss_dice"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize(
    ("second", "name"), [("MulticlassFocalLoss", "focal"), ("MaskedCrossEntropyLoss", "ce")]
)
def test_sums_are_lists_of_losses(second, name):
    configs = [
        {"type": "ClassWeightedDiceLoss", "class_weight": [1, 2, 3], "loss_weight": 0.7},
        {"type": second, "class_weight": [1, 2, 3], "loss_weight": 0.3},
    ]
    head = MODELS.build(
        {"type": "FCNHead", "in_channels": 4, "channels": 4, "num_convs": 0, "concat_input": False,
         "num_classes": 3, "dropout_ratio": 0, "loss_decode": configs}
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 3, (1, 8, 8), generator=generator)
    label[:, :2] = 255
    features = [torch.randn(1, 4, 8, 8, generator=generator)]
    logged = head.loss(features, [SegDataSample(gt_sem_seg=PixelData(data=label))], train_cfg={})
    scores = head(features)
    for config, key in zip(configs, ("loss_dice", f"loss_{name}"), strict=True):
        torch.testing.assert_close(logged[key], MODELS.build(config)(scores, label))
