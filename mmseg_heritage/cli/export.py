"""Write a trained model for others: an ONNX file that needs no torch, or its weights alone."""

from __future__ import annotations

import argparse

from mmseg_heritage.cli.common import add_inference_options, parse_options, require_stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument(
        "--format",
        default="onnx",
        metavar="FORMAT",
        help="onnx, which predict runs without torch; or weights, a checkpoint without the state "
        "of its training (default: onnx)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="the new file (default: beside the checkpoint)"
    )
    parser.add_argument(
        "--weights-license", metavar="NAME", help="license of the weights, e.g. CC-BY-4.0"
    )
    parser.add_argument("--data-license", metavar="NAME", help="license of the training data")
    add_inference_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace files")
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="let the checkpoint run code"
    )


def run(args: argparse.Namespace) -> None:
    require_stack()
    from mmseg_heritage.apis.exporting import export

    done = export(
        args.checkpoint,
        args.out,
        args.format,
        weights_license=args.weights_license,
        data_license=args.data_license,
        inference=parse_options(args.inference, "--inference"),
        overwrite=args.overwrite,
        trust_checkpoint=args.trust_checkpoint,
    )
    for remark in done.remarks:
        print(f"note: {remark}")
    print(f"model:      {done.file} ({done.file.stat().st_size / 1e6:.1f} MB)")
    print(f"model card: {done.card}")
    print(f"to predict: mmseg-heritage predict {done.file} PHOTOS --out DIR")
