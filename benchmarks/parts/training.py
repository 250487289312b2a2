"""Parts of a training iteration, and the whole, beside mmsegmentation's."""

from __future__ import annotations

import copy
from typing import Any

import torch
from paired import Part
from torch import Tensor

CLASSES = 16
MIT_B0 = {"type": "MixVisionTransformer", "embed_dims": 32, "num_layers": [2, 2, 2, 2]}
HEAD = {"type": "SegformerHead", "in_channels": [32, 64, 128, 256], "in_index": [0, 1, 2, 3],
        "channels": 256, "num_classes": CLASSES, "norm_cfg": {"type": "BN"}}  # fmt: skip
PREPROCESSOR = {"mean": [120.0] * 3, "std": [60.0] * 3, "bgr_to_rgb": True, "size_divisor": 32}


def accuracy(small: bool) -> Part:
    """The accuracy of a batch that the log may have."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmseg.models.losses import accuracy as stock

    from mmseg_heritage.models.segmentors.head_losses import pixel_accuracy

    size = 96 if small else 384
    scores = torch.randn(8, CLASSES, size, size)
    labels = torch.randint(0, CLASSES, (8, size, size))
    labels[:, : size // 10] = 255

    def check() -> str:
        torch.testing.assert_close(
            pixel_accuracy(scores, labels, 255), stock(scores, labels, ignore_index=255)
        )
        return "the same value"

    return Part(
        f"acc_seg of 8 x {size} px (off by default)",
        {
            "pixel_accuracy": lambda: pixel_accuracy(scores, labels, 255),
            "mmseg accuracy": lambda: stock(scores, labels, ignore_index=255),
        },
        check, 1, 10,
    )  # fmt: skip


def attention_384(small: bool) -> Part:
    """A forward and backward pass of MiT-B0 at 384 px."""
    return _attention(96 if small else 384, 1.0, 1.0)


def attention_768(small: bool) -> Part:
    """A forward and backward pass of MiT-B0 at 768 px."""
    return _attention(192 if small else 768, 1.2, 1.4)


def _attention(side: int, time_goal: float, memory_goal: float) -> Part:
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from mmseg_heritage.models.backbones.attention import without_attention_weights

    init_default_scope("mmseg")
    torch.manual_seed(0)
    stock = MODELS.build(MIT_B0)
    stock.eval()  # without the random depth, so that results can be compared
    lean = copy.deepcopy(stock)
    without_attention_weights(lean)
    image = torch.randn(1, 3, side, side)

    def step(model: torch.nn.Module) -> None:
        model.zero_grad(set_to_none=True)
        sum(feature.sum() for feature in model(image)).backward()

    def check() -> str:
        for one, other in zip(lean(image), stock(image), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
        return "the same maps within 1e-4"

    return Part(
        f"MiT-B0 at {side} px, forward and backward",
        {"without attention weights": lambda: step(lean), "mmseg": lambda: step(stock)},
        check, 1, time_goal, memory_goal,
    )  # fmt: skip


def iteration(small: bool) -> Part:
    """Preprocessing, losses, backward and step of SegFormer-B0 at 256 px."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    size, number = (64, 2) if small else (256, 8)
    torch.manual_seed(0)
    ours = MODELS.build(ConfigDict(
        type="HeritageEncoderDecoder", backbone=MIT_B0, data_preprocessor={
            "type": "HeritageDataPreProcessor", **PREPROCESSOR},
        decode_head={**HEAD, "loss_decode": {"type": "ClassWeightedDiceLoss"}}))  # fmt: skip
    stock = MODELS.build(ConfigDict(
        type="EncoderDecoder", backbone=MIT_B0, data_preprocessor={
            "type": "SegDataPreProcessor", **PREPROCESSOR},
        decode_head={**HEAD, "loss_decode": {"type": "DiceLoss", "use_sigmoid": False}},
        test_cfg={"mode": "whole"}))  # fmt: skip
    stock.load_state_dict(ours.state_dict())
    models = {"ours": ours.train(), "mmseg": stock.train()}
    optimizers = {
        name: torch.optim.AdamW(m.parameters(), 1e-5, foreach=True) for name, m in models.items()
    }
    batches = _batches(number, size)

    def step(name: str) -> Tensor:
        model, data = models[name], dict(batches[name])
        losses = model(**model.data_preprocessor(data, True), mode="loss")
        total, _ = model.parse_losses(losses)
        optimizers[name].zero_grad()
        total.backward()
        optimizers[name].step()
        return total.detach()

    def check() -> str:
        scores = []
        for name, model in models.items():
            model.eval()
            prepared = model.data_preprocessor(dict(batches[name]), True)
            with torch.no_grad():
                scores.append(model(prepared["inputs"]))
            models[name].train()
        torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-3)
        return "the same scores within 1e-3; the Dice losses are different functions"

    return Part(
        f"A training iteration of SegFormer-B0, {number} x {size} px, float32, a batch in memory",
        {name: lambda name=name: step(name) for name in models}, check, 1, 1.3,
    )  # fmt: skip


def _batches(number: int, size: int) -> dict[str, dict[str, Any]]:
    """Returns a batch as the workers hand it over, by whose collate function."""
    from mmengine.dataset import pseudo_collate
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    from mmseg_heritage.datasets import stacked_collate

    samples = []
    for i in range(number):
        label = PixelData(data=torch.randint(0, CLASSES, (1, size, size)))
        found = SegDataSample(metainfo={"img_path": f"{i}.png"}, gt_sem_seg=label)
        image = torch.randint(0, 256, (3, size, size), dtype=torch.uint8)
        samples.append({"inputs": image, "data_samples": found})
    return {"ours": stacked_collate(samples), "mmseg": pseudo_collate(samples)}
