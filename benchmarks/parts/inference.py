"""Windows of ours beside the sliding windows of mmsegmentation."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from paired import Part

from parts.training import HEAD, HEAD_TYPES, MIT_B0, PREPROCESSOR

WINDOW, STRIDE = 512, 384


def windows_1500(small: bool) -> Part:
    """The same network and windows on an image of 1500 px."""
    return _part(600 if small else 1500, 1.5, None)


def windows_8000(small: bool) -> Part:
    """Memory at 8000 px; mmsegmentation takes many minutes for it."""
    return _part(900 if small else 8000, None, 10)


def accumulation_3000(small: bool) -> Part:
    """Adding up what windows gave, alone: the network gives the same scores at once."""
    from mmseg_heritage.inference.sources import TensorSource
    from mmseg_heritage.inference.windows import WindowRows

    side = 900 if small else 3000
    stock = segmentors()["mmseg slide"]
    image = torch.zeros(1, 3, side, side)
    scores = {stride: torch.rand(1, 16, 1, 1).expand(1, 16, WINDOW // stride, WINDOW // stride)
              for stride in (1, 4)}  # fmt: skip
    scores = {stride: part.contiguous() for stride, part in scores.items()}
    stock.encode_decode = lambda inputs, metas: scores[1]

    def ours(stride: int) -> torch.Tensor:
        rows = WindowRows(
            TensorSource(image[0]), lambda parts, size: scores[stride], WINDOW,
            1 - STRIDE / WINDOW, 32, 1,
        )  # fmt: skip
        rows.begin()
        for start in range(0, side // stride, 64):
            found = rows.rows(start, min(start + 64, side // stride))
        return found[:, -1, -1]

    def stocks() -> torch.Tensor:
        return stock.slide_inference(image, [{"ori_shape": (side, side)}])[0, :, -1, -1]

    def check() -> str:
        for stride in scores:
            torch.testing.assert_close(ours(stride), scores[stride][0, :, 0, 0])
        torch.testing.assert_close(stocks(), scores[1][0, :, 0, 0])
        return "the average of equal scores is that score, in both"

    return Part(
        f"Adding up windows of {WINDOW} px over {side} x {side} px",
        {"ours, scores at stride 4 as the head gives them": lambda: ours(4),
         "mmseg slide, which resizes them first": stocks,
         "ours, scores at stride 1": lambda: ours(1)},
        check, 1, 100,
    )  # fmt: skip


def _part(side: int, time_goal: float | None, memory_goal: float | None) -> Part:
    models = segmentors()
    image = picture(side)

    def check() -> str:
        part = picture(700)
        one, other = (predicted(model, part) for model in models.values())
        share = (one.long() == other.long()).float().mean().item()
        return f"the same class at {100 * share:.1f} % of 700 x 700 px (mmseg stretches its maps)"

    return Part(
        f"{side} x {side} px in windows of {WINDOW} px, SegFormer-B0",
        {name: lambda name=name: predicted(models[name], image) for name in models},
        check, 1, time_goal, memory_goal,
    )  # fmt: skip


def segmentors() -> dict[str, torch.nn.Module]:
    """Returns ours and mmsegmentation's with the same weights."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    torch.manual_seed(0)
    common = {"data_preprocessor": {"type": "SegDataPreProcessor", **PREPROCESSOR},
              "backbone": MIT_B0}  # fmt: skip
    stock_head, our_head = ({**HEAD, "type": name, "channels": 64} for name in HEAD_TYPES)
    ours = MODELS.build(ConfigDict(
        type="HeritageEncoderDecoder", decode_head=our_head, **common,
        inference={"crop": WINDOW, "overlap": 1 - STRIDE / WINDOW}))  # fmt: skip
    stock = MODELS.build(ConfigDict(
        type="EncoderDecoder", decode_head=stock_head, **common,
        test_cfg={"mode": "slide", "crop_size": (WINDOW, WINDOW), "stride": (STRIDE, STRIDE)},
    ))  # fmt: skip
    stock.load_state_dict(ours.state_dict())
    return {"ours": ours.eval(), "mmseg slide": stock.eval()}


def predicted(model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Returns the map of an image, (H, W)."""
    from mmseg.structures import SegDataSample

    size = tuple(image.shape[1:])
    sample = SegDataSample(metainfo={"ori_shape": size, "img_shape": size, "pad_shape": size})
    with torch.inference_mode():
        [found] = model.test_step({"inputs": [image], "data_samples": [sample]})
    ids: torch.Tensor = found.pred_sem_seg.data[0]
    return ids


def picture(side: int) -> torch.Tensor:
    """Returns an image of smooth shapes, uint8 (3, side, side)."""
    cells = max(side // 40, 2)
    small = np.random.default_rng(0).integers(0, 256, (cells, cells, 3), np.uint8)
    image = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()
