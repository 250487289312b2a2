"""Compares exact geometry with maps that are stretched over the photograph, as in mmsegmentation.

One checkpoint, the whole photograph in one window: ours, which fills it up to whole steps of the
network, and the same network on the photograph as it is, whose scores are resized to its size.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from shared import damage_iou

from mmseg_heritage import Predictor
from mmseg_heritage.dataprep.data_folder import data_folder
from mmseg_heritage.evaluation.counts.boundary import (
    boundary_counts,
    boundary_scores,
    tolerance_pixels,
)
from mmseg_heritage.evaluation.counts.confusion import class_scores, confusion_counts
from mmseg_heritage.images.masks import position_table, read_mask
from mmseg_heritage.images.photographs import read_image


def stretched(model: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Returns the labels that mmsegmentation's resizing gives, uint8 (H, W)."""
    inputs = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)
    prepared = model.data_preprocessor({"inputs": [inputs]}, False)["inputs"]
    height, width = pixels.shape[:2]
    prepared = prepared[..., :height, :width]
    with torch.inference_mode():
        scores = model.decode_head(model.backbone(prepared))
    resized = torch.nn.functional.interpolate(scores, (height, width), mode="bilinear")
    return resized.argmax(dim=1)[0].to(torch.uint8).numpy()


def main() -> None:
    """Prints mean IoU, damage IoU and mean boundary F1 of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data_root")
    parser.add_argument("--split-file", default="", help="default: the standard division")
    parser.add_argument("--part", default="test", help="or all")
    args = parser.parse_args()
    options = {"inference.mode": "whole", "inference.scales": "native", "inference.tta": None}
    predictor = Predictor(args.checkpoint, cfg_options=options)
    number = len(predictor.classes)
    table = position_table(predictor.mask_values)
    folder = data_folder(args.data_root)
    names = None if args.part == "all" else folder.split(args.split_file).part(args.part)
    ways = {"exact": np.zeros((number, number), np.int64)}
    ways["stretched"] = ways["exact"].copy()
    edges = {way: np.zeros(0) for way in ways}
    for sample in (s for s in folder.samples if names is None or s.id in names):
        label, pixels = table[read_mask(sample.annotation)], read_image(sample.image)
        values = {"exact": predictor(sample.image).class_map,
                  "stretched": stretched(predictor.model, pixels)}  # fmt: skip
        for way, found in values.items():
            ways[way] += confusion_counts(label, found, number)
            counted = boundary_counts(label, found, number, tolerance_pixels(label.shape))
            edges[way] = edges[way] + counted if edges[way].size else counted
    for way, counts in ways.items():
        there = counts.sum(axis=1) > 0
        iou = 100 * class_scores(counts)["iou"][there]
        f1 = 100 * boundary_scores(edges[way])["f1"][there]
        print(f"{way:10} mIoU {np.nanmean(iou):.2f}  damage IoU {damage_iou(counts):.2f}  "
              f"boundary F1 {np.nanmean(f1[1:]):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
