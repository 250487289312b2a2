"""Making the manifests of a data set, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.checks.duplicates import MAX_DISTANCE, near_duplicate_groups
from mmseg_heritage.dataprep.checks.verified import VerifiedFiles
from mmseg_heritage.dataprep.data_folder import DataFolder
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.split import Split, load_split
from mmseg_heritage.dataprep.splits.split_makers import HOLDOUT, KFOLD, LEAVE_ONE_OUT, SplitMaker
from mmseg_heritage.dataprep.statistics import (
    present_classes,
    sample_hashes,
    sample_pixels,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.utils.progress import Bar, no_bar

KINDS = (HOLDOUT, KFOLD, *LEAVE_ONE_OUT)
"""What can be made, by name."""


def make_split_files(
    root: str | Path,
    out_dir: str | Path | None = None,
    kinds: Sequence[str] = KINDS,
    shares: Sequence[float] = (0.7, 0.15, 0.15),
    folds: int = 5,
    val_share: float = 0.15,
    seed: int = 0,
    max_distance: int | None = MAX_DISTANCE,
    overwrite: bool = False,
    bar: Bar = no_bar,
) -> list[Path]:
    """Makes the manifests of a data set: ``holdout.json``, and one folder for each family of folds.

    Reads every mask of an original for the classes in it, and, unless the metadata has a column
    ``group_id``, every original photograph for its perceptual hash.

    Args:
        root: Folder of the data set.
        out_dir: Where to write; ``<root>/splits`` if None.
        kinds: Of :data:`KINDS`.
        shares: Of train, val and test in the hold-out split.
        folds: Number of folds of k-fold.
        val_share: See :class:`mmseg_heritage.dataprep.splits.split_makers.SplitMaker`.
        seed: Another seed gives other splits.
        max_distance: Up to how many bits the hashes of near-duplicates differ; None does not look
            for any.
        overwrite: Replace manifests that are there and differ.
        bar: Shows progress.

    Returns:
        All manifests asked for, those that were there already included.

    Raises:
        InputError: If the data cannot be divided as asked, or if other manifests are in the way;
            nothing is written then.
    """
    unknown = [f"'{kind}'" for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"kinds of splits are {', '.join(KINDS)}; found {', '.join(unknown)}")
    data = DataFolder(root)
    samples = data.samples

    def make(maker: SplitMaker) -> dict[str, Split]:
        made: dict[str, Split] = {}
        for kind in kinds:
            if kind == HOLDOUT:
                made[HOLDOUT] = maker.holdout(shares)
                continue
            family = f"{KFOLD}-{folds}" if kind == KFOLD else kind
            splits = maker.kfold(folds) if kind == KFOLD else maker.leave_one_out(kind)
            made |= {f"{family}/{name}": split for name, split in splits.items()}
        return made

    # First without the pixels: what cannot be divided is known before all files are read.
    make(SplitMaker(samples, {}, {}, seed, val_share))
    with bar("counting classes") as report:
        pixels = sample_pixels([s for s in samples if not s.is_derived], report, data.verified)
    near_duplicates = find_near_duplicates(samples, max_distance, bar, data.verified)
    made = make(SplitMaker(samples, present_classes(pixels), near_duplicates, seed, val_share))
    folder = Path(root) / "splits" if out_dir is None else Path(out_dir)
    return _write(folder, made, overwrite)


def find_near_duplicates(
    samples: Sequence[Sample],
    max_distance: int | None = MAX_DISTANCE,
    bar: Bar = no_bar,
    verified: VerifiedFiles | None = None,
) -> dict[str, Any]:
    """Looks for originals that look alike, where the metadata does not name them.

    Args:
        samples: All samples of the data set.
        max_distance: Largest distance of two hashes; None does not look.
        bar: Shows progress.
        verified: Record of the check of the data set, if there is one.

    Returns:
        The key ``near_duplicates`` of a manifest: ``found_by``, and what was found.
    """
    if any(s.group_id for s in samples):
        return {"found_by": "group_id in the metadata"}
    if max_distance is None:
        return {"found_by": "nothing: not looked for"}
    with bar("looking for near-duplicates") as report:
        hashes = sample_hashes([s for s in samples if not s.is_derived], report, verified)
    groups = near_duplicate_groups(hashes, max_distance)
    return {"found_by": "perceptual hash", "max_distance": max_distance, "groups": groups}


def _write(folder: Path, made: Mapping[str, Split], overwrite: bool) -> list[Path]:
    """Writes manifests, and leaves those alone that are there and equal."""
    paths = {folder / f"{name}.json": split for name, split in made.items()}
    ahead = [path for path, split in paths.items() if not (path.exists() and _holds(path, split))]
    problems = [f"{path}: holds another split" for path in ahead if path.exists() and not overwrite]
    families = {path.parent for path in paths} - {folder}
    problems += [
        f"{path}: is no fold of this family; move it away"
        for family in sorted(families)
        for path in sorted(family.glob("[!.]*.json"))
        if path not in paths
    ]
    if problems:
        raise InputError(
            f"{folder}: splits are made once. Choose another folder with --out, or replace splits "
            "with --overwrite: scores on the old ones can then not be compared with new ones",
            problems,
        )
    for path in ahead:
        write_json(path, paths[path].to_json())
    return list(paths)


def _holds(path: Path, split: Split) -> bool:
    """Whether a file is this manifest, made by whatever version."""
    try:
        found, made = load_split(path).to_json(), split.to_json()
    except InputError:
        return False
    return {**found, "made_by": None} == {**made, "made_by": None}
