"""Windows of ours against the sliding windows of mmsegmentation: time, memory, and the same maps.

One network (SegFormer with MiT-B0, random weights), the same windows. Each candidate runs in a
process of its own for memory; for time both run in turn in one process, whose order is reversed in
every other round.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

CANDIDATES = ("ours", "mmseg")


def build(window: int, stride: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Returns our segmentor and mmsegmentation's, with the same weights."""
    import mmseg_heritage.plugin  # noqa: F401

    # isort: split
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    preprocessor = {"type": "SegDataPreProcessor", "mean": [120.0] * 3, "std": [60.0] * 3}
    backbone = {"type": "MixVisionTransformer", "embed_dims": 32, "num_layers": [2, 2, 2, 2]}
    head = {"type": "SegformerHead", "in_channels": [32, 64, 128, 256], "in_index": [0, 1, 2, 3],
            "channels": 64, "num_classes": 16, "norm_cfg": {"type": "BN"}}  # fmt: skip
    torch.manual_seed(0)
    ours = MODELS.build(
        ConfigDict(
            type="HeritageEncoderDecoder", data_preprocessor=preprocessor, backbone=backbone,
            decode_head=head, inference={"crop": window, "overlap": 1 - stride / window},
        )
    )  # fmt: skip
    test_cfg = {"mode": "slide", "crop_size": (window, window), "stride": (stride, stride)}
    theirs = MODELS.build(
        ConfigDict(
            type="EncoderDecoder", data_preprocessor=preprocessor, backbone=backbone,
            decode_head=head, test_cfg=test_cfg,
        )
    )  # fmt: skip
    theirs.load_state_dict(ours.state_dict())
    return ours.eval(), theirs.eval()


def predict(model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Returns the map of an image, (H, W)."""
    from mmseg.structures import SegDataSample

    size = tuple(image.shape[1:])
    sample = SegDataSample(metainfo={"ori_shape": size, "img_shape": size, "pad_shape": size})
    with torch.inference_mode():
        [found] = model.test_step({"inputs": [image], "data_samples": [sample]})
    return found.pred_sem_seg.data[0]


def picture(side: int) -> torch.Tensor:
    """Returns an image of smooth shapes and noise, uint8 (3, side, side)."""
    generator = np.random.default_rng(0)
    small = torch.from_numpy(generator.random((1, 3, max(side // 40, 2), max(side // 40, 2))))
    image = torch.nn.functional.interpolate(small.float(), (side, side), mode="bicubic")[0]
    return (image * 255).clamp(0, 255).to(torch.uint8)


def peak(candidate: str, side: int, window: int, stride: int) -> None:
    """Prints how far one prediction raises the peak of memory, in MiB."""
    model = build(window, stride)[CANDIDATES.index(candidate)]
    image = picture(side)
    predict(model, image[:, :window, :window])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    predict(model, image)
    seconds = time.perf_counter() - start
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"mib": (now - before) / 1024, "seconds": seconds}))


def main() -> None:
    """Measures, and prints two lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1500, help="of the image for time, px")
    parser.add_argument("--large", type=int, default=8000, help="of the image for memory; 0: none")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--stride", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", choices=CANDIDATES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        peak(args.peak, args.large, args.window, args.stride)
        return
    torch.set_num_threads(1)
    ours, theirs = build(args.window, args.stride)
    image = picture(args.side)
    maps = [predict(model, image) for model in (ours, theirs)]
    same = (maps[0].long() == maps[1].long()).float().mean().item()
    ratios = []
    for number in range(args.rounds):
        taken = {}
        for name, model in [("ours", ours), ("mmseg", theirs)][:: -1 if number % 2 else 1]:
            start = time.process_time()
            predict(model, image)
            taken[name] = time.process_time() - start
        ratios.append(taken["mmseg"] / taken["ours"])
    print(
        f"{args.side} px, one thread: mmseg / ours {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}..{max(ratios):.2f}) in time; the same class at {100 * same:.2f} %"
    )
    if args.large:
        found = {}
        for name in CANDIDATES:
            command = [sys.executable, *sys.argv, "--peak", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found[name] = json.loads(done.stdout.splitlines()[-1]) if not done.returncode else None
        print(f"{args.large} px, memory in MiB and seconds: {found}")


if __name__ == "__main__":
    main()
