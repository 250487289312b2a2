"""Map the damage on photographs."""

from __future__ import annotations

import argparse

from mmseg_heritage.cli.common import add_shared_arguments, require_stack, shared_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file the checkpoint was trained with")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("image_or_folder", help="a photograph, or a folder of them")
    parser.add_argument("--out", metavar="DIR", required=True, help="where to write")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add_shared_arguments(parser)


def run(args: argparse.Namespace) -> None:
    require_stack()
    from mmseg_heritage.apis.predicting import predict

    written = predict(
        args.config,
        args.checkpoint,
        args.image_or_folder,
        args.out,
        device=args.device,
        **shared_options(args),
    )
    print(f"{len(written)} photographs: class maps, overlays and areas in {args.out}")
