"""What several commands share: arguments and ``KEY=VALUE`` pairs."""

from __future__ import annotations

import argparse
import ast
import atexit
import functools
import gc
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.distributed import LAUNCHERS

_CHECKPOINTS = (".pth", ".onnx")
"""Endings of checkpoints, to tell where they were given in another place."""
is_own_process = False
"""Whether a command is all that this process does, and not called by another program."""


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
    parser.add_argument(
        "--verbose", action="store_true", help="show all that the log file gets on the console too"
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


def add_checkpoint_arguments(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Adds what commands share that run a trained model; :func:`split_inputs` reads it.

    Args:
        parser: Of the command.
        more: What is given after the checkpoint, as the help shows it.
    """
    form = f"[CONFIG] CHECKPOINT {more}".strip()
    parser.usage = f"%(prog)s {form} [options]"  # argparse would repeat the form
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar=form,
        help="the checkpoint holds the config of its run; a config file before it is used instead",
    )
    parser.add_argument("--config", metavar="FILE", help="the same as CONFIG")


def split_inputs(args: argparse.Namespace, more: str = "") -> tuple[str | None, str, list[str]]:
    """Divides what was given into config, checkpoint and the rest.

    The first is a config if it is a ``.py`` file, or a bare name that is no file and so that of a
    shipped config.

    Args:
        args: With ``inputs`` and ``config``.
        more: What must follow the checkpoint; nothing may if empty.

    Raises:
        InputError: If something is missing, too much, or in another order.
    """
    form = f"expected [CONFIG] CHECKPOINT {more}".strip()
    config, rest = args.config, list(args.inputs)
    first = Path(rest[0])
    is_name = first.name == rest[0] and not first.suffix and not first.exists()
    if first.suffix == ".py" or is_name:
        if config is not None:
            raise InputError(f"two configs are given, {first} and --config {config}; give one")
        config = rest.pop(0)
    late = [text for text in rest if text.endswith(".py")]
    if late:
        raise InputError(f"{form}: the config {late[0]} must be the first")
    if not rest:
        raise InputError(f"{form}: {config} is taken for a config, and no checkpoint is given")
    pairs = [text for text in rest if is_pair(text) and not Path(text).exists()]
    if pairs:
        options = "--cfg-options" + (" or --inference" if hasattr(args, "inference") else "")
        raise InputError(f"{form}, found {pairs[0]}; KEY=VALUE pairs follow {options}")
    checkpoint, others = rest[0], rest[1:]
    if others and not more:
        raise InputError(f"{form}, found more after {checkpoint}: {', '.join(others)}")
    behind = [text for text in others if _is_checkpoint(text)]
    if behind and _is_checkpoint(checkpoint):
        raise InputError(f"{form}: two checkpoints are given, {checkpoint} and {behind[0]}")
    if behind:
        raise InputError(f"{form}: the checkpoint {behind[0]} must come before {checkpoint}")
    if more and not others:
        raise InputError(f"{form}, found nothing after {checkpoint}")
    return config, checkpoint, others


def is_pair(text: str) -> bool:
    """Whether an argument has the form of an option of a config, ``KEY=VALUE``."""
    return re.fullmatch(r"[A-Za-z_][\w.]*=.*", text) is not None


def _is_checkpoint(text: str) -> bool:
    return Path(text).suffix.lower() in _CHECKPOINTS


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


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    """Adds what test and predict share."""
    parser.add_argument(
        "--inference",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="how the network is applied to a photograph: mode=window or whole, crop, overlap, "
        "batch, scales=native,fit:1024, tta=horizontal",
    )


def shared_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what :func:`add_shared_arguments` added, as the apis take it."""
    inference = parse_options(getattr(args, "inference", []), "--inference")
    return {
        "cfg_options": {
            **{f"inference.{key}": value for key, value in inference.items()},
            **parse_options(args.cfg_options),
        },
        "overwrite": args.overwrite,
        "trust_checkpoint": args.trust_checkpoint,
    }


def parse_options(pairs: Sequence[str], option: str = "--cfg-options") -> dict[str, Any]:
    """Reads ``KEY=VALUE`` pairs; values are Python literals, and strings where they are not.

    As in mmengine, ``a,b`` is a list, and ``true``, ``false`` and ``none`` may be in lower case.
    Values of paths and names stay as they are written, so that ``data_root=Fotos, Museum`` and
    ``data_root=2021`` are folders (:data:`mmseg_heritage.runs.config.variables.TEXT_FIELDS`).

    Raises:
        InputError: If a pair has no '='.
    """
    problems = [f"'{pair}'" for pair in pairs if "=" not in pair]
    if problems:
        raise InputError(f"{option} takes KEY=VALUE pairs", problems)
    from mmseg_heritage.runs.config.variables import NONE_IS_A_NAME, TEXT_FIELDS  # not for --help

    read: dict[str, Any] = {}
    for key, text in (pair.split("=", 1) for pair in pairs):
        last, is_none = key.rpartition(".")[2], text.lower() == "none"
        is_text = last in NONE_IS_A_NAME if is_none else last in TEXT_FIELDS
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
    if is_own_process:
        _freeze_imported_modules()


@functools.cache
def _freeze_imported_modules() -> None:
    """Takes what was imported out of garbage collection.

    mmengine asks for one after each data set, and each would take half a second to look at torch.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # some libraries report what is never freed as leaks
