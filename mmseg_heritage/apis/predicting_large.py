"""Damage maps of photographs too large to be held: read, predicted and written in bands of rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.apis.prediction_files import unread_problem, write_pictures, write_record
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_maps import sampled, write_large_class_map
from mmseg_heritage.images.photograph_rows import PhotographRows, UnreadPart
from mmseg_heritage.inference.predictor import BasePredictor, Prediction
from mmseg_heritage.inference.row_sources import ResizedRows
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX
from mmseg_heritage.utils.files import sha256, write_json

OVERLAY_EDGE = 4096
"""Long edge in pixels of the overlay of such a photograph."""
_LISTED = 20  # parts that could not be read, in the JSON file
_SPARE = 1 << 26  # bytes that the small files take at most


def predict_large(
    predictor: BasePredictor,
    image: PhotographRows,
    photograph: Path,
    out: Path,
    made_with: Mapping[str, Any],
    report: Callable[[int, int], None],
) -> tuple[Path, str]:
    """Predicts a photograph that is read in parts, and writes its files.

    Rows that are predicted are appended to files in a hidden folder beside the results, from which
    a command that was killed goes on. Parts that cannot be decoded get 255 in the maps.

    Args:
        predictor: The model.
        image: The photograph.
        photograph: Its file.
        out: Where to write.
        made_with: See :func:`~mmseg_heritage.apis.prediction_files.made_with_content`.
        report: Called with the rows that are done, and all.

    Returns:
        The JSON file, and what could not be read, if anything.

    Raises:
        InputError: If the model cannot be run on parts, or there is too little room on the disk.
    """
    levels = [FINE_LEVEL, *predictor.levels]
    image_sha256 = sha256(photograph)
    job = {"image_sha256": image_sha256, "made_with": made_with, "levels": levels}
    rows = _PredictedRows(out / f".{photograph.stem}.unfinished", job, levels, image.shape)
    for band, ids in predictor.bands(image, image.label, rows.done):
        rows.append(band, ids, image)
        report(band.stop, image.shape[0])
    found = _prediction(predictor, image, rows)
    _write_maps(found, photograph, out, image)
    _write_small_pictures(found, photograph, out)
    more = {"unread_parts": len(rows.unread), "unread": rows.unread[:_LISTED]}
    written = write_record(found, photograph, out, image_sha256, made_with, more)
    rows.remove()
    return written, unread_problem(photograph, rows.unread) if rows.unread else ""


class _PredictedRows:
    """Rows of maps that were predicted, kept in files until the photograph is done.

    Args:
        folder: Where they are kept.
        job: What is predicted, with what; rows of another job are dropped.
        levels: Names of the maps.
        shape: Height and width of the photograph.

    Attributes:
        done: Number of rows that an earlier command has predicted.
    """

    def __init__(
        self,
        folder: Path,
        job: Mapping[str, Any],
        levels: Sequence[str],
        shape: tuple[int, int],
    ) -> None:
        self._folder, self._shape = folder, shape
        self._files = {level: folder / f"{level}.rows" for level in levels}
        self.done = 0
        self._unread: list[list[Any]] = []  # first row, row after the last, columns alike, reason
        if self._is_of(job):
            self.done = min(self._sizes()) // shape[1]
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._check_room(len(levels))
            for file in self._files.values():
                file.touch()
            write_json(folder / "unread.json", [])
            write_json(folder / "job.json", job)  # the last: it says that the others are there
        for file in self._files.values():
            with file.open("r+b") as opened:
                opened.truncate(self.done * shape[1])

    @property
    def unread(self) -> list[str]:
        """What could not be read, in words."""
        return [
            str(UnreadPart(slice(top, bottom), slice(left, right), reason))
            for top, bottom, left, right, reason in self._unread
        ]

    def _sizes(self) -> list[int]:
        return [file.stat().st_size for file in self._files.values()]

    def _is_of(self, job: Mapping[str, Any]) -> bool:
        """Whether the folder holds rows of a job, with what could not be read before."""
        try:
            content = json.loads((self._folder / "job.json").read_text(encoding="utf-8"))
            unread = json.loads((self._folder / "unread.json").read_text(encoding="utf-8"))
            self._unread = [[*map(int, part[:4]), str(part[4])] for part in unread]
            fits = max(self._sizes()) <= self._shape[0] * self._shape[1]
        except (OSError, ValueError, TypeError, IndexError, KeyError):
            return False
        return bool(content == job) and fits

    def _check_room(self, maps: int) -> None:
        """Refuses to begin where the rows and the maps would not find room."""
        needed = 2 * maps * self._shape[0] * self._shape[1] + _SPARE
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise InputError(
                f"{self._folder.parent}: the maps of {self._shape[1]}x{self._shape[0]} pixels need "
                f"up to {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; choose another "
                "--out"
            )

    def append(self, band: slice, ids: Mapping[str, np.ndarray], image: PhotographRows) -> None:
        """Adds a band of rows; what could not be read there becomes 255.

        Raises:
            InputError: If another command writes to the same files.
        """
        if set(self._sizes()) != {band.start * self._shape[1]}:
            raise InputError(
                f"{image.label}: another command predicts it into {self._folder.parent}; wait for "
                "it, or choose another --out"
            )
        parts = [p for p in image.unread if p.rows.start < band.stop and p.rows.stop > band.start]
        for part in parts:
            rows = slice(max(part.rows.start - band.start, 0), part.rows.stop - band.start)
            for map_ in ids.values():
                map_[rows, part.columns] = IGNORE_INDEX
        self._note(parts)
        for level, file in self._files.items():
            with file.open("ab") as opened:
                opened.write(np.ascontiguousarray(ids[level]).tobytes())

    def _note(self, parts: Sequence[UnreadPart]) -> None:
        """Keeps what could not be read, but for what lies in a part that is known."""
        known = len(self._unread)
        last = [part for part in self._unread if part[2] == 0 and part[3] == self._shape[1]]
        found = {(part[0], part[2]) for part in self._unread}
        for part in parts:
            place = [part.rows.start, part.rows.stop, part.columns.start, part.columns.stop]
            is_within = any(p[0] <= place[0] and place[1] <= p[1] for p in last)
            if not is_within and (place[0], place[2]) not in found:
                self._unread.append([*place, part.reason])
        if len(self._unread) > known:
            write_json(self._folder / "unread.json", self._unread)

    def maps(self) -> dict[str, np.ndarray]:
        """Returns the maps, uint8 (H, W), mapped from the files."""
        return {
            level: np.memmap(file, np.uint8, "r", shape=self._shape)
            for level, file in self._files.items()
        }

    def remove(self) -> None:
        """Removes the files."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _prediction(
    predictor: BasePredictor, image: PhotographRows, rows: _PredictedRows
) -> Prediction:
    """Returns what was found, with a small copy of the photograph."""
    maps = rows.maps()
    class_map = maps.pop(FINE_LEVEL)
    small = sampled(class_map, OVERLAY_EDGE).shape
    return Prediction(
        ResizedRows(image, (small[0], small[1])).rows(0, small[0]),
        class_map,
        predictor.classes,
        predictor.palette,
        predictor.mask_values,
        maps,
        predictor.levels,
        predictor.seen_at(*image.shape),
    )


def _write_maps(found: Prediction, photograph: Path, out: Path, image: PhotographRows) -> None:
    """Writes the maps of the classes and the levels as TIFF."""
    name = photograph.stem
    write_large_class_map(
        out / f"{name}_classes.tif",
        found.class_map,
        found.palette,
        found.mask_values,
        image.resolution,
    )
    for level, ids in found.level_maps.items():
        colors = found.groups[level].colors
        write_large_class_map(out / f"{name}_{level}.tif", ids, colors, None, image.resolution)


def _write_small_pictures(found: Prediction, photograph: Path, out: Path) -> None:
    """Writes overlay and panel of a small copy."""
    small = replace(found, class_map=sampled(found.class_map, OVERLAY_EDGE), level_maps={})
    write_pictures(small, photograph.stem, out, ".jpg")
