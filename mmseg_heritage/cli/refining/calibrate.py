"""Make a model as sure as it is right, and let it tell photographs of another kind."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mmseg_heritage.cli.common import parse_options, require_stack
from mmseg_heritage.utils.tables import plain_table

_LEAST_PIXELS = 100  # of a class in the sample
_SHOWN_COVERAGES = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="checkpoint file, with its split.json beside it")
    parser.add_argument(
        "--data-root", metavar="DIR", help="folder of its data set, if that has been moved"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="the new checkpoint (default: NAME_calibrated.pth beside the old one)",
    )
    parser.add_argument(
        "--method",
        choices=("temperature", "vector"),
        default="temperature",
        help="one number for all classes, which changes no class map; or a weight and a bias for "
        "each class (default: temperature)",
    )
    parser.add_argument(
        "--false-alarms",
        type=float,
        default=0.05,
        metavar="P",
        help="share of photographs like the validation images that is flagged as unlike the "
        "training (default: 0.05)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override fields of the checkpoint's config, e.g. split_file=splits/holdout.json",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files")
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="let the checkpoint run code"
    )


def run(args: argparse.Namespace) -> None:
    require_stack()
    from mmseg_heritage.apis.refining.calibrating import calibrate

    options = parse_options(args.cfg_options)
    if args.data_root:
        options["data_root"] = args.data_root
    done = calibrate(
        args.checkpoint,
        args.out,
        method=args.method,
        device=args.device,
        cfg_options=options,
        false_alarms=args.false_alarms,
        overwrite=args.overwrite,
        trust_checkpoint=args.trust_checkpoint,
    )
    print(calibration_text(done.content))
    print(f"report:     {done.report}, {done.figure}")
    print(f"checkpoint: {done.checkpoint}")


def calibration_text(content: Mapping[str, Any]) -> str:
    """Lays out what :func:`mmseg_heritage.apis.refining.calibrating.calibrate` has found."""
    scores, chosen = content["scores"], content["method"]
    rows = [
        [f"{name} (chosen)" if name == chosen else name, f"{found['NLL']:.4f}",
         *(f"{found[key]:.2f}" for key in ("ECE", "AURC", "confidence", "wrong"))]
        for name, found in scores.items()
    ]  # fmt: skip
    header = ["", "NLL", "ECE %", "AURC %", "mean confidence %", "wrong %"]
    fitted = "each on images it was not fitted to" if content["folds"] > 1 else "as fitted"
    lines = [
        f"{content['pixels']:,} pixels of {content['images']} validation images, {fitted}",
        plain_table(header, rows),
        "",
        _by_class(scores["before"]["classes"], scores[chosen]["classes"]),
        "",
        "risk: percent wrong among the surest pixels, of which so many are accepted",
        _by_coverage(scores["before"]["risk_coverage"], scores[chosen]["risk_coverage"]),
    ]
    if "temperature" in content["calibration"]:
        value = content["calibration"]["temperature"]
        less = "less" if value > 1 else "more"
        lines.append(f"temperature {value:.3f}: the model becomes {less} sure; no class changes")
    lines.append(_of_features(content["training_features"], content["remark"]))
    return "\n".join(lines)


def _by_class(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Lays out the calibration of the classes that are there."""

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    rows = [
        [name, *(shown(found["precision"]) for found in (old, after[name])),
         *(shown(found["confidence"]) for found in (old, after[name])),
         *(shown(found["NLL"]) for found in (old, after[name]))]
        for name, old in before.items()
        if max(old["labeled"], old["predicted"]) >= _LEAST_PIXELS
    ]  # fmt: skip
    header = ["class", "right % before", "after", "confidence % before", "after", "NLL before",
              "after"]  # fmt: skip
    return plain_table(header, rows)


def _by_coverage(before: list[list[float]], after: list[list[float]]) -> str:
    rows = [
        [name, *(f"{risk:.2f}" for _, risk in curve[-_SHOWN_COVERAGES:])]
        for name, curve in (("before", before), ("after", after))
    ]
    shown = (f"{coverage:.0f}" for coverage, _ in before[-_SHOWN_COVERAGES:])
    return plain_table(["coverage %", *shown], rows)


def _of_features(features: Mapping[str, Any] | None, remark: str) -> str:
    if features is None:
        return f"photographs of another kind are not flagged: {remark}"
    return (
        f"photographs of another kind: by {features['features']} features of {features['images']} "
        f"training images; of photographs like the {features['held_out']} validation images "
        f"{100 * features['false_alarm_rate']:.0f} % will be flagged too"
    )
