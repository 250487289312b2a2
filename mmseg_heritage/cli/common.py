"""What several commands share: arguments and ``KEY=VALUE`` pairs."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.distributed import LAUNCHERS


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what train and test share."""
    parser.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        default="none",
        help="who starts it",
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--skip-data-check", action="store_true", help="do not decode all images and masks first"
    )
    add_shared_arguments(parser)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what train, test and predict share."""
    add_config_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="let the checkpoint run code; only for files whose maker you trust",
    )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every command shares that reads configs."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",  # scripts add their own before or after the user's
        default=[],
        metavar="KEY=VALUE",
        help="override variables and fields of the config, "
        "e.g. data_root=data/artefact batch_size=4",
    )


def shared_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what :func:`add_shared_arguments` added, as the apis take it."""
    return {
        "cfg_options": parse_options(args.cfg_options),
        "overwrite": args.overwrite,
        "trust_checkpoint": args.trust_checkpoint,
    }


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Reads ``KEY=VALUE`` pairs; values are Python literals, and strings where they are not.

    As in mmengine, ``a,b`` is a list, and ``true``, ``false`` and ``none`` may be in lower case.
    Values of paths and names stay as they are written, so that ``data_root=Fotos, Museum`` and
    ``data_root=2021`` are folders (:data:`mmseg_heritage.runs.variables.TEXT_FIELDS`).

    Raises:
        InputError: If a pair has no '='.
    """
    problems = [f"'{pair}'" for pair in pairs if "=" not in pair]
    if problems:
        raise InputError("--cfg-options takes KEY=VALUE pairs", problems)
    from mmseg_heritage.runs.variables import TEXT_FIELDS  # not for --help

    read: dict[str, Any] = {}
    for key, text in (pair.split("=", 1) for pair in pairs):
        is_text = key.rpartition(".")[2] in TEXT_FIELDS and text.lower() != "none"
        read[key] = text if is_text else _weights(text) if key == "class_weights" else _value(text)
    return read


def _weights(text: str) -> Any:
    """Reads class weights: a list of numbers, none, or the path of a file as it is written."""
    value = _value(text)
    if value is None or (isinstance(value, list) and not any(isinstance(v, str) for v in value)):
        return value
    return text


def _value(text: str) -> Any:
    constants = {"true": True, "false": False, "none": None}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [_value(part) for part in text.split(",")] if "," in text else text
    return list(value) if isinstance(value, tuple) and not text.startswith("(") else value


def require_stack() -> None:
    """Says what to install where mmsegmentation is absent, before anything else is imported."""
    try:
        import mmseg_heritage.plugin  # noqa: F401
    except ImportError as error:
        if any(find_spec(name) is None for name in ("mmengine", "mmcv", "mmseg")):
            raise InputError(str(error)) from error
        raise
