"""Draw a tested run: scores, training curves, predictions, errors, activations."""

from __future__ import annotations

import argparse

from mmseg_heritage.cli.common import (
    add_checkpoint_arguments,
    add_shared_arguments,
    require_stack,
    shared_options,
    split_inputs,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_arguments(parser)
    parser.add_argument("--work-dir", help="folder of the run (default: that of the checkpoint)")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for the figures (default: evaluation/figures of the run, which report shows)",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        metavar="ID",
        help="show these (default: chosen by a rule that stands under each figure)",
    )
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME", help="of the class panels and of cam"
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        metavar="KIND",
        help="confusion iou reliability distribution sizes curves grid errors panels levels cam "
        "(default: all the run has something for, but cam)",
    )
    parser.add_argument(
        "--maps", metavar="DIR", help="what test --out wrote (default: run the model again)"
    )
    parser.add_argument("--device", help="such as cuda:0 or cpu (default: a GPU if there is one)")
    add_shared_arguments(parser)


def run(args: argparse.Namespace) -> None:
    require_stack()
    config, checkpoint, _ = split_inputs(args)
    from mmseg_heritage.apis.visualizing import visualize

    figures = visualize(
        checkpoint,
        config,
        args.out,
        work_dir=args.work_dir,
        images=args.images,
        class_name=args.class_name,
        kinds=args.kinds,
        maps=args.maps,
        device=args.device,
        **shared_options(args),
    )
    for kind, reason in figures.left_out.items():
        print(f"left out: {kind}: {reason}")
    print(f"{len(figures.files) - 1} figures: {figures.files[-1].parent}")
