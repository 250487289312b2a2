"""Make a folder of images and annotations from the hub's Parquet files of ARTeFACT."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.utils.text import readable_size

if TYPE_CHECKING:
    from mmseg_heritage.dataprep.hub import Prepared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="Parquet files, a folder of all of them, or a Hugging Face cache "
        "(default: download 4 GB from the hub)",
    )
    parser.add_argument(
        "--out", default="data/artefact", metavar="DIR", help="folder to make (%(default)s)"
    )
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="PIXELS",
        help="make photographs and masks smaller, to this long side (default: full resolution)",
    )
    parser.add_argument(
        "--revision",
        help="commit of the data set: what to download or to take from the cache, and what the "
        "manifest says (default: the one that results refer to)",
    )
    parser.add_argument(
        "--num-rows",
        type=int,
        metavar="N",
        help="how many rows there must be (default: 418 where the revision is known)",
    )
    parser.add_argument(
        "--skip-faulty", action="store_true", help="leave out rows that cannot be used, and say so"
    )


def run(args: argparse.Namespace) -> None:
    from mmseg_heritage.dataprep.hub import DEFAULT_REVISION, download, prepare, require_pyarrow

    sources = args.sources
    if not sources:
        require_pyarrow()  # before 4 GB are downloaded
        sources = [download(args.revision or DEFAULT_REVISION)]
    prepared = prepare(
        sources,
        args.out,
        max_side=args.max_side,
        revision=args.revision,
        num_rows=args.num_rows,
        skip_faulty=args.skip_faulty,
        bar=progress_bar,
    )
    print(_summary(prepared))


def _summary(prepared: Prepared) -> str:
    lines = []
    if prepared.skipped:
        lines.append(f"left out, {len(prepared.skipped)} rows:")
        lines += [f"  - {problem}" for row in prepared.skipped.values() for problem in row]
    if prepared.losses:
        lines += ["what --max-side did to the classes:", _loss_table(prepared)]
    lines += [
        f"{prepared.num_samples} photographs with annotation, {readable_size(prepared.num_bytes)}, "
        f"revision {prepared.revision or 'not known'}: {prepared.root}",
        f"{prepared.num_written} files written now, {prepared.num_kept} were there and are "
        "as they were written",
        f"next: mmseg-heritage check-data --data-root {prepared.root}",
    ]
    return "\n".join(lines)


def _loss_table(prepared: Prepared) -> str:
    rows = []
    for loss in prepared.losses:
        kept = f"{100 * loss.kept / loss.expected:.1f}"
        rows.append(
            [loss.name, loss.images, loss.lost_in, f"{loss.expected:,}", f"{loss.kept:,}", kept]
        )
    header = ["class", "masks", "lost in", "pixels by share", "pixels", "kept %"]
    return plain_table(header, rows)
