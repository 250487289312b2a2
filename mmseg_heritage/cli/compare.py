"""Compare tested runs: scores with intervals, paired differences, size and speed."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder of a tested run, or of the folds of a family, which are pooled. LABEL=RUN "
        "gives it a name; LABEL=RUN,RUN,... are runs of one model with other seeds",
    )
    parser.add_argument(
        "--reference",
        metavar="LABEL",
        help="what the others are compared with (default: the first)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="write compare.json, .csv, .md and .tex and figures into this folder",
    )
    parser.add_argument(
        "--allow-different",
        nargs="+",
        default=[],
        metavar="WHAT",
        help="compare runs although these differ: splits, parts, images, masks, classes",
    )
    parser.add_argument(
        "--resamples", type=int, metavar="N", help="of the bootstrap (default: 2000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier comparison")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.apis.comparing import compare
    from mmseg_heritage.evaluation.comparing.bootstrap import RESAMPLES
    from mmseg_heritage.evaluation.comparing.comparison_tables import comparison_tables

    content = compare(
        args.runs,
        reference=args.reference,
        out=args.out,
        allow_different=args.allow_different,
        resamples=RESAMPLES if args.resamples is None else args.resamples,
        seed=args.seed,
        overwrite=args.overwrite,
    )
    print("\n\n".join(table.terminal() for table in comparison_tables(content)))
    if args.out is not None:
        print(f"\ntables and figures: {args.out}")
