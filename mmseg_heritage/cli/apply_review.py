"""Correct predictions as reviewers say, with a record of every change."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.utils.text import counted

if TYPE_CHECKING:
    from mmseg_heritage.apis.reviews.applying_reviews import Applied

EXIT_CONFLICTS = 3
"""All was written, but reviewers disagree."""
_SHOWN = 40  # conflicts on the console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reviews", nargs="+", metavar="REVIEW", help="files that the review page has exported"
    )
    parser.add_argument(
        "--predictions", required=True, metavar="FOLDER", help="folder that predict wrote"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder to make, of corrected class maps"
    )
    parser.add_argument(
        "--final", metavar="REVIEW", help="a review whose word counts where the others disagree"
    )
    parser.add_argument(
        "--as-data-set", metavar="DIR", help="folder to make, of photographs and masks to train on"
    )
    parser.add_argument(
        "--unreviewed",
        choices=("ignore", "keep"),
        default="ignore",
        help="in the data set, what nobody decided on: 255, or as predicted (default: ignore)",
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="folder of the photographs, if they have been moved"
    )


def run(args: argparse.Namespace) -> int:
    from mmseg_heritage.apis.reviews.applying_reviews import apply_review

    done = apply_review(
        args.reviews,
        args.predictions,
        args.out,
        final=args.final,
        data_set=args.as_data_set,
        unreviewed=args.unreviewed,
        photos=args.photos,
        bar=progress_bar,
    )
    for note in done.notes:
        print(note)
    print(_changes(done))
    if done.not_reviewed:
        names = ", ".join(done.not_reviewed[:5]) + (", ..." if len(done.not_reviewed) > 5 else "")
        print(f"not reviewed, and left out: {names} ({len(done.not_reviewed)})")
    print(
        f"{counted(len(done.photographs), 'photograph')} corrected: class maps, areas.csv, "
        f"regions.csv and changes.csv in {args.out}"
    )
    if args.as_data_set:
        print(f"photographs and masks to train on: {args.as_data_set}")
    return _say_conflicts(done)


def _changes(done: Applied) -> str:
    """Lays out how many acts of each kind there were on each photograph."""
    kinds = ("accept", "reject", "relabel", "paint", "erase", "comment")
    rows = []
    for name, pixels in done.photographs.items():
        acts = {(c.act.id, c.act.kind) for c in done.changes if c.act.photograph == name}
        counts = [sum(kind == k for _, kind in acts) for k in kinds]
        rows.append([name, *counts, f"{pixels:,}"])
    return plain_table(["photograph", *kinds, "changed px"], rows)


def _say_conflicts(done: Applied) -> int:
    conflicts = [(name, c) for name, found in done.conflicts.items() for c in found]
    if not conflicts:
        return 0
    rows = [
        [name, c.what, f"{c.pixels:,}", "; ".join(f"{who}: {what}" for who, what in c.said.items())]
        for name, c in conflicts[:_SHOWN]
    ]
    print(f"{counted(len(conflicts), 'conflict')}; these pixels stay as predicted:")
    table = [[name, what, said, pixels] for name, what, pixels, said in rows]
    print(plain_table(["photograph", "what", "said", "pixels"], table, labels=3))
    if len(conflicts) > _SHOWN:
        print(f"... and {len(conflicts) - _SHOWN} more, see changes.json")
    print("agree on them, and give the review in which you do with --final")
    return EXIT_CONFLICTS
