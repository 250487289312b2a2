"""Make or check split manifests: hold-out, k-fold, leave one material or content out."""

from __future__ import annotations

import argparse

from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/artefact", help="default: %(default)s")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the manifests (default: splits/ in the data root)"
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        metavar="KIND",
        help="holdout, kfold, leave-one-material-out, leave-one-content-out (default: all)",
    )
    parser.add_argument(
        "--percent",
        nargs="+",
        type=float,
        default=[70, 15, 15],
        metavar="N",
        help="train, val and test of the hold-out split (default: 70 15 15)",
    )
    parser.add_argument("--folds", type=int, default=5, help="of k-fold (default: %(default)s)")
    parser.add_argument(
        "--val-percent",
        type=float,
        default=15,
        help="of what a fold does not test, to choose the model (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--max-distance",
        type=int,
        metavar="BITS",
        help="near-duplicates differ in at most so many of 63 bits (default: 12; "
        "-1 does not look for any)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="make nothing; prove that the manifests in the folder are disjoint and complete, "
        "and print what their parts hold",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier splits")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.dataprep.splits.split_check import check_split_files
    from mmseg_heritage.dataprep.splits.split_files import KINDS, MAX_DISTANCE, make_split_files

    if args.check:
        tables = check_split_files(args.data_root, args.out, progress_bar)
        for path, table in tables.items():
            print(f"{path}\n{table}")
        manifests = counted(len(tables), "manifest")
        print(f"{manifests}: sound, no part overlaps another, nothing is missing")
        return
    distance = MAX_DISTANCE if args.max_distance is None else args.max_distance
    paths = make_split_files(
        args.data_root,
        args.out,
        KINDS if args.kinds is None else args.kinds,
        shares=[percent / 100 for percent in args.percent],
        folds=args.folds,
        val_share=args.val_percent / 100,
        seed=args.seed,
        max_distance=None if distance < 0 else distance,
        overwrite=args.overwrite,
        bar=progress_bar,
    )
    print("\n".join(map(str, paths)))
