"""Count the parameters and FLOPs of the models that configs describe."""

from __future__ import annotations

import argparse
import json

from mmseg_heritage.cli.common import add_config_options, parse_options, require_stack
from mmseg_heritage.utils.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="config files")
    parser.add_argument(
        "--size",
        nargs="+",
        type=int,
        metavar="PX",
        help="side of the image, or height and width (default: the config's crop_size)",
    )
    add_config_options(parser)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print exact numbers as JSON")
    output.add_argument(
        "--update", metavar="FILE", help="rewrite the tables between the markers in a document"
    )
    output.add_argument(
        "--check", metavar="FILE", help="fail if the tables in a document are others"
    )


def run(args: argparse.Namespace) -> None:
    require_stack()
    from dataclasses import asdict

    from mmseg_heritage.runs.model_stats import CONVENTION, measure_models
    from mmseg_heritage.runs.model_tables import (
        TABLES,
        check_markers,
        check_tables,
        update_tables,
    )

    document = args.update or args.check
    if document:
        check_markers(document)
    stats = measure_models(args.configs, args.size, parse_options(args.cfg_options), progress_bar)
    if args.json:
        print(
            json.dumps({"convention": CONVENTION, "models": [asdict(s) for s in stats]}, indent=2)
        )
    elif args.update:
        changed = update_tables(args.update, stats)
        print(f"{args.update}: " + ("updated" if changed else "up to date"))
    elif args.check:
        check_tables(args.check, stats)
        print(f"{args.check}: up to date")
    else:
        print("\n\n".join([*(make(stats) for make in TABLES.values()), CONVENTION]))
