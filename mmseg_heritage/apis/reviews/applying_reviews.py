"""Corrected class maps from predictions and what reviewers said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.apis.prediction_files import Job, write_quantities
from mmseg_heritage.apis.prediction_folder import write_tables
from mmseg_heritage.apis.reviews.predicted_photographs import Predicted, find_predictions
from mmseg_heritage.apis.reviews.reviewed_data_set import RECORD, ReviewedDataSet
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.large_maps import write_large_class_map
from mmseg_heritage.images.masks import position_table, value_counts
from mmseg_heritage.images.writing import write_class_map
from mmseg_heritage.quantities.records import write_table
from mmseg_heritage.quantities.scale import FoundScale, Scale
from mmseg_heritage.review.corrections import (
    Change,
    Conflict,
    Layer,
    Values,
    change_row,
    decided,
    merged,
    with_kept,
)
from mmseg_heritage.review.review_file import SCALE, Act, Review, read_review
from mmseg_heritage.taxonomy import IGNORE_INDEX, UNDECIDED
from mmseg_heritage.utils.files import check_empty, is_unfinished, making_folders, write_json
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.text import require_known
from mmseg_heritage.version import __version__

SCHEMA = "mmseg_heritage/changes/1"
CHANGES_FILE = "changes.json"
KEEP, IGNORE = "keep", "ignore"
CHANGE_COLUMNS = (
    "photograph", "region", "act", "by", "at", "before", "after", "pixels", "kept", "left", "top",
    "width", "height", "comment", "id",
)  # fmt: skip
_NOTE = (
    "machine suggestion, corrected by the reviewers named here; area_share is that of all pixels "
    "of the photograph, 0 to 1"
)


@dataclass
class Applied:
    """What was done.

    Attributes:
        out: The folder.
        photographs: Name -> number of pixels that have another class than predicted.
        changes: What was changed, photograph by photograph.
        conflicts: Name of a photograph -> what reviewers want differently.
        not_reviewed: Names of photographs that no review mentions; they are not in the folder.
        notes: What the person should know.
    """

    out: Path
    photographs: dict[str, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    conflicts: dict[str, list[Conflict]] = field(default_factory=dict)
    not_reviewed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def apply_review(
    reviews: Sequence[str | Path],
    predictions: str | Path,
    out: str | Path,
    *,
    final: str | Path | None = None,
    data_set: str | Path | None = None,
    unreviewed: str = IGNORE,
    photos: str | Path | None = None,
    bar: Bar = no_bar,
) -> Applied:
    """Writes corrected class maps, their quantities, and a record of every change.

    For each reviewed photograph there are ``<name>_classes.png`` (``.tif`` where it was one),
    ``<name>_regions.csv`` and ``<name>.json``, for all together ``areas.csv``, ``regions.csv``,
    ``changes.csv`` and ``changes.json``.

    Args:
        reviews: Files that the review page has exported.
        predictions: Folder that predict wrote.
        out: Folder to make, absent or empty.
        final: A further review whose word counts where the others disagree.
        data_set: Folder to make, absent or empty, with images/ and annotations/ to train on.
        unreviewed: What becomes, in the data set, of pixels that nobody decided on, unless the
            whole photograph was marked as reviewed: ``keep`` as predicted, or ``ignore`` (255).
        photos: Folder of the photographs, where they are not where they were predicted.
        bar: Shows progress.

    Raises:
        InputError: If reviews cannot be used, belong to other predictions, or name unknown classes
            or regions; nothing is written then.
    """
    out, source = Path(out), Path(predictions)
    if data_set is not None:
        _check_new(Path(data_set), RECORD)
    _check_new(out, CHANGES_FILE)
    if data_set is not None:
        places = [out.resolve(), Path(data_set).resolve()]
        if any(place == other or place in other.parents
               for place, other in (places, reversed(places))):  # fmt: skip
            raise InputError(f"{data_set}: cannot lie in {out}, nor around it; give another folder")
    require_known("--unreviewed", [unreviewed], [KEEP, IGNORE])
    found = find_predictions(source, None if photos is None else Path(photos))
    read, last, notes = _read(reviews, final)
    _refuse_others(read, found, source)
    of_photograph = _by_photograph(read)
    done = Applied(out, notes=notes)
    done.not_reviewed = [name for name in found if name not in of_photograph]
    problems: list[str] = []
    with ExitStack() as stack:
        places = [out] if data_set is None else [out, Path(data_set)]
        folder, *roots = stack.enter_context(making_folders(places))
        corrections = None
        if roots:
            corrections = ReviewedDataSet(roots[0], [found[name] for name in of_photograph])
        report = stack.enter_context(bar("correcting"))
        for number, name in enumerate(of_photograph, start=1):
            try:
                result = _Corrected(found[name], of_photograph[name], last)
            except InputError as error:
                problems += error.problems or [str(error)]
                continue
            result.write(folder, read)
            result.note(done)
            if corrections is not None:
                corrections.add(found[name], result.annotation(unreviewed))
            if report:
                report(number, len(of_photograph))
        if problems:
            raise InputError("the reviews do not fit the predictions; nothing is written", problems)
        write_tables(folder)
        _write_changes(folder, done, read, source)
        if corrections is not None:
            corrections.finish([review.path.name for review in read])
    return done


def _check_new(folder: Path, file: str) -> None:
    """Refuses a folder that is neither empty nor of a command that was ended, with this file."""
    if not (is_unfinished(folder) and (folder / file).is_file()):
        check_empty(folder)


def _read(
    reviews: Sequence[str | Path], final: str | Path | None
) -> tuple[list[Review], str | None, list[str]]:
    """Reads all files; an earlier copy of another one is left out."""
    problems, read = [], []
    paths = [*map(Path, reviews), *([Path(final)] if final is not None else [])]
    for path in dict.fromkeys(paths):
        try:
            read.append(read_review(path))
        except InputError as error:
            problems += [f"{path}: {p}" for p in error.problems] or [str(error)]
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror})")
    if problems:
        raise InputError("the reviews cannot be used", problems)
    notes, kept = [], []
    acts = [{act.id for act in review.acts} for review in read]
    for place, review in enumerate(read):
        newer = next(
            (other for i, other in enumerate(read)
             if acts[place] < acts[i] or (acts[place] == acts[i] and i < place)), None,
        )  # fmt: skip
        if newer is None or review.path == (final and Path(final)):
            kept.append(review)
        else:
            notes.append(f"{review.path}: all it says is in {newer.path}; left out")
    return kept, None if final is None else str(Path(final)), notes


def _refuse_others(reviews: Sequence[Review], found: dict[str, Predicted], source: Path) -> None:
    """Refuses reviews of photographs or predictions that are not those in the folder."""
    problems = []
    hashes: dict[str, dict[str, str]] = {}
    what = {"image_sha256": "photograph", "class_map_sha256": "class map",
            "checkpoint_sha256": "checkpoint"}  # fmt: skip
    for review in reviews:
        for name in dict.fromkeys(act.photograph for act in review.acts):
            if name not in found:
                problems.append(f"{review.path}: '{name}' is not among the predictions")
                continue
            own = hashes.setdefault(name, found[name].hashes())
            facts = review.photographs[name]
            others = [what[key] for key in what if facts[key] != own[key]]
            if (facts["width"], facts["height"]) != found[name].size:
                others.append("size")
            if others:
                problems.append(
                    f"{review.path}: '{name}' was reviewed with another {', another '.join(others)}"
                )
    if problems:
        raise InputError(
            f"{source}: is not what was reviewed; give the folder of predictions from which the "
            "review page was made",
            problems,
        )


def _by_photograph(reviews: Sequence[Review]) -> dict[str, dict[str, list[Act]]]:
    """Returns name of a photograph -> file -> its acts."""
    found: dict[str, dict[str, list[Act]]] = {}
    for review in reviews:
        for act in review.acts:
            of_files = found.setdefault(act.photograph, {})
            of_files.setdefault(str(review.path), []).append(act)
    if not found:
        raise InputError("the reviews hold no acts: nothing was accepted, rejected or changed")
    return found


class _Corrected:
    """A photograph as its reviewers want it.

    Args:
        predicted: The prediction.
        acts: File -> its acts.
        final: The file whose word counts.

    Raises:
        InputError: If the acts do not fit the prediction.

    Attributes:
        class_map: Corrected mask values, uint8 (H, W).
        conflicts: Where reviewers disagree.
        changes: What the acts did, each once, though two files may hold it.
        changed: Pixels that have another class than predicted.
    """

    def __init__(self, predicted: Predicted, acts: dict[str, list[Act]], final: str | None) -> None:
        self.predicted, self._values = predicted, Values(predicted.ids)
        self._before = predicted.read_map()
        self._layers: dict[str, Layer] = {
            file: decided(self._before, own, self._values) for file, own in acts.items()
        }
        self.class_map, self._is_decided, self.conflicts = merged(
            self._before, self._layers, self._values, final
        )
        found = dict.fromkeys(c for layer in self._layers.values() for c in layer.changes)
        self.changes = [
            with_kept(change, self._before, self.class_map, self._values) for change in found
        ]
        self.changed = int(np.count_nonzero(self.class_map != self._before))
        self._scale, self.scales = _scale_of(predicted, acts, final)

    def note(self, done: Applied) -> None:
        """Adds to what was done."""
        done.photographs[self.predicted.name] = self.changed
        done.changes += self.changes
        if len(self.scales) > 1:
            given = ", ".join(f"{scale.across:.4g} mm/px by {file}" for file, scale in self.scales)
            last, _ = self.scales[-1]
            done.notes.append(
                f"{self.predicted.name}: reviewers give different scales: {given}; it is measured "
                f"with that of {last}"
            )
        if self.conflicts:
            done.conflicts[self.predicted.name] = self.conflicts

    def annotation(self, unreviewed: str) -> NDArray[np.uint8]:
        """Returns the mask values to train on, uint8 (H, W)."""
        in_doubt = ~self._is_decided
        if unreviewed == KEEP or any(layer.is_finished for layer in self._layers.values()):
            in_doubt = self._disputed()
        if UNDECIDED not in self.predicted.ids.values():
            in_doubt = in_doubt | (self.class_map == UNDECIDED)
        return np.where(in_doubt, IGNORE_INDEX, self.class_map).astype(np.uint8)

    def _disputed(self) -> NDArray[np.bool_]:
        """Returns where something was decided, and not alike."""
        said = np.zeros(self._before.shape, bool)
        for layer in self._layers.values():
            said |= layer.values >= 0
        return said & ~self._is_decided

    def write(self, out: Path, reviews: Sequence[Review]) -> None:
        """Writes the map, the table of its regions and its JSON file."""
        one, record = self.predicted, self.predicted.record
        names = list(one.ids)
        palette = [row["color"] for row in record["classes"]]
        class_map = position_table(list(one.ids.values()), undecided=True)[self.class_map]
        photograph = Photograph(Path(record["image"]), one.name)
        path = photograph.result(out, f"_classes{one.class_map.suffix}")
        write = write_large_class_map if path.suffix == ".tif" else write_class_map
        write(path, class_map, palette, list(one.ids.values()))
        counts = value_counts(class_map)[: len(names)] / class_map.size
        content = {
            **record,
            "area_share": dict(zip(names, counts.tolist(), strict=True)),
            "levels": {},
            "files": {"class_map": path.name},
            "note": _NOTE,
            "reviewed": {
                "version": __version__,
                "by": sorted({change.act.by for change in self.changes}),
                "reviews": [{"file": r.path.name, "sha256": r.sha256} for r in reviews],
                "predicted_class_map_sha256": one.hashes()["class_map_sha256"],
                "changed_pixels": self.changed,
                "conflict_pixels": int(np.count_nonzero(self._disputed())),
                "whole_photograph": any(layer.is_finished for layer in self._layers.values()),
            },
        }
        kinds = [record["quantities"][name]["kind"] for name in names]
        job = Job(out, record["made_with"], unsure_below=record["unsure"]["below"])
        write_quantities(
            content, photograph, job, class_map, None, names, kinds, palette, self._scale
        )


def _scale_of(
    predicted: Predicted, acts: Mapping[str, Sequence[Act]], final: str | None
) -> tuple[FoundScale, list[tuple[str, Scale]]]:
    """Returns the scale of a photograph, and those that reviewers gave where they differ.

    The last one counts, in the file whose word counts or else in all; without any, that with which
    it was predicted.
    """
    before = FoundScale.of_content(predicted.record["scale"])
    given = [(file, act) for file, own in acts.items() for act in own if act.kind == SCALE]
    if not given:
        return before, []
    last = dict(given)  # of each file its last one
    order = sorted(last, key=lambda file: (file == final, _time(last[file])))
    scales = [(Path(file).name, last[file].scale(before.scale)) for file in order]
    chosen = scales[-1][1]
    differ = any(not math.isclose(scale.across, chosen.across, rel_tol=0.01) for _, scale in scales)
    return FoundScale(chosen), scales if differ else []


def _time(act: Act) -> datetime:
    return datetime.fromisoformat(act.at.replace("Z", "+00:00"))  # which Python 3.10 does not read


def _cell(value: Any) -> Any:
    """Returns a cell that a spreadsheet does not take for a formula: comments are of anyone."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def _write_changes(folder: Path, done: Applied, reviews: Sequence[Review], source: Path) -> None:
    rows = [change_row(change) for change in done.changes]
    table = [[_cell(row[column]) for column in CHANGE_COLUMNS] for row in rows]
    write_table(folder / "changes.csv", CHANGE_COLUMNS, table)
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": __version__,
        "predictions": source.name,
        "reviews": [
            {"file": r.path.name, "sha256": r.sha256, "reviewers": r.reviewers} for r in reviews
        ],
        "changed_pixels": done.photographs,
        "changes": rows,
        "conflicts": [
            {"photograph": name, "what": c.what, "box": c.box, "pixels": c.pixels, "said": c.said}
            for name, conflicts in done.conflicts.items()
            for c in conflicts
        ],
        "not_reviewed": done.not_reviewed,
    }
    write_json(folder / CHANGES_FILE, content)
