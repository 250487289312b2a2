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
from mmseg_heritage.quantities import UNSURE_BELOW

_MORE = "PHOTOS"  # files and folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_arguments(parser, _MORE)
    parser.add_argument(
        "--out", metavar="DIR", default="damage_maps", help="where to write (default: damage_maps)"
    )
    parser.add_argument(
        "--recursive", action="store_true", help="look into the folders below a folder too"
    )
    parser.add_argument(
        "--dpi", type=float, help="pixels for each inch of the object, of all photographs"
    )
    parser.add_argument(
        "--mm-per-pixel", type=float, metavar="MM", help="millimeters of the object for each pixel"
    )
    parser.add_argument(
        "--scales",
        metavar="FILE",
        help="CSV with the columns photograph, and mm_per_pixel or dpi; without any scale it is "
        "that of the file where it can be believed",
    )
    parser.add_argument(
        "--unsure-below",
        type=float,
        default=UNSURE_BELOW,
        metavar="P",
        help=f"count pixels of less confidence as unsure (default: {UNSURE_BELOW:g})",
    )
    parser.add_argument(
        "--official-colors",
        action="store_true",
        help="draw pictures in the colors of the data set, as class maps always are",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    parser.add_argument("--page", type=int, default=1, help="which page of a TIFF with several")
    add_inference_options(parser)
    add_shared_arguments(parser)


def run(args: argparse.Namespace) -> None:
    config, checkpoint, photographs = split_inputs(args, _MORE)
    if not checkpoint.lower().endswith(".onnx"):  # which needs no torch
        require_stack()
    from mmseg_heritage.apis.predicting import predict

    written = predict(
        checkpoint,
        photographs,
        args.out,
        config=config,
        device=args.device,
        page=args.page,
        recursive=args.recursive,
        dpi=args.dpi,
        mm_per_pixel=args.mm_per_pixel,
        scales=args.scales,
        unsure_below=args.unsure_below,
        official_colors=args.official_colors,
        **shared_options(args),
    )
    print(f"{len(written)} photographs: class maps, overlays and areas in {args.out}/index.html")
