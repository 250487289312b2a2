"""Generate the sample set, train a small model on it, test it, and say where everything is."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmseg_heritage.cli.common import require_stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/sample", help="default: %(default)s")
    parser.add_argument("--work-dir", default="work_dirs/quickstart", help="default: %(default)s")
    parser.add_argument(
        "--verbose", action="store_true", help="show all that the log files get on the console too"
    )


def run(args: argparse.Namespace) -> None:
    require_stack()
    from mmseg_heritage.apis.quickstart import quickstart

    quickstart(Path(args.data_root), Path(args.work_dir), args.verbose)
