"""Compares ways to apply a model to large photographs: scores by class, time and memory.

Photographs of a data set's test part are laid out as walls, so that the damage in a wall keeps the
size it has; or, with --whole, are taken as they are. Each way to predict runs in a process of its
own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WAYS = {
    "tile by tile": None,
    "native, windows": {"scales": "native"},
    "fit:1024": {"scales": "fit:1024"},
    "fit:2048": {"scales": "fit:2048"},
    "native and fit:1024": {"scales": "native,fit:1024"},
    "native and 0.5": {"scales": "native,0.5"},
    "native, mirrored": {"scales": "native", "tta": "horizontal,vertical,diagonal"},
}


def wall(images: list[np.ndarray], width: int, height: int, fill: int) -> np.ndarray:
    """Lays images out from the upper left, row by row, over and over, in cells of the largest."""
    rows, columns = (max(image.shape[axis] for image in images) for axis in (0, 1))
    result = np.full((height, width, *images[0].shape[2:]), fill, dtype=np.uint8)
    place = 0
    for top in range(0, height - rows + 1, rows):
        for left in range(0, width - columns + 1, columns):
            image = images[place % len(images)]
            result[top : top + image.shape[0], left : left + image.shape[1]] = image
            place += 1
    return result


def load(data_root: Path, split_file: str, most: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Reads images and masks of the test part."""
    from mmseg_heritage.images.masks import read_mask
    from mmseg_heritage.images.photographs import read_image

    names = json.loads((data_root / split_file).read_text())["parts"]["test"][:most]
    images = [next((data_root / "images").glob(f"{name}.*")) for name in names]
    masks = [data_root / "annotations" / f"{name}.png" for name in names]
    return [read_image(path) for path in images], [read_mask(path) for path in masks]


def measure(args: argparse.Namespace) -> None:
    """Runs one way, and prints its numbers as JSON."""
    from mmseg_heritage import Predictor
    from mmseg_heritage.cli.common import parse_options
    from mmseg_heritage.evaluation.counts.confusion import class_scores, confusion_counts
    from mmseg_heritage.evaluation.counts.skeleton import skeleton_counts, skeleton_scores
    from mmseg_heritage.images.masks import position_table

    way = WAYS[args.way]
    pairs = [f"{key}={value}" for key, value in (way or {}).items()]
    pairs += args.inference
    options = {f"inference.{key}": value for key, value in parse_options(pairs).items()}
    predictor = Predictor(args.checkpoint, cfg_options=options, device=args.device)
    images, masks = load(Path(args.data_root), args.split_file, args.tiles)
    if args.whole:
        inputs, labels = images, masks
    else:
        inputs = [wall(images, *args.size, 0)]
        labels = [wall(masks, *args.size, 255)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if way is None and not args.whole:
        maps = [wall([predictor(image).class_map for image in images], *args.size, 255)]
    else:
        maps = [predictor(image).class_map for image in inputs]
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = position_table(predictor.mask_values)
    number = len(predictor.classes)
    counts = np.zeros((number, number), dtype=np.int64)
    lines = np.zeros((number, 4), dtype=np.int64)
    for label, found in zip(labels, maps, strict=True):
        known = table[label]
        found = np.where(known == 255, 0, found)
        counts += confusion_counts(known, found, number)
        lines += skeleton_counts(known, found, number, 0)
    scores = class_scores(counts)
    by_class = {
        "iou": 100 * scores["iou"],
        "recall": 100 * scores["recall"],
        "cldice": 100 * skeleton_scores(lines)["cldice"],
        "width": counts.sum(axis=1) / np.maximum(lines[:, 2], 1),
    }
    print(
        json.dumps(
            {
                "seconds": seconds,
                "added_mib": (peak - before) / 1024,
                **{
                    key: dict(zip(predictor.classes, values.tolist(), strict=True))
                    for key, values in by_class.items()
                },
            }
        )
    )


def main() -> None:
    """Runs each way, and prints a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data_root")
    parser.add_argument("--split-file", default="splits/holdout.json")
    parser.add_argument("--size", type=int, nargs=2, default=(6000, 4000), metavar=("W", "H"))
    parser.add_argument("--tiles", type=int, default=1000, help="use at most so many images")
    parser.add_argument("--whole", action="store_true", help="the images as they are, no wall")
    parser.add_argument("--classes", nargs="+", help="print these (default: all that occur)")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    parser.add_argument("--inference", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        measure(args)
        return
    for way in args.ways:
        command = [sys.executable, *sys.argv, "--way", way]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        iou, recall = found["iou"], found["recall"]
        names = args.classes or [name for name, value in iou.items() if value == value]
        mean = float(np.mean([iou[name] for name in iou if iou[name] == iou[name]]))
        cldice, width = found["cldice"], found["width"]
        cells = [
            f"{name} ({width[name]:.0f} px) {recall[name]:.1f}/{iou[name]:.1f}/{cldice[name]:.1f}"
            for name in names
        ]
        print(
            f"{way:22} {found['seconds']:7.1f} s {found['added_mib']:7.0f} MiB  mIoU {mean:.1f}  "
            f"recall/IoU/clDice: {', '.join(cells)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
