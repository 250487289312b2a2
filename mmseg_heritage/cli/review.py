"""Make a page, used without a server, on which a person reviews predictions."""

from __future__ import annotations

import argparse

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", metavar="FOLDER", help="folder that predict wrote")
    parser.add_argument(
        "--out", metavar="DIR", help="folder to make (default: review, in that of the predictions)"
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="folder of the photographs, if they have been moved"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that is there")


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.apis.reviews.reviewing import review
    from mmseg_heritage.review.shown_regions import MOST_SHOWN

    made = review(
        args.predictions,
        args.out,
        photos=args.photos,
        overwrite=args.overwrite,
        bar=progress_bar,
    )
    for name in made.cut:
        print(
            f"{name}: the {MOST_SHOWN:,} regions that are looked at first are on the page, "
            f"of {made.photographs[name]:,}"
        )
    number, regions = len(made.photographs), sum(made.photographs.values())
    print(f"{number} photographs with {regions:,} regions to review: open {made.page}")
    if made.problems:
        raise InputError(f"{len(made.problems)} photographs are not on the page", made.problems)
