"""The command line. Parsing needs neither torch nor mmseg, so that ``--help`` answers at once.

Each command is a module with ``add_arguments`` and ``run``; the module's first line is its help.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
from collections.abc import Sequence

from mmseg_heritage.cli import (
    apply_review,
    augment,
    benchmark_dg,
    check_data,
    class_weights,
    compare,
    compare_photographs,
    condition_record,
    convert,
    doctor,
    export,
    import_data,
    init,
    make_sample_data,
    make_splits,
    model_stats,
    predict,
    prepare_artefact,
    quickstart,
    report,
    review,
    test,
    train,
    visualize,
)
from mmseg_heritage.cli.common import is_pair
from mmseg_heritage.cli.refining import calibrate, learn
from mmseg_heritage.cli.running.argument_check import check_arguments
from mmseg_heritage.cli.running.last_message import (
    EXIT_BAD_INPUT,
    EXIT_STOPPED,
    EXIT_TERMINATED,
    Terminated,
    say,
    stopping_on_terminate,
    tolerate_console,
    uncovering_stops,
)
from mmseg_heritage.errors import InputError, system_message
from mmseg_heritage.utils.distributed import LostProcessError, OneProcessError, is_first_of_node
from mmseg_heritage.utils.text import did_you_mean
from mmseg_heritage.version import __version__

EXIT_LOST_PROCESS = 1
# torchrun and srun end all processes when the first one ends: the one with the message needs time.
_GRACE = 2.0  # seconds
COMMANDS = (
    train,
    test,
    predict,
    review,
    apply_review,
    condition_record,
    compare_photographs,
    calibrate,
    learn,
    convert,
    export,
    visualize,
    compare,
    benchmark_dg,
    report,
    init,
    prepare_artefact,
    import_data,
    check_data,
    make_splits,
    class_weights,
    augment,
    model_stats,
    make_sample_data,
    quickstart,
    doctor,
)
_NAMES = tuple(module.__name__.rpartition(".")[2].replace("_", "-") for module in COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        0; 2 where the input cannot be used, or the operating system refuses a file; 1 where another
        process of a distributed run is gone; 130 after Ctrl-C, 143 after SIGTERM. A command may
        return another one. A training that a signal ended exits with 75, see
        :class:`mmseg_heritage.engine.hooks.PreemptionHook`.
    """
    tolerate_console()
    logging.raiseExceptions = False  # of a log on a full disk: the next write says so in one line
    args = argparse.Namespace()
    try:
        args = _parse(argv)
        # torchrun and torch.distributed.launch of different ages pass the rank in different ways.
        if getattr(args, "local_rank", None) is not None:
            os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
        # What waits in C for other processes would not see the signal.
        is_one = getattr(args, "launcher", "none") == "none"
        stopping = stopping_on_terminate() if is_one else contextlib.nullcontext()
        with stopping, uncovering_stops():
            check_arguments(args)
            return args.run(args) or 0
    except InputError as error:
        launcher = getattr(args, "launcher", "none")
        # Of the processes of a node one says what all of them met.
        if isinstance(error, OneProcessError) or is_first_of_node(launcher):
            say(f"error: {_message(error)}")
        if launcher != "none":
            time.sleep(_GRACE)
        return EXIT_BAD_INPUT
    except LostProcessError as error:
        say(f"error: {error}")
        return EXIT_LOST_PROCESS
    except (KeyboardInterrupt, Terminated) as stop:
        say("stopped; files that were written whole are kept, and no half ones")
        return EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_STOPPED
    except BrokenPipeError:  # of `| head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"error: {system_message(error)}")
        return EXIT_BAD_INPUT


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses arguments.

    argparse takes one group of positional arguments only where their number varies: those behind
    an option, as launchers write them (``test.py CONFIG --launcher pytorch CHECKPOINT``), are left.
    """
    parser = _parser()
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0][:1] != "-" and given[0] not in _NAMES:
        hint = did_you_mean(given[0], _NAMES)
        parser.error(f"there is no command {given[0]!r}{hint} (--help lists all)")
    args, left = parser.parse_known_args(given)
    unknown = [text for text in left if text.startswith("-") or not hasattr(args, "inputs")]
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{_hint(unknown, args)}")
    if left:
        args.inputs += left
    return args


def _hint(unknown: Sequence[str], args: argparse.Namespace) -> str:
    """Returns what a user may have meant by arguments that a command does not have."""
    if hasattr(args, "cfg_options") and any(map(is_pair, unknown)):
        return "; KEY=VALUE pairs follow --cfg-options"
    options = [text.partition("=")[0] for text in unknown if text.startswith("--")]
    actions = (action for action in args.parser._actions if action.help != argparse.SUPPRESS)
    known = [option for action in actions for option in action.option_strings]
    return next(filter(None, (did_you_mean(option, known) for option in options)), "")


def _message(error: InputError) -> str:
    """Returns the message; one from a data-loading worker arrives wrapped in its traceback."""
    text = str(error)
    raised = error.__cause__ if isinstance(error, OneProcessError) else error
    marker = f"{type(raised).__module__}.{type(raised).__qualname__}: "
    return text.rsplit(marker, 1)[-1].strip() if "Original Traceback" in text else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mmseg-heritage", description="Damage segmentation on photographs of heritage objects."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in zip(_NAMES, COMMANDS, strict=True):
        help_text = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=help_text, description=help_text)
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command)
    return parser
