"""ClassWeightedDiceLoss beside the Dice losses of mmsegmentation and SMP."""

from __future__ import annotations

import torch
from paired import Part

IGNORE = 255


def dice(small: bool) -> Part:
    """Forward and backward; a tenth of the rows is ignored."""
    import segmentation_models_pytorch as smp

    import mmseg_heritage.plugin  # noqa: F401  lets mmseg.models load with mmcv-lite

    # isort: split
    from mmseg.registry import MODELS

    from mmseg_heritage.models.losses import ClassWeightedDiceLoss

    n, classes, size = (2, 16, 128) if small else (8, 16, 384)
    weights = [1.0 + c for c in range(classes)]
    losses = {
        "ClassWeightedDiceLoss": ClassWeightedDiceLoss(weights, absent="zero"),
        "mmseg DiceLoss": MODELS.build(
            {"type": "DiceLoss", "use_sigmoid": False, "ignore_index": IGNORE}
        ),
        "SMP DiceLoss": smp.losses.DiceLoss(
            "multiclass", smooth=0.5, ignore_index=IGNORE, class_weights=weights
        ),
    }
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, classes, size, size, generator=generator, requires_grad=True)
    labels = torch.randint(0, classes, (n, size, size), generator=generator)
    labels[:, : size // 10] = IGNORE

    def step(name: str) -> torch.Tensor:
        logits.grad = None
        value: torch.Tensor = losses[name](logits, labels)
        value.backward()
        return value.detach()

    def check() -> str:
        ours, smps = step("ClassWeightedDiceLoss"), step("SMP DiceLoss")
        torch.testing.assert_close(ours, smps, rtol=1e-4, atol=1e-5)
        return "ours equals SMP's within 1e-4; mmseg's is another function"

    return Part(
        f"Dice loss, forward and backward, {n} x {classes} x {size} x {size}",
        {name: lambda name=name: step(name) for name in losses}, check, 1, 7, 6,
    )  # fmt: skip
