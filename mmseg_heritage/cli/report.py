"""Write one HTML file on a tested run, or on several runs beside each other."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder of a tested run, or of the folds of a family, as for compare: LABEL=RUN gives "
        "it a name; LABEL=RUN,RUN,... are runs of one model with other seeds",
    )
    parser.add_argument("--out", required=True, metavar="FILE.html", help="file to write")
    parser.add_argument(
        "--pictures",
        nargs="+",
        default=[],
        metavar="DIR",
        help="of each run the folder that test --show-dir filled, in the order of the runs "
        "(default: no pictures)",
    )
    parser.add_argument(
        "--reference",
        metavar="LABEL",
        help="what the others are compared with (default: the first)",
    )
    parser.add_argument(
        "--allow-different",
        nargs="+",
        default=[],
        metavar="WHAT",
        help="compare runs although these differ: splits, parts, images, masks, classes",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.apis.reporting import report

    notes = report(
        args.runs,
        args.out,
        pictures=args.pictures,
        reference=args.reference,
        allow_different=args.allow_different,
        overwrite=args.overwrite,
    )
    for note in notes:
        print(f"note: {note}")
    print(f"report: {args.out}")
