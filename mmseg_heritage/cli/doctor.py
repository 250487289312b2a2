"""Say what is installed here, what will work, and the line that fixes the rest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmseg_heritage.errors import InputError

_LONGEST_WAIT = 86_400  # seconds; the operating system cannot wait for as long as a float can say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit code: 0 everything works, 1 faults found, 2 wrong arguments."
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write everything to this file; without a name, print it instead of the tables",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long importing everything may take (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier file")


def run(args: argparse.Namespace) -> int:
    from mmseg_heritage.doctor.diagnosis import FAULT, diagnose
    from mmseg_heritage.doctor.facts import collect
    from mmseg_heritage.doctor.printout import print_report, report_json
    from mmseg_heritage.utils.files import write_json

    if not 0 < args.timeout <= _LONGEST_WAIT:
        raise InputError(
            f"--timeout: expected seconds above 0 and at most {_LONGEST_WAIT}, found {args.timeout}"
        )
    is_file = args.json not in (None, "-")
    if is_file and Path(args.json).exists() and not args.overwrite:
        raise InputError(f"{args.json}: already there; add --overwrite to replace it")
    facts = collect(args.timeout)
    findings = diagnose(facts)
    if args.json == "-":
        print(json.dumps(report_json(facts, findings), indent=2))
    else:
        print_report(facts, findings)
    if is_file:
        try:
            write_json(args.json, report_json(facts, findings))
        except OSError as error:
            raise InputError(f"{args.json}: cannot be written ({error.strerror})") from error
    return 1 if any(finding.severity == FAULT for finding in findings) else 0
