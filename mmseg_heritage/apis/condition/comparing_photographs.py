"""What has changed between two photographs of one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.apis.condition.change_files import (
    CHANGES,
    PAGE,
    ComparedMaps,
    outside_as_255,
    write_comparison,
)
from mmseg_heritage.apis.reviews.predicted_photographs import Predicted, read_prediction
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_photographs import large_photograph
from mmseg_heritage.images.masks import position_table
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.quantities.scale import FoundScale, find_scale, given_scale
from mmseg_heritage.registration.changes import (
    RegionChange,
    find_changes,
    in_order,
    only_after,
)
from mmseg_heritage.registration.homographies import warped_ids
from mmseg_heritage.registration.registering import Registration, register
from mmseg_heritage.taxonomy import BACKGROUND, IGNORE_INDEX
from mmseg_heritage.utils.files import refuse_file, staging_folder

_MEASURED = 0.5  # of the places of a registration, or it is doubted
_MOST_ERROR = 100.0  # pixels that a person can add


@dataclass(frozen=True)
class PhotographComparison:
    """What was found and written.

    Attributes:
        page: The file to open.
        registration: How AFTER lies over BEFORE.
        error: Pixels of BEFORE that a border may be off.
        changes: The list.
        names: Of the classes, whose positions are the ids in the list.
        remarks: What the person should know.
    """

    page: Path
    registration: Registration
    error: float
    changes: list[RegionChange]
    names: tuple[str, ...]
    remarks: list[str]


def compare_photographs(
    before: str | Path,
    after: str | Path,
    out: str | Path,
    *,
    checkpoint: str | Path | None = None,
    config: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    trust_checkpoint: bool = False,
    dpi: float | None = None,
    mm_per_pixel: float | None = None,
    border_error: float = 0.0,
    min_pixels: int = 1,
    photos: str | Path | None = None,
    overwrite: bool = False,
) -> PhotographComparison:
    """Lays a photograph over an earlier one, and lists what has changed of the damage on them.

    Writes ``index.html`` (a page to swipe and blink), ``changes.csv``, ``changes.json``, pictures
    and, of photographs, their predictions in ``predicted/before`` and ``predicted/after``.

    Args:
        before: A photograph, or the JSON file of its prediction (of predict or apply-review).
        after: The later one, the same.
        out: Folder to make.
        checkpoint: Of the model that finds damage; not needed where both are predictions.
        config: As for predict.
        device: As for predict.
        cfg_options: As for predict.
        trust_checkpoint: As for predict.
        dpi: Pixels of BEFORE for each inch of the object.
        mm_per_pixel: The same in millimeters for each pixel.
        border_error: Pixels that borders in the maps may differ between two photographs of the
            same damage, which are added to the error of the registration.
        min_pixels: Fewer gained or lost pixels are no change.
        photos: Folder of the photographs of predictions, where they have been moved.
        overwrite: Allows replacing an earlier comparison.

    Raises:
        InputError: If an argument cannot be used, or the photographs cannot be registered, with
            the reason.
    """
    target = Path(out)
    scale = given_scale(dpi, mm_per_pixel)
    _check(target, border_error, min_pixels, photos, overwrite)
    folder_of_photos = None if photos is None else Path(photos)
    sides = [_Side(name, Path(path), folder_of_photos) for name, path in
             (("BEFORE", before), ("AFTER", after))]  # fmt: skip
    if checkpoint is None and (lacking := [side.path for side in sides if side.given is None]):
        raise InputError(
            f"{', '.join(map(str, lacking))}: to find damage on a photograph, give --checkpoint; "
            "or give the JSON file of its prediction"
        )
    images = (sides[0].image(), sides[1].image())
    try:
        registration = register(*images)
    except InputError as problem:
        raise InputError(f"{before} and {after} cannot be compared: {problem}") from problem
    with staging_folder(target) as staging:
        folder = staging / "comparison"
        folder.mkdir()
        found = [
            side.given
            or _predict(
                side.path, folder / "predicted" / side.name.lower(), checkpoint, config=config,
                device=device, cfg_options=cfg_options, trust_checkpoint=trust_checkpoint,
                # What is given is the scale of BEFORE.
                **({"dpi": dpi, "mm_per_pixel": mm_per_pixel} if side is sides[0] else {}),
            )
            for side in sides
        ]  # fmt: skip
        own_scale = FoundScale.of_content(found[0].record["scale"])
        error = registration.error + border_error
        maps, own_after = _maps(
            found[0], found[1], images, registration, error,
            own_scale if scale is None else find_scale(scale, (), found[0].size),
        )  # fmt: skip
        kinds = [found[0].record["quantities"][name]["kind"] for name in maps.names]
        changes = find_changes(
            maps.before, maps.after, maps.covered, kinds, maps.damages, error, min_pixels
        )
        known = maps.before != IGNORE_INDEX
        changes += only_after(own_after, registration.matrix, known, maps.damages)
        changes = in_order(changes)
        settings = {"border_error_px": border_error, "min_pixels": min_pixels}
        write_comparison(folder, maps, changes, settings)
        if target.exists():
            target.rename(staging / "earlier")  # removed with the staging folder
        folder.rename(target)
    return PhotographComparison(
        target / PAGE, registration, error, changes, tuple(maps.names), list(maps.remarks)
    )


def _check(
    target: Path, border_error: float, min_pixels: int, photos: str | Path | None, overwrite: bool
) -> None:
    problems = []
    if not 0 <= border_error <= _MOST_ERROR:
        problems.append(f"--border-error {border_error}: expected 0 to {_MOST_ERROR:g} pixels")
    if min_pixels < 1:
        problems.append(f"--min-pixels {min_pixels}: expected at least 1")
    if photos is not None and not Path(photos).is_dir():
        problems.append(f"--photos: {photos}: no such folder")
    if problems:
        raise InputError("the photographs cannot be compared", problems)
    refuse_file(target)
    if not target.exists() or not any(target.iterdir()):
        return
    if not (target / CHANGES).is_file() or not (target / PAGE).is_file():
        raise InputError(f"{target}: the folder holds other files; give one that is empty or new")
    if not overwrite:
        raise InputError(f"{target}: holds a comparison; choose another --out, or add --overwrite")


class _Side:
    """One of the two photographs.

    Args:
        name: BEFORE or AFTER.
        path: A photograph, or the JSON file of a prediction.
        photos: Folder of the photographs of predictions.

    Raises:
        InputError: If there is no such file, or a JSON file is no prediction.
    """

    def __init__(self, name: str, path: Path, photos: Path | None) -> None:
        self.name, self.path = name, path
        if not path.is_file():
            is_there = "is no file" if path.exists() else "no such file"
            raise InputError(f"{name}: {path}: {is_there}; expected a photograph or a prediction")
        self.given: Predicted | None = None
        if path.suffix.lower() == ".json":
            self.given = read_prediction(path, photos)

    def image(self) -> np.ndarray:
        """Returns the photograph, uint8 (H, W, 3).

        Raises:
            InputError: If it cannot be read, or is too large to be registered.
        """
        path, page = self.path, 1
        if self.given is not None:
            path = self.given.photograph()
            found = self.given.record["made_with"].get("page")
            page = found if isinstance(found, int) else 1
        if (large := large_photograph(path, page)) is not None:
            with large:
                height, width = large.shape[:2]
            raise InputError(
                f"{path}: {width}x{height} px, which is read in parts only and cannot be "
                "registered; shrink it, or compare parts of it"
            )
        return read_image(path, page=page)


def _predict(path: Path, folder: Path, checkpoint: str | Path | None, **more: Any) -> Predicted:
    """Finds damage on a photograph."""
    from mmseg_heritage.apis.predicting import predict  # needs torch, and predictions do not

    if checkpoint is None:
        raise InputError(f"{path}: give --checkpoint")
    (record,) = predict(checkpoint, path, folder, **more)
    return read_prediction(record, path.parent)


def _maps(
    before: Predicted,
    after: Predicted,
    images: tuple[np.ndarray, np.ndarray],
    registration: Registration,
    error: float,
    scale: FoundScale,
) -> tuple[ComparedMaps, np.ndarray]:
    """Returns what is compared, and the map of AFTER in its own frame."""
    names = list(before.ids)
    if others := {*names} ^ {*after.ids}:
        raise InputError(
            f"{before.name} and {after.name} were predicted with other classes "
            f"({', '.join(sorted(others)[:5])} are of one only); predict both with one checkpoint"
        )
    measured = before.record["quantities"]
    outside = [names.index(BACKGROUND.name)] if BACKGROUND.name in names else []
    ids = [outside_as_255(_positions(one, names), outside) for one in (before, after)]
    for one, image, found in zip((before, after), images, ids, strict=True):
        if found.shape != image.shape[:2]:
            raise InputError(f"{one.class_map}: has another size than the photograph")
    moved = warped_ids(ids[1], registration.matrix, ids[0].shape, IGNORE_INDEX)
    colors = list(before.colors.values())
    return ComparedMaps(
        names,
        colors,
        [i for i, name in enumerate(names) if measured[name]["is_damage"] and i not in outside],
        ids[0],
        moved,
        (ids[0] != IGNORE_INDEX) & (moved != IGNORE_INDEX),
        images,
        registration,
        error,
        scale,
        {"before": _facts(before), "after": _facts(after)},
        [*_doubts(registration), *_remarks(before, after)],
    ), ids[1]


def _positions(one: Predicted, names: list[str]) -> np.ndarray:
    """Returns a map with the positions of classes in a list."""
    return position_table([one.ids[name] for name in names])[one.read_map()]


def _facts(one: Predicted) -> dict[str, Any]:
    return {
        "image": Path(one.record["image"]).name,
        "width": one.size[0],
        "height": one.size[1],
        **one.hashes(),
        "reviewed_by": one.reviewers,
    }


def _doubts(found: Registration) -> list[str]:
    """Says where the error of a registration may not hold."""
    if found.places >= _MEASURED * found.tried:
        return []
    return [
        f"only {found.places} of {found.tried} places were found again: elsewhere the photographs "
        "may be further apart (relief, lens, blur), or much has changed"
    ]


def _remarks(before: Predicted, after: Predicted) -> list[str]:
    remarks = []
    checkpoints = [one.hashes()["checkpoint_sha256"] for one in (before, after)]
    if checkpoints[0] != checkpoints[1]:
        remarks.append(
            "BEFORE and AFTER were predicted by different models: a change may be one of the model"
        )
    reviewed = ["reviewed" in one.record for one in (before, after)]
    if reviewed[0] != reviewed[1]:
        which = "BEFORE" if reviewed[0] else "AFTER"
        remarks.append(f"only {which} was corrected by a reviewer: review the other one too")
    for name, one in (("BEFORE", before), ("AFTER", after)):
        remarks += [f"{name}: not read: {part}" for part in (one.record.get("unread") or [])[:3]]
    return remarks
