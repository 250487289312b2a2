"""Measures what a checkpoint gains from a few corrected photographs.

Of a data folder some source objects are held out; from the others photographs are drawn for each
seed, the checkpoint learns from them as `mmseg-heritage learn` does, and predicts those held out.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
from shared import damage_iou

from mmseg_heritage import Predictor
from mmseg_heritage.apis import learn
from mmseg_heritage.dataprep.data_folder import data_folder
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import split_units
from mmseg_heritage.evaluation.counts.confusion import class_scores, confusion_counts
from mmseg_heritage.images.masks import position_table, read_mask
from mmseg_heritage.runs.learning_config import Recipe


def drawn(data_root: str, held_out: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Divides a data folder into photographs held out, and others in the order of a seed."""
    units = [list(unit) for unit in split_units(data_folder(data_root).samples)]
    random.Random(0).shuffle(units)
    random.Random(seed).shuffle(rest := units[held_out:])
    flat = itertools.chain.from_iterable
    return list(flat(units[:held_out])), list(flat(rest))


def scores(checkpoint: str | Path, samples: list[Sample]) -> dict[str, float]:
    """Returns damage IoU, mean IoU of the classes that are labeled, and their IoU, in percent."""
    predictor = Predictor(checkpoint)
    number = len(predictor.classes)
    table = position_table(predictor.mask_values)
    counts = np.zeros((number, number), dtype=np.int64)
    for sample in samples:
        found = predictor(sample.image).class_map
        counts += confusion_counts(table[read_mask(sample.annotation)], found, number)
    iou = 100 * class_scores(counts)["iou"]
    there = counts.sum(axis=1) > 0
    classes = {name: iou[i] for i, name in enumerate(predictor.classes) if there[i] and i}
    return {"damage": damage_iou(counts), "mIoU": iou[there].mean(), **classes}


def copied(samples: list[Sample], folder: Path) -> Path:
    """Copies photographs and masks into a data folder of their own."""
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    for sample in samples:
        shutil.copy(sample.image, folder / "images")
        shutil.copy(sample.annotation, folder / "annotations")
    return folder


def line(title: str, found: dict[str, float]) -> str:
    """Returns a line of scores."""
    return f"{title:24} " + "  ".join(f"{name} {value:.1f}" for name, value in found.items())


def main() -> None:
    """Prints scores before, and after learning from each number of photographs with each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data_root")
    parser.add_argument("--held-out", type=int, default=20, metavar="N", help="source objects")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 3, 5, 10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--tune", default=Recipe.tune)
    args = parser.parse_args()
    held_out, _ = drawn(args.data_root, args.held_out, 0)
    print(line(f"before ({len(held_out)} held out)", scores(args.checkpoint, held_out)), flush=True)
    for number in args.images:
        every = []
        for seed in args.seeds:
            _, rest = drawn(args.data_root, args.held_out, seed)
            with tempfile.TemporaryDirectory() as place:
                folder = copied(rest[:number], Path(place, "corrected"))
                recipe = Recipe(steps=args.steps, tune=args.tune, seed=seed)
                made = learn(
                    args.checkpoint, folder, Path(place, "new"), estimate="none", recipe=recipe
                )
                every.append(scores(made.checkpoint, held_out))
            print(line(f"{number} images, seed {seed}", every[-1]), flush=True)
        mean = {name: float(np.mean([one[name] for one in every])) for name in every[0]}
        print(line(f"{number} images, mean", mean), flush=True)


if __name__ == "__main__":
    main()
