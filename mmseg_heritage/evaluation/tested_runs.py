"""Tested runs, found by their folders and read: one test, the folds of a family, several seeds.

Needs numpy only, so that runs are compared on machines without torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import PARTS, Counts, load_counts
from mmseg_heritage.evaluation.summary import COUNTS_FILE, METRICS_FILE, load_metrics
from mmseg_heritage.utils.json_reading import form_problems, parse_json

FOLDS_FILE = "folds.json"
EVALUATION_FOLDER = "evaluation"
"""Below the folder of a run; holds what a test writes."""
FIGURES_FOLDER = "figures"
"""Below that; holds what ``visualize`` draws."""


@dataclass(frozen=True, eq=False)
class Run:
    """A model as it was tested: on one test part, or with each fold of a family on its own.

    Attributes:
        folder: Where it was found, absolute.
        counts: Of all tested images.
        stamps: What each test says of itself, from ``run`` in its metrics.json.
        not_tested: Names of folds that are missing.
    """

    folder: Path
    counts: Counts
    stamps: tuple[Mapping[str, Any], ...]
    not_tested: tuple[str, ...] = ()

    def split_names(self) -> str:
        """Returns the names of the splits, for messages."""
        return ", ".join(sorted({str(s["split"]["name"]) for s in self.stamps}))

    def splits(self) -> list[str]:
        """Returns the hashes of the splits, sorted."""
        return sorted(str(s["split"]["sha256"]) for s in self.stamps)

    def parts(self) -> list[str]:
        """Returns the parts of the splits that were tested, sorted."""
        return sorted({str(s["split"]["part"]) for s in self.stamps})


@dataclass(frozen=True, eq=False)
class Entry:
    """What is compared: a run, or several of one model that differ in their seed.

    Attributes:
        label: Its name, unique among those compared.
        runs: All tested on the same images.
    """

    label: str
    runs: tuple[Run, ...]

    @property
    def counts(self) -> Counts:
        """Those of the first run; truth, images and classes are the same in all."""
        return self.runs[0].counts


def read_entries(arguments: Sequence[str]) -> list[Entry]:
    """Reads the runs that a command line names.

    Args:
        arguments: Each a folder, ``LABEL=FOLDER``, or ``LABEL=FOLDER,FOLDER,...`` for runs that
            differ in their seed. A folder is that of a run, its ``evaluation`` folder, or the
            folder of a family of folds, whose tests are pooled. A label that is not given is the
            name of the folder, with those above it where that is not unique.

    Raises:
        InputError: With everything that is wrong: folders that hold no run or results of an older
            version, labels or folders that come twice.
    """
    named = [_label_and_paths(argument) for argument in arguments]
    problems = [
        f"{argument}: several runs need a name, such as unet={argument}"
        for argument, (label, paths) in zip(arguments, named, strict=True)
        if label is None and len(paths) > 1
    ]
    folders = Counter(_run_folder(path) for _, paths in named for path in paths)
    problems += [f"{folder}: is given twice" for folder, times in folders.items() if times > 1]
    runs: dict[Path, Run] = {}
    for path in (path for _, paths in named for path in paths):
        try:
            runs[path] = read_run(path)
        except InputError as error:
            problems += [error.summary, *(f"{path}: {problem}" for problem in error.problems)]
    labels = _labels(named)
    twice = [label for label, times in Counter(labels).items() if times > 1]
    problems += [f"{label}: names two runs; choose another name" for label in twice]
    if not problems:
        entries = [
            Entry(label, tuple(runs[path] for path in paths))
            for label, (_, paths) in zip(labels, named, strict=True)
        ]
        problems = [problem for entry in entries for problem in _seed_problems(entry)]
    if problems:
        raise InputError(
            "expected runs that were tested: folders with evaluation/metrics.json beside "
            "per_image.npz, or with folds.json",
            problems,
        )
    return entries


def read_run(path: str | Path) -> Run:
    """Reads a run, its evaluation folder, or a family of folds.

    Raises:
        InputError: If there is no tested run, if its files are of an older version or damaged, or
            if folds do not fit together.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    if (path / FOLDS_FILE).is_file():
        names, missing = _fold_names(path / FOLDS_FILE)
        tests = [_read_test(path / name / EVALUATION_FOLDER) for name in names]
        counts = _pooled(path, [fold for fold, _ in tests])
        return Run(path.resolve(), counts, tuple(stamp for _, stamp in tests), tuple(missing))
    folder = path if (path / METRICS_FILE).is_file() else path / EVALUATION_FOLDER
    if not (folder / METRICS_FILE).is_file():
        raise InputError(
            f"{path}: no tested run: neither {EVALUATION_FOLDER}/{METRICS_FILE} nor "
            f"{FOLDS_FILE} is in it"
        )
    counts, stamp = _read_test(folder)
    return Run(_run_folder(path), counts, (stamp,))


def _label_and_paths(argument: str) -> tuple[str | None, list[Path]]:
    """Takes an argument apart; what exists as it stands is a folder, whatever its name."""
    if Path(argument).expanduser().exists():
        return None, [Path(argument).expanduser()]
    label, equals, rest = argument.partition("=")
    if not equals:
        label, rest = "", argument
    whole = Path(rest).expanduser()
    paths = [whole] if whole.exists() else [Path(p).expanduser() for p in rest.split(",")]
    return label or None, paths


def _run_folder(path: Path) -> Path:
    """Returns the absolute folder of a run, also for its evaluation folder."""
    path = path.resolve()
    return path.parent if path.name == EVALUATION_FOLDER else path


def _labels(named: Sequence[tuple[str | None, Sequence[Path]]]) -> list[str]:
    """Names entries after their folders, with as many of the folders above as tell them apart."""
    given = {label for label, _ in named if label}
    parts = {
        place: _run_folder(paths[0]).parts
        for place, (label, paths) in enumerate(named)
        if not label
    }
    labels = {}
    for place, own in parts.items():
        others = [other for key, other in parts.items() if key != place]
        for length in range(1, len(own) + 1):
            labels[place] = "/".join(own[-length:])
            if labels[place] not in given and all(o[-length:] != own[-length:] for o in others):
                break
    return [label or labels[place] for place, (label, _) in enumerate(named)]


def _read_test(folder: Path) -> tuple[Counts, Mapping[str, Any]]:
    """Reads what a test wrote."""
    path = folder / METRICS_FILE
    content = load_metrics(path)
    stamp = content.get("run") or {}
    if not {"name", "sha256", "part"} <= set(stamp.get("split") or ()):
        raise InputError(
            f"{path}: does not say which split was tested, so the test was not finished; test the "
            "checkpoint again with --overwrite"
        )
    return load_counts(folder / COUNTS_FILE), stamp


def _fold_names(path: Path) -> tuple[list[str], list[str]]:
    """Returns the folds of a family that are tested, and those that are not."""
    try:
        content = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the scores of folds in JSON ({error})") from error
    form = {"folds": {str: {}}, "not_tested": [str]}
    problems = list(form_problems(content, form, "folds"))
    if problems or not content.get("folds"):
        raise InputError(f"{path}: expected the scores of folds", problems or ["there are none"])
    names, missing = list(content["folds"]), list(content.get("not_tested", ()))
    if outside := [name for name in names if Path(name).name != name]:
        raise InputError(f"{path}: names folders elsewhere", outside)
    return names, missing


def _pooled(path: Path, folds: Sequence[Counts]) -> Counts:
    """Joins the images of folds; a part that some lack, or counted otherwise, is left out."""
    first, problems = folds[0], []
    if any((fold.classes, *fold.own) != (first.classes, *first.own) for fold in folds):
        problems.append("the folds have different classes or heads")
    tested = Counter(i for fold in folds for i in fold.ids)
    problems += [
        f"image {i} is tested in {times} folds" for i, times in tested.items() if times > 1
    ]
    if problems:
        raise InputError(f"{path}: its folds cannot be pooled", problems)
    ids = [i for fold in folds for i in fold.ids]
    order = np.argsort(ids)

    def joined(arrays: Sequence[Any]) -> Any:
        return np.concatenate(arrays)[order]

    values: dict[str, Any] = {
        key: tuple(joined([getattr(fold, key) for fold in folds]).tolist())
        for key in ("ids", "groups", "materials", "contents")
    }
    values["confusion"] = joined([fold.confusion for fold in folds])
    values["own"] = {name: joined([fold.own[name] for fold in folds]) for name in first.own}
    alike = len({(fold.boundary_tolerance, tuple(fold.component_edges)) for fold in folds}) == 1
    for part in PARTS:
        arrays = [getattr(fold, part) for fold in folds]
        shape = arrays[0].shape[1:]
        expected = [(len(fold.ids), *shape) for fold in folds]
        counted = alike and [array.shape for array in arrays] == expected
        values[part] = joined(arrays) if counted else np.zeros((0, *shape), arrays[0].dtype)
    return replace(first, **values)


def _seed_problems(entry: Entry) -> list[str]:
    """Lists why the runs of an entry are not one model with several seeds."""
    first, problems = entry.runs[0], []
    seen: dict[tuple[str, ...], Path] = {}
    for run in entry.runs:
        if (run.counts.ids, run.counts.classes) != (first.counts.ids, first.counts.classes):
            problems.append(
                f"{entry.label}: {run.folder} and {first.folder} were not tested on the same "
                "images and classes"
            )
        checkpoints = tuple(str(stamp.get("checkpoint_sha256")) for stamp in run.stamps)
        if "None" not in checkpoints and checkpoints in seen:
            problems.append(
                f"{entry.label}: {run.folder} and {seen[checkpoints]} tested the same checkpoint, "
                "which is one seed"
            )
        seen.setdefault(checkpoints, run.folder)
    return problems
