"""From a folder of photographs and masks to everything that a training needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.importing.import_folder import import_data
from mmseg_heritage.dataprep.proposing.find_masks import Pairs, find_masks
from mmseg_heritage.dataprep.proposing.propose_mapping import (
    MaskValues,
    propose_mapping,
    read_values,
)
from mmseg_heritage.dataprep.splits.split import load_split
from mmseg_heritage.dataprep.splits.split_files import make_split_files
from mmseg_heritage.dataprep.splits.split_makers import HOLDOUT
from mmseg_heritage.dataprep.weights.weight_files import make_weight_files
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import image_size
from mmseg_heritage.runs.proposed_config import Plan, config_text, plan_training
from mmseg_heritage.utils.files import check_empty, making_folder, replacing, write_json
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.utils.text import counted

DATA, MAPPING, CONFIG = "data", "mapping.json", "config.py"
"""What a project's folder holds."""

MIN_IMAGES = 3
"""One photograph each to train on, to choose the best checkpoint by, and to test on."""
_TRAIN_SHARE = 0.7
_SPLIT_FILE = "splits/holdout.json"


@dataclass(frozen=True)
class Proposal:
    """What :func:`propose` has found, and what :func:`start` would make of it.

    Attributes:
        pairs: Photographs and masks.
        sizes: (width, height) of the photographs in pixels.
        values: Of the masks.
        mapping: Content of the mapping file.
        num_train: About as many photographs will be trained on.
        plan: Of the training.
    """

    pairs: Pairs
    sizes: list[tuple[int, int]]
    values: MaskValues
    mapping: dict[str, Any]
    num_train: int
    plan: Plan

    def __str__(self) -> str:
        return "\n".join([_found(self), "", _value_table(self), "", *_intentions(self)])


def propose(
    folder: str | Path, names: Mapping[str, str] | None = None, bar: Bar = no_bar
) -> Proposal:
    """Looks at a folder, and says what a training on it could be. Writes nothing.

    Args:
        folder: Photographs and their masks, see
            :func:`mmseg_heritage.dataprep.proposing.find_masks.find_masks`.
        names: Mask value, such as '255' or '#ff0000', -> class.
        bar: Shows progress.

    Raises:
        InputError: If no pairs are found, files cannot be read, there are fewer than
            :data:`MIN_IMAGES`, or what the masks hold cannot be classes.
    """
    pairs = find_masks(folder)
    if len(pairs.files) < MIN_IMAGES:
        raise InputError(
            f"{folder}: {counted(len(pairs.files), 'photograph')} with a mask; expected at least "
            f"{MIN_IMAGES}: one each to train on, to choose the best model by, and to test on"
        )
    sizes, problems = [], []
    for image, _ in pairs.files.values():
        try:
            sizes.append(image_size(image))
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("photographs cannot be read", problems)
    values = read_values([mask for _, mask in pairs.files.values()], bar)
    name = Path(folder).resolve().name
    mapping = propose_mapping(values, name, names or {}, pairs.suffix)
    num_train = max(round(_TRAIN_SHARE * len(sizes)), 1)
    return Proposal(pairs, sizes, values, mapping, num_train, plan_training(sizes, num_train))


@dataclass(frozen=True)
class Started:
    """What :func:`start` has made.

    Attributes:
        config: The config file.
        parts: Part ('train', 'val', 'test') -> number of photographs.
        never_trained: Classes that no training photograph shows.
        left_out: What is wrong with photographs and masks that do not belong together.
    """

    config: Path
    parts: dict[str, int]
    never_trained: list[str]
    left_out: list[str]

    def __str__(self) -> str:
        parts = ", ".join(f"{number} {part}" for part, number in self.parts.items())
        lines = [f"parts  {parts}"]
        if self.left_out:
            number = counted(len(self.left_out), "photograph")
            lines.append(f"       left out, since the files do not fit: {number}")
            lines += [f"         - {problem}" for problem in self.left_out]
        if self.never_trained:
            lines.append(
                f"       no training photograph shows {', '.join(self.never_trained)}, which the "
                "model cannot learn then; label more photographs"
            )
        return "\n".join(lines)


def start(proposal: Proposal, out: str | Path, bar: Bar = no_bar) -> Started:
    """Writes the data set, its split, class weights, and a config.

    Args:
        proposal: See :func:`propose`.
        out: Folder to make: absent or empty.
        bar: Shows progress.

    Raises:
        InputError: If files cannot be used, or cannot be divided into parts. Nothing is left then.
    """
    out = Path(out).expanduser().resolve()
    check_empty(out)
    pairs, root = proposal.pairs, out / DATA
    with making_folder(out) as folder:
        write_json(folder / MAPPING, proposal.mapping)
        imported = import_data(
            folder / MAPPING, pairs.images, pairs.masks, folder / DATA, skip_faulty=True, bar=bar
        )
        make_split_files(folder / DATA, kinds=[HOLDOUT], bar=bar)
        split = load_split(folder / DATA / _SPLIT_FILE)
        (weights,) = make_weight_files(folder / DATA, _SPLIT_FILE, bar=bar).values()
        plan = plan_training(proposal.sizes, len(split.part("train")))
        numbers = weights["class_weights"]
        text = config_text(plan, root, _SPLIT_FILE, len(numbers), numbers)
        with replacing(folder / CONFIG) as temporary:
            temporary.write_text(text, encoding="utf-8")
    parts = {part: len(ids) for part, ids in split.parts.items()}
    left_out = ["; ".join(problems) for problems in imported.left_out.values()]
    return Started(out / CONFIG, parts, list(weights["without_pixels"]), left_out)


def _found(proposal: Proposal) -> str:
    """Says which files were found."""
    pairs = proposal.pairs
    areas = sorted(width * height for width, height in proposal.sizes)
    smallest, largest = min(proposal.sizes), max(proposal.sizes)
    sizes = "x".join(map(str, smallest))
    if smallest != largest:
        sizes += f" to {'x'.join(map(str, largest))}"
    beside = "beside them" if pairs.masks == pairs.images else f"in {pairs.masks}"
    lines = [
        f"found  {counted(len(pairs.files), 'photograph')} with a mask in {pairs.images}, {sizes} "
        f"px, {areas[len(areas) // 2] / 1e6:.1f} megapixels in the middle",
        f"       masks {beside}, named NAME{pairs.suffix}",
    ]
    if pairs.alone:
        shown = ", ".join(path.name for path in pairs.alone[:5])
        more = f" and {len(pairs.alone) - 5} others" if len(pairs.alone) > 5 else ""
        lines.append(f"       left out, without a partner: {shown}{more}")
    return "\n".join(lines)


def _value_table(proposal: Proposal) -> str:
    """Lists mask values and what they will mean."""
    values, meanings = proposal.values, proposal.mapping["values"]
    known = {values.text(value): value for value in values.pixels}
    rows = [
        [
            text,
            meaning,
            f"{100 * values.share(known[text]):.3f}" if text in known else "",
            values.masks[known[text]] if text in known else "",
        ]
        for text, meaning in meanings.items()
    ]
    return plain_table(["mask value", "means", "percent of pixels", "masks"], rows, labels=2)


def _intentions(proposal: Proposal) -> list[str]:
    lines = proposal.plan.sentences(proposal.num_train)
    return [
        "split  about 70 % of the photographs to train on, 15 % to choose the best model by, 15 % "
        "to test it on; photographs that look alike stay together",
        *(f"{'model' if i == 0 else '':<6} {line}" for i, line in enumerate(lines)),
    ]
