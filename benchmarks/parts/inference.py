"""Windows of ours beside the sliding windows of mmsegmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    from mmseg_heritage.inference.windows import taper

    side = 900 if small else 3000
    stock = segmentors()["mmseg slide"]
    scores = {step: torch.rand(16, WINDOW // step, WINDOW // step) for step in (1, 4)}
    stock.encode_decode = lambda inputs, metas: scores[1][None]
    image, checked = torch.zeros(3, side, side), torch.zeros(3, 900, 900)

    def stocks(image: torch.Tensor) -> torch.Tensor:
        return stock.slide_inference(image[None], [{"ori_shape": image.shape[1:]}])[0]

    def check() -> str:
        for step, part in scores.items():
            line = torch.from_numpy(taper(WINDOW // step))
            found = torch.cat(list(_added_up(checked, part)), 1)
            expected = _average([0, 384 // step, 416 // step], part, line[:, None] * line)
            torch.testing.assert_close(found, expected)
        expected = _average([0, 384, 388], scores[1], torch.ones(WINDOW, WINDOW))
        torch.testing.assert_close(stocks(checked), expected)
        return "the averages of scores, ours weighted, are those of a plain loop, in both"

    return Part(
        f"Adding up windows of {WINDOW} px over {side} x {side} px, the network left out",
        {"ours, scores at stride 4, as its head gives them": lambda: _dropped(image, scores[4]),
         "mmseg slide, scores at full size": lambda: stocks(image),
         "ours, scores at full size": lambda: _dropped(image, scores[1])},
        check, 1, 100,
    )  # fmt: skip


def _added_up(image: torch.Tensor, scores: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yields the rows of an image whose windows all have the same scores, (K, w, w)."""
    from mmseg_heritage.inference.sources import TensorSource
    from mmseg_heritage.inference.windows import WindowRows

    rows = WindowRows(
        TensorSource(image), lambda parts, size: scores[None], WINDOW,
        1 - STRIDE / WINDOW, 32, 1,
    )  # fmt: skip
    length = -(-image.shape[2] // 32) * 32 * scores.shape[1] // WINDOW
    for start in range(0, length, 64):
        yield rows.rows(start, min(start + 64, length))


def _dropped(image: torch.Tensor, scores: torch.Tensor) -> None:
    """Goes through the rows, and holds none for longer than its turn."""
    for _ in _added_up(image, scores):
        pass


def _average(starts: Sequence[int], scores: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns what windows at these rows and columns average to, by a plain loop."""
    length = starts[-1] + len(weights)
    total, mass = torch.zeros(len(scores), length, length), torch.zeros(length, length)
    for top in starts:
        for left in starts:
            window = (slice(top, top + len(weights)), slice(left, left + len(weights)))
            total[(slice(None), *window)] += scores * weights
            mass[window] += weights
    return total / mass


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
