"""Write augmented copies of training photographs as files."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/artefact", help="default: %(default)s")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder of the new data set, originals included"
    )
    parser.add_argument(
        "--copies", type=int, default=3, help="of each photograph (default: %(default)s)"
    )
    parser.add_argument(
        "--tier",
        default="medium",
        help="light, medium, heavy, heritage or film_damage (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--split-file",
        default="",
        metavar="FILE",
        help="manifest below the data root, whose training part is copied "
        "(default: the default split)",
    )
    parser.add_argument(
        "--all-parts",
        action="store_true",
        help="copy photographs of val and test too, for splits that are made later",
    )


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.apis.augmenting import augment
    from mmseg_heritage.utils.progress import progress_bar

    made = augment(
        args.data_root,
        args.out,
        args.copies,
        args.tier,
        args.seed,
        args.split_file,
        args.all_parts,
        progress_bar,
    )
    print(
        f"{made.folder}: {made.originals} photographs, and {made.copies} copies of {made.sources} "
        f"of them\ntrain with: data_root={made.folder} "
        f"split_file={made.split_file.relative_to(made.folder)}"
    )
