"""Write condition records of predicted photographs: documents to print, complete and sign."""

from __future__ import annotations

import argparse

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "predictions", metavar="FOLDER", help="folder that predict or apply-review wrote"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--legend",
        metavar="FILE",
        help="names, colors, hatches and symbols of the classes, and words of the record, in any "
        "language; with the package comes: spanish",
    )
    parser.add_argument(
        "--object",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL=TEXT",
        help="what is known of the object, e.g. Object='Altar of St. Anne' 'Inventory number'=123",
    )
    parser.add_argument(
        "--one-object",
        action="store_true",
        help="all photographs are of one object: one record of all (default: one of each)",
    )
    parser.add_argument(
        "--format",
        nargs="+",
        default=["html"],
        metavar="FORMAT",
        help="html, docx, or both; docx needs python-docx (default: html)",
    )
    parser.add_argument(
        "--details",
        type=int,
        default=6,
        metavar="N",
        help="regions of a photograph that are shown enlarged (default: 6)",
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="folder of the photographs, if they have been moved"
    )


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.apis.condition.condition_records import condition_record

    wrong = [f"'{pair}'" for pair in args.object if "=" not in pair]
    if wrong:
        raise InputError("--object takes LABEL=TEXT, such as 'Inventory number=123'", wrong)
    made = condition_record(
        args.predictions,
        args.out,
        legend=args.legend,
        fields=dict(pair.split("=", 1) for pair in args.object),
        one_object=args.one_object,
        formats=args.format,
        details=args.details,
        photos=args.photos,
        bar=progress_bar,
    )
    print(f"{counted(len(made.files), 'condition record')} in {made.out}: {made.files[0].name}")
    if made.problems:
        raise InputError(
            f"{counted(len(made.problems), 'photograph')} could not be in a record", made.problems
        )
