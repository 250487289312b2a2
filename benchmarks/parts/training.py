"""Parts of a training iteration, and the whole, beside mmsegmentation's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from paired import Part
from torch import Tensor

CLASSES = 16
MIT_B0 = {"type": "MixVisionTransformer", "embed_dims": 32, "num_layers": [2, 2, 2, 2],
          "num_heads": [1, 2, 5, 8]}  # fmt: skip
HEAD_TYPES = ("SegformerHead", "HeritageSegformerHead")  # mmsegmentation's, ours
HEAD = {"in_channels": [32, 64, 160, 256], "in_index": [0, 1, 2, 3],
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
    """Preprocessing, losses, backward and step of SegFormer-B0 at 256 px, beside mmsegmentation."""
    stock = _segmentor({
        "type": "EncoderDecoder", "data_preprocessor": {"type": "SegDataPreProcessor"},
        "loss_decode": {"type": "DiceLoss", "use_sigmoid": False}, "test_cfg": {"mode": "whole"},
    })  # fmt: skip
    ours = _ours()
    stock.load_state_dict(ours.state_dict())
    models = {"ours": ours, "mmseg": stock}
    size, number = (64, 2) if small else (256, 8)
    batches = _batches(number, size)

    def check() -> str:
        scores = []
        for name, model in models.items():
            model.eval()
            prepared = model.data_preprocessor(dict(batches[name]), True)
            with torch.no_grad():
                scores.append(model(prepared["inputs"]))
            model.train()
        torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-3)
        return "the same scores within 1e-3; the Dice losses are different functions"

    return Part(
        f"A training iteration of SegFormer-B0, {number} x {size} px, float32, a batch in memory",
        {name: _step(model, _loss_of(model, batches[name])) for name, model in models.items()},
        check, 1, 1.3,
    )  # fmt: skip


def iteration_smp(small: bool) -> Part:
    """The same beside a plain loop over SMP's SegFormer, with images that are ready in memory."""
    from segmentation_models_pytorch import Segformer
    from segmentation_models_pytorch.losses import DiceLoss

    size, number = (64, 2) if small else (256, 8)
    ours, plain = _ours(), Segformer("mit_b0", encoder_weights=None, classes=CLASSES).train()
    loss = DiceLoss("multiclass", ignore_index=255)
    images = torch.randn(number, 3, size, size)
    labels = torch.randint(0, CLASSES, (number, size, size))

    def check() -> str:
        sizes = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (ours, plain)]
        assert abs(sizes[0] / sizes[1] - 1) < 0.05, sizes
        return f"{sizes[0]:.2f} and {sizes[1]:.2f} million parameters"

    return Part(
        f"A training iteration of SegFormer-B0, {number} x {size} px, float32, beside a plain loop",
        {"ours": _step(ours, _loss_of(ours, _batches(number, size)["ours"])),
         "SMP, data left out": _step(plain, lambda: loss(plain(images), labels))},
        check, 1, 1.2,
    )  # fmt: skip


def _ours() -> torch.nn.Module:
    return _segmentor({
        "type": "HeritageEncoderDecoder", "data_preprocessor": {"type": "HeritageDataPreProcessor"},
        "loss_decode": {"type": "ClassWeightedDiceLoss"},
    })  # fmt: skip


def _segmentor(options: dict[str, Any]) -> torch.nn.Module:
    """Builds a SegFormer-B0 for training."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    torch.manual_seed(0)
    is_ours = options["type"].startswith("Heritage")
    head = {**HEAD, "loss_decode": options.pop("loss_decode"), "type": HEAD_TYPES[is_ours]}
    options["data_preprocessor"].update(PREPROCESSOR)
    model: torch.nn.Module = MODELS.build(ConfigDict(backbone=MIT_B0, decode_head=head, **options))
    return model.train()


def _loss_of(model: torch.nn.Module, batch: dict[str, Any]) -> Callable[[], Tensor]:
    """Returns a function that gives the loss of a batch as workers hand it over."""

    def loss() -> Tensor:
        losses = model(**model.data_preprocessor(dict(batch), True), mode="loss")
        total: Tensor = model.parse_losses(losses)[0]
        return total

    return loss


def _step(model: torch.nn.Module, loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Returns a function that does a step of AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, foreach=True)

    def step() -> Tensor:
        total = loss()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return total.detach()

    return step


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
