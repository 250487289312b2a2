"""Damage maps of photographs too large to be held: read, predicted and written in bands of rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.apis.prediction_files import Job, write_record
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_maps import write_large_class_map, write_large_gray
from mmseg_heritage.images.photograph_rows import PhotographRows, UnreadPart
from mmseg_heritage.inference.prediction import BandMaps, PhotographPredictor, Prediction
from mmseg_heritage.inference.row_sources import ResizedRows
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX
from mmseg_heritage.utils.files import sha256, write_json
from mmseg_heritage.visualization.figures.shown_maps import fitted_shape

OVERLAY_EDGE = 4096
"""Long edge in pixels of the overlay of such a photograph."""
_LISTED = 20  # parts that could not be read, in the JSON file
_CONFIDENCE = "confidence of the class"  # no name of a level, which has no spaces
_SPARE = 1 << 26  # bytes that the small files take at most


def predict_large(
    predictor: PhotographPredictor,
    image: PhotographRows,
    photograph: Photograph,
    job: Job,
    report: Callable[[int, int], None],
) -> dict[str, Any]:
    """Predicts a photograph that is read in parts, and writes its files.

    Rows that are predicted are appended to files in a hidden folder beside the results, from which
    a command that was killed goes on. Parts that cannot be decoded get 255 in the maps.

    Args:
        predictor: The model.
        image: The photograph.
        photograph: Its file, and the name of its results.
        job: What is done.
        report: Called with the rows that are done, and all.

    Returns:
        Content of the JSON file.

    Raises:
        InputError: If the model cannot be run on parts, or there is too little room on the disk.
    """
    maps = [FINE_LEVEL, *predictor.levels]
    maps += [_CONFIDENCE] if predictor.keeps_confidence else []
    image_sha256 = sha256(photograph.path)
    task = {"image_sha256": image_sha256, "made_with": job.made_with, "maps": maps}
    place = photograph.result(job.out, ".unfinished")
    rows = _PredictedRows(place.with_name(f".{place.name}"), task, maps, image.shape)
    for band, found in predictor.bands(image, image.label, rows.done):
        rows.append(band, found, image)
        report(band.stop, image.shape[0])
    prediction = _prediction(predictor, image, rows)
    files = _write_maps(prediction, photograph, job.out, image)
    files |= job.draw(
        prediction.image, prediction.class_map, prediction.classes, prediction.palette, photograph
    )
    more = {"unread_parts": len(rows.unread), "unread": rows.unread[:_LISTED]}
    content = write_record(prediction, photograph, image_sha256, job, files, more)
    rows.remove()
    return content


class _PredictedRows:
    """Rows of maps that were predicted, kept in files until the photograph is done.

    Args:
        folder: Where they are kept.
        task: What is predicted, with what; rows of another task are dropped.
        maps: Names of the maps.
        shape: Height and width of the photograph.

    Attributes:
        done: Number of rows that an earlier command has predicted.
    """

    def __init__(
        self,
        folder: Path,
        task: Mapping[str, Any],
        maps: Sequence[str],
        shape: tuple[int, int],
    ) -> None:
        self._folder, self._shape = folder, shape
        self._files = {name: folder / f"{name.partition(' ')[0]}.rows" for name in maps}
        self.done = 0
        self._unread: list[list[Any]] = []  # first row, row after the last, columns alike, reason
        if self._is_of(task):
            self.done = min(self._sizes()) // shape[1]
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._check_room(len(maps))
            for file in self._files.values():
                file.touch()
            write_json(folder / "unread.json", [])
            write_json(folder / "job.json", task)  # the last: it says that the others are there
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

    def _is_of(self, task: Mapping[str, Any]) -> bool:
        """Whether the folder holds rows of a task, with what could not be read before."""
        try:
            content = json.loads((self._folder / "job.json").read_text(encoding="utf-8"))
            unread = json.loads((self._folder / "unread.json").read_text(encoding="utf-8"))
            self._unread = [[*map(int, part[:4]), str(part[4])] for part in unread]
            fits = max(self._sizes()) <= self._shape[0] * self._shape[1]
        except (OSError, ValueError, TypeError, IndexError, KeyError):
            return False
        return bool(content == task) and fits

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

    def append(self, band: slice, found: BandMaps, image: PhotographRows) -> None:
        """Adds a band of rows; what could not be read there becomes 255, of confidence 0.

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
            for map_ in found.ids.values():
                map_[rows, part.columns] = IGNORE_INDEX
            if found.confidence is not None:
                found.confidence[rows, part.columns] = 0
        self._note(parts)
        maps = {**found.ids, _CONFIDENCE: found.confidence}
        for name, file in self._files.items():
            with file.open("ab") as opened:
                opened.write(np.ascontiguousarray(maps[name]).tobytes())

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
            name: np.memmap(file, np.uint8, "r", shape=self._shape)
            for name, file in self._files.items()
        }

    def remove(self) -> None:
        """Removes the files."""
        shutil.rmtree(self._folder, ignore_errors=True)


def small_copy(image: PhotographRows) -> np.ndarray:
    """Returns a photograph with a long edge of at most :data:`OVERLAY_EDGE` pixels."""
    shape = fitted_shape(image.shape, OVERLAY_EDGE)
    return ResizedRows(image, shape).rows(0, shape[0])


def _prediction(
    predictor: PhotographPredictor, image: PhotographRows, rows: _PredictedRows
) -> Prediction:
    """Returns what was found, with a small copy of the photograph."""
    maps = rows.maps()
    class_map, confidence = maps.pop(FINE_LEVEL), maps.pop(_CONFIDENCE, None)
    copy = small_copy(image)
    return Prediction(
        copy,
        class_map,
        predictor.classes,
        predictor.palette,
        predictor.mask_values,
        maps,
        predictor.levels,
        predictor.seen_at(*image.shape),
        predictor.kinds,
        confidence,
        predictor.unlikeness(copy),
    )


def _write_maps(
    found: Prediction, photograph: Photograph, out: Path, image: PhotographRows
) -> dict[str, Path]:
    """Writes the maps of the classes and the levels, and the confidences, as TIFF."""
    places = {"class_map": photograph.result(out, "_classes.tif")}
    write_large_class_map(
        places["class_map"], found.class_map, found.palette, found.mask_values, image.resolution
    )
    for level, ids in found.level_maps.items():
        places[f"level_{level}"] = photograph.result(out, f"_{level}.tif")
        colors = found.groups[level].colors
        write_large_class_map(places[f"level_{level}"], ids, colors, None, image.resolution)
    if found.confidence is not None:
        places["confidence"] = photograph.result(out, "_confidence.tif")
        write_large_gray(places["confidence"], found.confidence, image.resolution)
    return places
