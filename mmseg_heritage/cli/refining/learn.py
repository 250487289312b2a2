"""Let a model learn from corrected photographs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mmseg_heritage.cli.common import require_stack
from mmseg_heritage.utils.tables import plain_table

_SHOWN = 30  # images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument(
        "corrected", help="folder with images/ and annotations/; 255 is what nobody looked at"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write learned.pth")
    parser.add_argument(
        "--replay", metavar="DIR", help="data that the checkpoint was trained on, not to forget it"
    )
    parser.add_argument(
        "--estimate",
        default="auto",
        metavar="FOLDS",
        help="number of folds by which the gain is estimated, or none; by default each of up to 5 "
        "images is left out once, and more are 5 folds",
    )
    parser.add_argument(
        "--tune",
        choices=("all", "norm", "adapters", "frozen"),
        help="what of the backbone learns (default: all)",
    )
    parser.add_argument("--steps", type=int, help="steps of the training (default: 120)")
    parser.add_argument("--lr", type=float, help="peak learning rate (default: 0.001)")
    parser.add_argument("--seed", type=int, help="default: 0")
    parser.add_argument("--device", help="for predictions: cpu, cuda, ... (default: a GPU)")
    parser.add_argument("--overwrite", action="store_true", help="replace files")
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="let the checkpoint run code"
    )
    parser.add_argument("--verbose", action="store_true", help="show the trainings")


def run(args: argparse.Namespace) -> None:
    require_stack()
    from mmseg_heritage.apis.refining.learning import learn, worse
    from mmseg_heritage.runs.learning_config import Recipe

    given = {key: getattr(args, key) for key in ("tune", "steps", "lr", "seed")}
    done = learn(
        args.checkpoint,
        args.corrected,
        args.out,
        replay=args.replay,
        estimate=args.estimate,
        recipe=Recipe(**{key: value for key, value in given.items() if value is not None}),
        device=args.device,
        overwrite=args.overwrite,
        trust_checkpoint=args.trust_checkpoint,
        verbose=args.verbose,
    )
    if scores := done.content["scores"]:
        print(learning_text(scores))
        for name in worse(scores):
            print(f"warning: {name} became lower: look at the maps before you use the new model")
    print(f"report:     {done.report}")
    print(f"checkpoint: {done.checkpoint}")


def learning_text(scores: Mapping[str, Any]) -> str:
    """Lays out what learning gains, each image predicted by a model that did not learn from it."""
    lines = ["each image by a model that has not learned from it, percent"]
    for title, key in (("pixels of all images", "scores"), ("mIoU of the image", "images")):
        rows = [
            [name, *map(_cell, (found["before"], found["after"])), _gain(found)]
            for name, found in list(scores[key].items())[:_SHOWN]
        ]
        lines.append(plain_table([title, "before", "after", "gain"], rows))
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _gain(found: Mapping[str, float | None]) -> str:
    before, after = found["before"], found["after"]
    return "-" if before is None or after is None else f"{after - before + 0.0:+.1f}"
