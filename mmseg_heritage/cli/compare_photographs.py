"""Lay a photograph over an earlier one of the same object, and list what damage has changed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmseg_heritage.cli.common import (
    add_inference_options,
    add_shared_arguments,
    require_stack,
    shared_options,
)
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.utils.text import counted

if TYPE_CHECKING:
    from mmseg_heritage.apis.condition.comparing_photographs import PhotographComparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, what in (("before", "earlier"), ("after", "later")):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help=f"the {what} photograph, or the JSON file of its prediction",
        )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="model; not needed where both are predictions"
    )
    parser.add_argument(
        "--config", metavar="FILE", help="used instead of the config in the checkpoint"
    )
    parser.add_argument("--dpi", type=float, help="pixels of BEFORE for each inch of the object")
    parser.add_argument(
        "--mm-per-pixel", type=float, metavar="MM", help="millimeters for each pixel of BEFORE"
    )
    parser.add_argument(
        "--border-error",
        type=float,
        default=0.0,
        metavar="PX",
        help="pixels that borders in the maps differ between photographs of the same damage, "
        "beside the error of the registration (default: 0)",
    )
    parser.add_argument(
        "--min-pixels",
        type=int,
        default=1,
        metavar="N",
        help="fewer gained or lost pixels are no change (default: 1)",
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="folder of the photographs of predictions, if moved"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add_inference_options(parser)
    add_shared_arguments(parser)


def run(args: argparse.Namespace) -> None:
    if args.checkpoint is not None:
        require_stack()
    from mmseg_heritage.apis.condition.comparing_photographs import compare_photographs

    done = compare_photographs(
        args.before,
        args.after,
        args.out,
        checkpoint=args.checkpoint,
        config=args.config,
        device=args.device,
        dpi=args.dpi,
        mm_per_pixel=args.mm_per_pixel,
        border_error=args.border_error,
        min_pixels=args.min_pixels,
        photos=args.photos,
        **shared_options(args),
    )
    found = done.registration
    print(
        f"registered: {found.inliers:,} of {found.matches:,} matched features agree, correlation "
        f"{found.correlation:.2f}, {100 * found.overlap:.0f} % of BEFORE seen on AFTER; a border "
        f"may be off by {done.error:.2f} px"
    )
    print(_table(done))
    for remark in done.remarks:
        print(f"warning: {remark}")
    print(f"{counted(len(done.changes), 'region')} in changes.csv; look at them in {done.page}")


def _table(done: PhotographComparison) -> str:
    """Lays out how many regions of each class have changed in which way."""
    from mmseg_heritage.registration.changes import KINDS

    ids = sorted({change.class_id for change in done.changes})
    rows = [
        [
            done.names[i],
            *(sum(c.class_id == i and c.kind == k for c in done.changes) for k in KINDS),
        ]
        for i in ids
    ]
    return plain_table(["damage", *KINDS], rows) if rows else "no damage on either photograph"
