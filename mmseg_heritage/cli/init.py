"""Look at a folder of photographs and masks, and make the data set and the config of a training."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from mmseg_heritage.cli.common import require_stack
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        help="photographs with their masks beside them (NAME.jpg, NAME_mask.png), or a folder of "
        "each in it",
    )
    parser.add_argument(
        "--names",
        nargs="+",
        default=[],
        metavar="VALUE=CLASS",
        help="what mask values mean, such as '#ff0000=Mold' or 255=Cracks; Clean is no damage",
    )
    parser.add_argument("--out", metavar="DIR", help="folder to make (default: <folder>-project)")
    parser.add_argument("--yes", action="store_true", help="write without asking")


def run(args: argparse.Namespace) -> None:
    require_stack()
    from mmseg_heritage.apis.starting import propose, start

    folder = Path(args.folder).expanduser()
    beside = folder.resolve().with_name(f"{folder.resolve().name}-project")
    out = Path(args.out).expanduser() if args.out else beside
    proposal = propose(folder, _names(args.names), progress_bar)
    print(proposal)
    if not args.yes and not _agreed(out):
        print("nothing was written; --yes writes it, --names says what mask values mean")
        return
    started = start(proposal, out, progress_bar)
    config = shlex.quote(str(started.config))
    run_folder = shlex.quote(str(out / "run"))
    print(
        f"{started}\n\nwritten: {out} (data set, mapping, config)\n"
        f"next:    mmseg-heritage train {config} --work-dir {run_folder}\n"
        "         with a connection to the internet add: --cfg-options pretrained=auto"
    )


def _names(pairs: list[str]) -> dict[str, str]:
    """Reads ``VALUE=CLASS`` pairs.

    Raises:
        InputError: If a pair has no '=', nothing before or behind it, or a value comes twice.
    """
    names: dict[str, str] = {}
    problems = []
    for pair in pairs:
        value, _, name = pair.partition("=")
        if not value or not name:
            problems.append(f"'{pair}': expected VALUE=CLASS, such as 255=Cracks")
        elif value in names:
            problems.append(f"'{pair}': {value} was named {names[value]} before")
        names[value] = name
    if problems:
        raise InputError("--names cannot be used", problems)
    return names


def _agreed(out: Path) -> bool:
    """Asks in a terminal; elsewhere the answer is no."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"\nwrite this to {out}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False
