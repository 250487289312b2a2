"""Generate a small data set of damaged artworks."""

from __future__ import annotations

import argparse

from mmseg_heritage.utils.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", default="data/sample", help="folder to make (default: %(default)s)"
    )
    parser.add_argument("--num-images", type=int, default=48, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=256, help="long edge in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.sample_set import make_sample_set

    with progress_bar("drawing the sample set") as report:
        folder = make_sample_set(args.out, args.num_images, args.size, args.seed, report)
    print(f"sample set: {folder}")
