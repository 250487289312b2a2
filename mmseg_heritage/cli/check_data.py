"""Report every fault of a data set, and count its classes, materials and contents."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit code: 0 sound, 1 faults found, 2 not a data set or wrong arguments. "
        "A photograph may have 250 megapixels; MMSEG_HERITAGE_MAX_MEGAPIXELS allows another number."
    )
    parser.add_argument("--data-root", default="data/artefact", help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the whole report to this file")
    parser.add_argument("--strict", action="store_true", help="warnings count as faults")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="photographs decoded at a time (default: the cores, at most 8)",
    )
    parser.add_argument(
        "--max-distance",
        type=int,
        metavar="BITS",
        help="near-duplicates differ in at most so many of 63 bits (default: 12; "
        "-1 does not look for any)",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="decode also the files that an earlier check found sound and whose size and time are "
        "unchanged",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")


def run(args: argparse.Namespace) -> int:
    from mmseg_heritage.dataprep.checks.duplicates import MAX_DISTANCE
    from mmseg_heritage.dataprep.checks.folder_check import check_folder
    from mmseg_heritage.dataprep.checks.folder_report import report_json, report_text
    from mmseg_heritage.utils.files import write_json

    # Before the work: a data set can take many minutes.
    if args.json is not None and Path(args.json).exists() and not args.overwrite:
        raise InputError(f"{args.json}: already there; add --overwrite to replace it")
    distance = MAX_DISTANCE if args.max_distance is None else args.max_distance
    report = check_folder(
        args.data_root,
        max_distance=None if distance < 0 else distance,
        workers=args.workers,
        full=args.full,
        bar=progress_bar,
    )
    print(report_text(report, args.strict))
    if args.json is not None:
        try:
            write_json(args.json, report_json(report, args.strict))
        except OSError as error:
            raise InputError(f"{args.json}: cannot be written ({error.strerror})") from error
    return 0 if report.passed(args.strict) else 1
