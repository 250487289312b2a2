"""The page on which a person reviews predictions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.apis.reviews.predicted_photographs import Predicted, find_predictions
from mmseg_heritage.errors import InputError, system_message
from mmseg_heritage.review.corrections import Values
from mmseg_heritage.review.image_tiles import write_tiles
from mmseg_heritage.review.review_page import DATA, PAGE, write_page, write_script
from mmseg_heritage.review.shown_regions import MOST_SHOWN, read_regions, shown_regions
from mmseg_heritage.taxonomy import BACKGROUND, CLEAN, hex_color
from mmseg_heritage.utils.files import refuse_file, remove_temporaries, staging_folder
from mmseg_heritage.utils.progress import Bar, no_bar

FOLDER = "review"
"""Folder of the page in that of the predictions."""


@dataclass(frozen=True)
class ReviewPage:
    """What was written.

    Attributes:
        page: The file to open.
        photographs: Name of each photograph on it -> number of its regions.
        problems: Why others are not on it.
        cut: Photographs with more regions than are shown.
    """

    page: Path
    photographs: dict[str, int]
    problems: list[str]
    cut: list[str]


def review(
    predictions: str | Path,
    out: str | Path | None = None,
    *,
    photos: str | Path | None = None,
    overwrite: bool = False,
    bar: Bar = no_bar,
) -> ReviewPage:
    """Writes a page on which the predictions of a folder are reviewed, without a server.

    Args:
        predictions: Folder that predict wrote.
        out: Folder to make; by default ``review`` in that of the predictions.
        photos: Folder of the photographs, where they are not where they were predicted.
        overwrite: Allows replacing a page that is there.
        bar: Shows progress.

    Raises:
        InputError: If no photograph can be shown, or a page is there already.
    """
    source = Path(predictions)
    target = source / FOLDER if out is None else Path(out)
    found = find_predictions(source, None if photos is None else Path(photos))
    refuse_file(target)
    remove_temporaries(target.parent)
    _refuse_others(target, overwrite)
    problems: list[str] = []
    shown: list[dict[str, Any]] = []
    classes = _classes(list(found.values()))
    with staging_folder(target) as staging:
        folder = staging / FOLDER
        with bar("preparing the page") as report:
            for number, predicted in enumerate(found.values(), start=1):
                try:
                    shown.append(_photograph(predicted, number, classes, folder / DATA))
                except (InputError, OSError) as error:
                    problems.append(
                        system_message(error) if isinstance(error, OSError) else str(error)
                    )
                    shutil.rmtree(folder / DATA / str(number), ignore_errors=True)
                if report:
                    report(number, len(found))
        if not shown:
            raise InputError("no photograph can be reviewed", problems)
        write_page(folder, classes, shown)
        if target.exists():
            target.rename(staging / "earlier")  # removed with the staging folder
        folder.rename(target)
    cut = [p["name"] for p in shown if p["regions"] > MOST_SHOWN]
    return ReviewPage(target / PAGE, {p["name"]: p["regions"] for p in shown}, problems, cut)


def _refuse_others(target: Path, overwrite: bool) -> None:
    """Refuses a folder that holds something else than a review page, or one if not asked."""
    if not target.exists() or not any(target.iterdir()):
        return
    if not (target / PAGE).is_file():
        raise InputError(
            f"{target}: the folder holds other files; give one that is empty or new with --out"
        )
    if not overwrite:
        raise InputError(
            f"{target / PAGE}: is already there; open it, choose another --out, or replace it with "
            "--overwrite (what was reviewed stays in the browser, as long as the predictions are "
            "the same)"
        )


def _classes(predicted: Sequence[Predicted]) -> list[dict[str, Any]]:
    """Returns the classes of the page: those of all predictions, Clean first, outside last."""
    rows = {row["name"]: row for one in predicted for row in one.record["classes"]}
    rows |= {BACKGROUND.name: {"name": BACKGROUND.name, "color": BACKGROUND.color}}
    order = sorted(rows, key=lambda n: (n != CLEAN, n == BACKGROUND.name))
    return [
        {
            "name": name,
            "color": hex_color(rows[name]["color"]),
            "damage": name not in (CLEAN, BACKGROUND.name),
        }
        for name in order
    ]


def _photograph(
    predicted: Predicted, number: int, classes: Sequence[dict[str, Any]], data: Path
) -> dict[str, Any]:
    """Writes the regions and tiles of a photograph; returns what the page lists of it."""
    width, height = predicted.size
    rows = read_regions(predicted.folder / predicted.record["files"]["regions"])
    place = {row["name"]: i for i, row in enumerate(classes)}
    class_map, values = predicted.read_map(), Values(predicted.ids)
    try:
        regions = list(shown_regions(rows, class_map, values.of, place))
    except InputError as error:
        raise InputError(f"{predicted.class_map}: {error}") from error
    write_tiles(data / str(number), predicted.bands(), width, height)
    write_script(data / f"{number}.js", "regions", {"photograph": number, "regions": regions})
    return {
        "name": predicted.name,
        "data": number,
        "width": width,
        "height": height,
        "scale": predicted.record["scale"]["mm_per_pixel"],
        "classes": [place[name] for name in predicted.ids],
        "regions": len(rows),
        "confidence": any(row["confidence"] is not None for row in rows),
        **predicted.hashes(),
    }
