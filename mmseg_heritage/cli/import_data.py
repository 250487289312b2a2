"""Make a data folder from another data set's images and masks, by a mapping file."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.tables import plain_table

if TYPE_CHECKING:
    from mmseg_heritage.dataprep.importing.import_folder import Imported


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "mapping",
        metavar="MAPPING",
        help="JSON file that says what the mask values mean, or the name of one that comes with "
        "the package, such as crackforest (docs/reference/data-format.md)",
    )
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of photographs")
    parser.add_argument(
        "--masks",
        required=True,
        metavar="PATH",
        help="folder of masks, which may be the same; or a file that holds many (COCO, CVAT, ...)",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--table", metavar="FILE", help="CSV with the columns that the mapping takes metadata from"
    )
    parser.add_argument(
        "--skip-faulty", action="store_true", help="leave out what cannot be used, and say so"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="photographs decoded at a time (default: the cores, at most 8)",
    )


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.dataprep.importing.import_folder import import_data

    imported = import_data(
        args.mapping,
        args.images,
        args.masks,
        args.out,
        table=args.table,
        skip_faulty=args.skip_faulty,
        workers=args.workers,
        bar=progress_bar,
    )
    print(_summary(imported))


def _summary(imported: Imported) -> str:
    lines = []
    if imported.left_out:
        lines.append(f"left out, {len(imported.left_out)} images or masks:")
        lines += [f"  - {line}" for problems in imported.left_out.values() for line in problems]
    if imported.notes:
        lines.append("to know:")
        lines += [f"  - {i}: {note}" for i, notes in imported.notes.items() for note in notes]
    lines.append(_value_table(imported))
    unused = [
        code.text
        for code, pixels in zip(imported.mapping.codes, imported.pixels, strict=True)
        if not pixels and not imported.mapping.format
    ]
    if unused:
        lines.append(f"in the mapping, but in no mask: {', '.join(unused)}")
    if imported.num_orphans:
        lines.append(
            f"{imported.num_orphans} images are copies (source_id) of photographs that are not "
            "here, and can only be trained on; the rule group_id keeps tiles together too, and "
            "lets them be scored"
        )
    if imported.mapping.about:
        lines.append(imported.mapping.about)
    lines += [
        f"{imported.num_samples} photographs with annotation: {imported.root}",
        f"next: mmseg-heritage check-data --data-root {shlex.quote(str(imported.root))}",
        f"then: {_split_command(imported)}",
    ]
    return "\n".join(lines)


def _split_command(imported: Imported) -> str:
    """Returns the command that makes the splits which the metadata is enough for."""
    from mmseg_heritage.dataprep.layout import read_folder
    from mmseg_heritage.dataprep.splits.split_files import KINDS
    from mmseg_heritage.dataprep.splits.split_makers import fitting_kinds

    command = f"mmseg-heritage make-splits --data-root {shlex.quote(str(imported.root))}"
    kinds = fitting_kinds(read_folder(imported.root))
    return command if len(kinds) == len(KINDS) else f"{command} --kinds {' '.join(kinds)}"


def _value_table(imported: Imported) -> str:
    total = max(1, int(imported.pixels.sum()))
    rows = [
        [code.text, code.meaning, f"{pixels:,}", f"{100 * pixels / total:.4f}", masks]
        for code, pixels, masks in zip(
            imported.mapping.codes, imported.pixels, imported.masks, strict=True
        )
    ]
    return plain_table(["mask value", "class", "pixels", "%", "masks"], rows, labels=2)
