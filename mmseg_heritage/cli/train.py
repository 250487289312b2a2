"""Train a model."""

from __future__ import annotations

import argparse
from typing import Any

from mmseg_heritage.cli.common import add_run_arguments, require_stack, shared_options
from mmseg_heritage.utils.distributed import is_main_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file, or the name of a shipped one")
    parser.add_argument("--work-dir", help="folder of the run (default: work_dirs/<config name>)")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="auto|FILE",
        help="go on from the run's latest checkpoint (none yet: start), or from a checkpoint file",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument(
        "--fold",
        metavar="all|NAME|N",
        help="train and test folds, one after the other; split_file names their folder. In other "
        "options {fold} stands for the name of the fold",
    )
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> None:
    require_stack()
    if args.fold is not None:
        from mmseg_heritage.apis.folds import fold_table, run_folds

        results = run_folds(args.config, args.fold, **_train_options(args))
        if is_main_process():
            print(f"{fold_table(results)}\nscores of the folds: {results}")
        return
    from mmseg_heritage.apis.training import train

    folder = train(args.config, **_train_options(args))
    if is_main_process():
        print(f"checkpoints and logs: {folder}")


def _train_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what :func:`mmseg_heritage.apis.training.train` takes besides the config."""
    return {
        "work_dir": args.work_dir,
        "resume": args.resume,
        "amp": args.amp,
        "launcher": args.launcher,
        "skip_data_check": args.skip_data_check,
        "verbose": args.verbose,
        **shared_options(args),
    }
