"""What an earlier `predict` has written, read to be reviewed: records, maps and photographs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.apis.prediction_files import read_record
from mmseg_heritage.apis.prediction_folder import read_records
from mmseg_heritage.apis.remeasuring import read_map
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_photographs import large_photograph
from mmseg_heritage.images.masks import check_mask_size
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.taxonomy import IGNORE_INDEX, Color, color_of_hex
from mmseg_heritage.utils.files import sha256
from mmseg_heritage.utils.json_reading import form_problems

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_ROWS = 512  # of a photograph that are handed on at a time


@dataclass(frozen=True)
class Predicted:
    """A photograph with its prediction.

    Attributes:
        name: As in areas.csv.
        folder: Where its results lie.
        record: Content of its JSON file.
        photos: Folder of the photographs; None where they are where the record says.
    """

    name: str
    folder: Path
    record: dict[str, Any]
    photos: Path | None = None

    @property
    def class_map(self) -> Path:
        """File of the class map."""
        return self.folder / self.record["files"]["class_map"]

    @property
    def ids(self) -> dict[str, int]:
        """Name of each class -> its mask value."""
        return {row["name"]: row["id"] for row in self.record["classes"]}

    @property
    def colors(self) -> dict[str, Color]:
        """Name of each class -> color in which predict has shown it, which is not that in files."""
        shown = {row["name"]: row["color"] for row in self.record["classes"]}
        for name in shown:
            text = self.record["quantities"][name]["color"]
            if _HEX.fullmatch(text):
                shown[name] = color_of_hex(text)
        return {name: (r, g, b) for name, (r, g, b) in shown.items()}

    @property
    def reviewers(self) -> list[str]:
        """Initials of those who corrected it; none of a machine's suggestion."""
        return self.record.get("reviewed", {}).get("by", [])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.record["width"], self.record["height"]

    @cached_property
    def _class_map_sha256(self) -> str:
        return sha256(self.class_map)  # seconds for a large one

    def hashes(self) -> dict[str, str]:
        """Returns what a review of this prediction says about itself."""
        return {
            "image_sha256": self.record["image_sha256"],
            "class_map_sha256": self._class_map_sha256,
            "checkpoint_sha256": str(self.record["made_with"].get("checkpoint_sha256", "")),
        }

    def read_map(self) -> np.ndarray:
        """Returns the mask values, uint8 (H, W), of a large map mapped from a file.

        Raises:
            InputError: If the file is missing or damaged, or has another size than the photograph.
        """
        values = read_map(self.class_map)
        check_mask_size(values, self.size, str(self.class_map))
        return values

    def photograph(self) -> Path:
        """Returns the file of the photograph.

        Raises:
            InputError: If it is not there, or not the one that was predicted.
        """
        image = Path(self.record["image"])
        places = [image, self.folder / image.name]
        if self.photos is not None:
            below = self.name.rpartition("/")[0]
            places = [self.photos / below / image.name, self.photos / image.name]
        found = [place for place in places if place.is_file()]
        if not found:
            raise InputError(
                f"{self.name}: the photograph {places[0]} is not there; give the folder of the "
                "photographs with --photos"
            )
        expected = self.record["image_sha256"]
        if path := next((place for place in found if sha256(place) == expected), None):
            return path
        raise InputError(
            f"{found[0]}: is not the photograph that was predicted (its SHA-256 differs); give the "
            "folder of the right ones with --photos, or predict it again"
        )

    def bands(self) -> Iterator[np.ndarray]:
        """Yields rows of the photograph as displayed, uint8 (rows, W, 3), sRGB.

        Raises:
            InputError: As :meth:`photograph`; or if it cannot be read, or has another size.
        """
        path, page = self.photograph(), self.record["made_with"].get("page")
        page = page if isinstance(page, int) else 1
        height = self.size[1]
        image = large_photograph(path, page)
        if image is not None:
            with image:
                for top in range(0, height, _ROWS):
                    yield image.rows(top, min(top + _ROWS, height))
            return
        pixels = read_image(path, page=page)
        check_mask_size(pixels[..., 0], self.size, str(path))
        for top in range(0, height, _ROWS):
            yield pixels[top : top + _ROWS]


def find_predictions(folder: Path, photos: Path | None = None) -> dict[str, Predicted]:
    """Returns name -> photograph with prediction of a folder that predict wrote.

    Raises:
        InputError: If it holds none.
    """
    if photos is not None and not photos.is_dir():
        raise InputError(f"--photos: {photos}: no such folder")
    found = {
        name: Predicted(name, (folder / name).parent, record, photos)
        for name, record in read_records(folder)
    }
    if not found:
        raise InputError(
            f"{folder}: expected a folder that predict wrote, found no prediction of this version "
            "in it"
        )
    if problems := [f"{name}.json: {p}" for name, one in found.items() if (p := _lacks(one))]:
        raise InputError(f"{folder}: predictions cannot be used; predict them again", problems)
    return found


def read_prediction(path: Path, photos: Path | None = None) -> Predicted:
    """Returns the photograph of one JSON file that predict or apply-review wrote.

    Raises:
        InputError: If it is none.
    """
    record = read_record(path)
    if record is None:
        raise InputError(f"{path}: expected the JSON file of a prediction of this version")
    one = Predicted(path.stem, path.parent, record, photos)
    if problem := _lacks(one):
        raise InputError(f"{path}: {problem}; predict the photograph again")
    return one


def _lacks(one: Predicted) -> str:
    """Says what a record lacks to be reviewed; empty if nothing."""
    record, rows = one.record, one.record.get("classes") or []
    if not rows or any({"name", "id", "color"} - row.keys() for row in rows):
        return "does not say name, id and color of its classes"
    ids = [row["id"] for row in rows]
    if not all(0 <= i <= IGNORE_INDEX for i in ids) or len(set(ids)) < len(ids):
        return "the ids of its classes are not different numbers 0..255"
    if any(len(row["color"]) != 3 or not all(0 <= c <= 255 for c in row["color"]) for row in rows):
        return "a color of its classes is not three numbers 0..255"
    if {row["name"] for row in rows} - record["quantities"].keys():
        return "has no quantities of some of its classes"
    if {"class_map", "regions"} - record["files"].keys():
        return "does not name its class map and its table of regions"
    if list(form_problems(record.get("reviewed", {}), {"by": [str]}, "reviewed")):
        return "does not say by whom it was reviewed"
    return ""
