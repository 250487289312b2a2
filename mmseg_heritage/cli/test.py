"""Score a trained model on the test part of its data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmseg_heritage.cli.common import (
    add_checkpoint_arguments,
    add_inference_options,
    add_run_arguments,
    parse_options,
    require_stack,
    shared_options,
    split_inputs,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.json_reading import parse_json
from mmseg_heritage.utils.tables import plain_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_arguments(parser)
    parser.add_argument("--work-dir", help="folder of the run (default: that of the checkpoint)")
    parser.add_argument(
        "--show-dir", help="write a picture of each image: input, truth, prediction"
    )
    parser.add_argument("--out", metavar="DIR", help="write the class map of each image")
    parser.add_argument(
        "--visualize",
        action="store_true",
        help="draw figures of scores, training and predictions into evaluation/figures",
    )
    parser.add_argument(
        "--allow-seen",
        action="store_true",
        help="score images that the run was trained on or chosen by too",
    )
    parser.add_argument(
        "--adapt",
        choices=("bn", "tent", "sar"),
        help="test again with the model adapted to each image without labels, and compare",
    )
    parser.add_argument(
        "--adapt-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="of --adapt: statistics=source, batch or mix, mix=0.5, params=bn or norm, steps, lr, "
        "class_balanced, episodic, long_edge",
    )
    add_inference_options(parser)
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> None:
    require_stack()
    config, checkpoint, _ = split_inputs(args)
    adapt = parse_options(args.adapt_options, "--adapt-options")
    if adapt and not args.adapt:
        raise InputError("--adapt-options needs --adapt bn, tent or sar")
    from mmseg_heritage.apis.testing import test
    from mmseg_heritage.evaluation.summary import load_metrics
    from mmseg_heritage.evaluation.tested_runs import FIGURES_FOLDER
    from mmseg_heritage.visualization.report.report_text import console_summary

    metrics = test(
        checkpoint,
        config,
        work_dir=args.work_dir,
        show_dir=args.show_dir,
        out_dir=args.out,
        launcher=args.launcher,
        skip_data_check=args.skip_data_check,
        verbose=args.verbose,
        visualize=args.visualize,
        allow_seen=args.allow_seen,
        adapt={"method": args.adapt, **adapt} if args.adapt else None,
        **shared_options(args),
    )
    if is_main_process():
        if metrics.exists():  # a config may name other metrics, which only log
            content = load_metrics(metrics)
            print(console_summary(content, f"{content['images']} test images, percent"))
            print(f"scores: {metrics}")
        for name, folder in (("pictures", args.show_dir), ("class maps", args.out)):
            if folder:
                print(f"{name}: {folder}")
        if args.adapt:
            print_adaptation(metrics.parent.parent / f"adapted_{args.adapt}")
        if args.visualize:
            print(f"figures: {metrics.parent / FIGURES_FOLDER}")


def print_adaptation(folder: Path) -> None:
    """Prints what the adaptation changed."""
    from mmseg_heritage.apis.adapting import COMPARISON_FOLDER, SUMMARY_FILE

    if not (folder / SUMMARY_FILE).is_file():
        return
    content = parse_json(folder / SUMMARY_FILE)
    rows: list[tuple[str, ...]] = [
        (
            name,
            _percent(entry["source"]),
            _percent(entry["adapted"]),
            _percent(entry["difference"], sign="+"),
            f"{_percent(entry['low'], '+')} to {_percent(entry['high'], '+')}",
        )
        for name, entry in content["scores"].items()
    ]
    if clean := content["predicted_clean"]:
        gain = clean["adapted"] - clean["source"]
        truth = f"{_percent(clean['truth'])} in truth"
        rows.append(
            ("predicted Clean", *map(_percent, (clean["source"], clean["adapted"])),
             _percent(gain, "+"), truth)
        )  # fmt: skip
    header = ("percent", "source", "adapted", "difference", "95 % interval")
    print(f"\n{plain_table(header, rows)}")
    print(f"adaptation: {folder / COMPARISON_FOLDER}")


def _percent(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{round(value, 1) + 0.0:{sign}.1f}"  # no -0.0
