"""Map the damage on photographs."""

from __future__ import annotations

import argparse

from mmseg_heritage.cli.common import (
    add_checkpoint_arguments,
    add_inference_options,
    add_shared_arguments,
    require_stack,
    shared_options,
    split_inputs,
)

_MORE = "PHOTOS"  # files and folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_arguments(parser, _MORE)
    parser.add_argument("--out", metavar="DIR", required=True, help="where to write")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    parser.add_argument("--page", type=int, default=1, help="which page of a TIFF with several")
    add_inference_options(parser)
    add_shared_arguments(parser)


def run(args: argparse.Namespace) -> None:
    require_stack()
    config, checkpoint, photographs = split_inputs(args, _MORE)
    from mmseg_heritage.apis.predicting import predict

    written = predict(
        checkpoint,
        photographs,
        args.out,
        config=config,
        device=args.device,
        page=args.page,
        **shared_options(args),
    )
    print(f"{len(written)} photographs: class maps, overlays and areas in {args.out}")
