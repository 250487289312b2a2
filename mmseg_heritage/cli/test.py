"""Score a trained model on the test part of its data set."""

from __future__ import annotations

import argparse

from mmseg_heritage.cli.common import (
    add_checkpoint_arguments,
    add_inference_options,
    add_run_arguments,
    require_stack,
    shared_options,
    split_inputs,
)
from mmseg_heritage.utils.distributed import is_main_process


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
    add_inference_options(parser)
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> None:
    require_stack()
    config, checkpoint, _ = split_inputs(args)
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
        visualize=args.visualize,
        allow_seen=args.allow_seen,
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
        if args.visualize:
            print(f"figures: {metrics.parent / FIGURES_FOLDER}")
