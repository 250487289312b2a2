"""The command line. Parsing needs neither torch nor mmseg, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.version import __version__

EXIT_BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        0, or 2 where the input cannot be used.
    """
    args = _parser().parse_args(argv)
    # torchrun and torch.distributed.launch of different ages pass the rank in different ways.
    if getattr(args, "local_rank", None) is not None:
        os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    try:
        args.run(args)
    except InputError as error:
        print(f"error: {_message(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


def _message(error: InputError) -> str:
    """Returns the message; one from a data-loading worker arrives wrapped in its traceback."""
    text = str(error)
    marker = f"{InputError.__module__}.{InputError.__qualname__}: "
    return text.rsplit(marker, 1)[-1].strip() if "Original Traceback" in text else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mmseg-heritage", description="Damage segmentation on photographs of heritage objects."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, add_arguments, run in (
        ("train", _train_arguments, _train),
        ("test", _test_arguments, _test),
        ("predict", _predict_arguments, _predict),
        ("make-splits", _splits_arguments, _make_splits),
        ("class-weights", _class_weights_arguments, _class_weights),
        ("make-sample-data", _sample_data_arguments, _make_sample_data),
        ("quickstart", _quickstart_arguments, _quickstart),
    ):
        help_text = (run.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=help_text, description=help_text)
        add_arguments(command)
        command.set_defaults(run=run)
    return parser


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file")
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
    _run_arguments(parser)


def _test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file the checkpoint was trained with")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--work-dir", help="folder of the run (default: that of the checkpoint)")
    parser.add_argument(
        "--show-dir", help="write a picture of each image: input, truth, prediction"
    )
    parser.add_argument("--out", metavar="DIR", help="write the class map of each image")
    _run_arguments(parser)


def _predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file the checkpoint was trained with")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("image_or_folder", help="a photograph, or a folder of them")
    parser.add_argument("--out", metavar="DIR", required=True, help="where to write")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    _shared_arguments(parser)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what train and test share."""
    parser.add_argument(
        "--launcher",
        choices=("none", "pytorch", "slurm", "mpi"),
        default="none",
        help="who starts it",
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--skip-data-check", action="store_true", help="do not decode all images and masks first"
    )
    _shared_arguments(parser)


def _shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what train, test and predict share."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="override variables and fields of the config, "
        "e.g. data_root=data/artefact batch_size=4",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="let the checkpoint run code; only for files whose maker you trust",
    )


def _splits_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/artefact", help="default: %(default)s")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the manifests (default: splits/ in the data root)"
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        metavar="KIND",
        help="holdout, kfold, leave-one-material-out, leave-one-content-out (default: all)",
    )
    parser.add_argument(
        "--percent",
        nargs="+",
        type=float,
        default=[70, 15, 15],
        metavar="N",
        help="train, val and test of the hold-out split (default: 70 15 15)",
    )
    parser.add_argument("--folds", type=int, default=5, help="of k-fold (default: %(default)s)")
    parser.add_argument(
        "--val-percent",
        type=float,
        default=15,
        help="of what a fold does not test, to choose the model (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--max-distance",
        type=int,
        metavar="BITS",
        help="near-duplicates differ in at most so many of 63 bits (default: 12; "
        "-1 does not look for any)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="make nothing; prove that the manifests in the folder are disjoint and complete, "
        "and print what their parts hold",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier splits")


def _class_weights_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/artefact", help="default: %(default)s")
    parser.add_argument(
        "--split-file",
        default="",
        metavar="FILE",
        help="manifest below the data root, or a folder of folds (default: the default split)",
    )
    parser.add_argument(
        "--formula",
        default="inverse_sqrt_log_scaled",
        help="inverse, inverse_sqrt, effective_samples, inverse_sqrt_log_scaled or "
        "median_frequency (default: %(default)s)",
    )
    parser.add_argument(
        "--max-ratio", type=float, metavar="R", help="no weight is over R times another one"
    )
    parser.add_argument("--level", default="fine", help="classes to weigh (default: %(default)s)")
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="JSON to write (default: below class_weights/ in the data root)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier weights")


def _sample_data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", default="data/sample", help="folder to make (default: %(default)s)"
    )
    parser.add_argument("--num-images", type=int, default=48, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=256, help="long edge in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def _quickstart_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="data/sample", help="default: %(default)s")
    parser.add_argument("--work-dir", default="work_dirs/quickstart", help="default: %(default)s")


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Reads ``KEY=VALUE`` pairs; values are Python literals, and strings where they are not.

    As in mmengine, ``a,b`` is a list, and ``true``, ``false`` and ``none`` may be in lower case.

    Raises:
        InputError: If a pair has no '='.
    """
    problems = [f"'{pair}'" for pair in pairs if "=" not in pair]
    if problems:
        raise InputError("--cfg-options takes KEY=VALUE pairs", problems)
    return {key: _value(text) for key, text in (pair.split("=", 1) for pair in pairs)}


def _value(text: str) -> Any:
    constants = {"true": True, "false": False, "none": None}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [_value(part) for part in text.split(",")] if "," in text else text
    return list(value) if isinstance(value, tuple) and not text.startswith("(") else value


def _require_stack() -> None:
    """Says what to install where mmsegmentation is absent, before anything else is imported."""
    try:
        import mmseg_heritage.plugin  # noqa: F401
    except ImportError as error:
        if any(find_spec(name) is None for name in ("mmengine", "mmcv", "mmseg")):
            raise InputError(str(error)) from error
        raise


def _shared_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what :func:`_shared_arguments` added, as the apis take it."""
    return {
        "cfg_options": parse_options(args.cfg_options),
        "overwrite": args.overwrite,
        "trust_checkpoint": args.trust_checkpoint,
    }


def _train(args: argparse.Namespace) -> None:
    """Train a model."""
    _require_stack()
    if args.fold is not None:
        from mmseg_heritage.apis.folds import fold_table, run_folds
        from mmseg_heritage.engine.launch import is_main_process

        results = run_folds(args.config, args.fold, **_train_options(args))
        if is_main_process():
            print(f"{fold_table(results)}\nscores of the folds: {results}")
        return
    from mmseg_heritage.apis.train import train

    folder = train(args.config, **_train_options(args))
    print(f"checkpoints and logs: {folder}")


def _train_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what :func:`mmseg_heritage.apis.train.train` takes besides the config."""
    return {
        "work_dir": args.work_dir,
        "resume": args.resume,
        "amp": args.amp,
        "launcher": args.launcher,
        "skip_data_check": args.skip_data_check,
        **_shared_options(args),
    }


def _test(args: argparse.Namespace) -> None:
    """Score a trained model on the test part of its data set."""
    _require_stack()
    from mmseg_heritage.apis.test import test

    metrics = test(
        args.config,
        args.checkpoint,
        work_dir=args.work_dir,
        show_dir=args.show_dir,
        out_dir=args.out,
        launcher=args.launcher,
        skip_data_check=args.skip_data_check,
        **_shared_options(args),
    )
    print(f"scores: {metrics}")


def _predict(args: argparse.Namespace) -> None:
    """Map the damage on photographs."""
    _require_stack()
    from mmseg_heritage.apis.predict import predict

    written = predict(
        args.config,
        args.checkpoint,
        args.image_or_folder,
        args.out,
        device=args.device,
        **_shared_options(args),
    )
    print(f"{len(written)} photographs: class maps, overlays and areas in {args.out}")


def _make_splits(args: argparse.Namespace) -> None:
    """Make or check split manifests: hold-out, k-fold, leave one material or content out."""
    from mmseg_heritage.data.split_check import check_split_files
    from mmseg_heritage.data.split_files import KINDS, MAX_DISTANCE, make_split_files

    if args.check:
        tables = check_split_files(args.data_root, args.out, _bar)
        for path, table in tables.items():
            print(f"{path}\n{table}")
        print(f"{len(tables)} manifests: sound, no part overlaps another, nothing is missing")
        return
    distance = MAX_DISTANCE if args.max_distance is None else args.max_distance
    paths = make_split_files(
        args.data_root,
        args.out,
        KINDS if args.kinds is None else args.kinds,
        shares=[percent / 100 for percent in args.percent],
        folds=args.folds,
        val_share=args.val_percent / 100,
        seed=args.seed,
        max_distance=None if distance < 0 else distance,
        overwrite=args.overwrite,
        bar=_bar,
    )
    print("\n".join(map(str, paths)))


def _class_weights(args: argparse.Namespace) -> None:
    """Count the classes of a split's training part and write class weights from them."""
    from mmseg_heritage.data.weight_files import chart_of, make_weight_files, read_weight_file
    from mmseg_heritage.visualization.class_weights import plot_class_weights, weight_table

    paths = make_weight_files(
        args.data_root,
        args.split_file,
        args.out,
        args.formula,
        args.max_ratio,
        args.level,
        args.overwrite,
        _bar,
    )
    for path in paths:
        content = read_weight_file(path)
        plot_class_weights(chart_of(path), content)
        print(f"{weight_table(content)}\nweights and chart: {path}, {chart_of(path)}")


def _make_sample_data(args: argparse.Namespace) -> None:
    """Generate a small data set of damaged artworks."""
    from mmseg_heritage.data.sample_set import make_sample_set

    with _bar("drawing the sample set") as report:
        folder = make_sample_set(args.out, args.num_images, args.size, args.seed, report)
    print(f"sample set: {folder}")


def _quickstart(args: argparse.Namespace) -> None:
    """Generate the sample set, train a small model on it, test it, and say where everything is."""
    _require_stack()
    from mmseg_heritage.apis.quickstart import quickstart

    quickstart(Path(args.data_root), Path(args.work_dir))


def _bar(title: str) -> Any:
    from mmseg_heritage.progress import progress_bar

    return progress_bar(title)
