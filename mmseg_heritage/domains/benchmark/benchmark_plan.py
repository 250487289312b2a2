"""The plan of a benchmark: methods, folds and seeds, expanded into runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.splits.split_makers import LEAVE_ONE_OUT
from mmseg_heritage.domains.adaptation.adaptation import METHODS as ADAPTATIONS
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.json_reading import form_problems, parse_json

SCHEMA = "mmseg_heritage/benchmark-dg-plan/1"
_METHOD = {
    "config": str,
    "cfg_options": {str: object},
    "family_options": {str: {str: object}},
    "relative_cost": float,
}
_FORM = {
    "schema": str,
    "data_root": str,
    "folds": {str: (str, [str])},
    "methods": {str: _METHOD},
    "reference": str,
    "seeds": [int],
    "max_iters": int,
    "cfg_options": {str: object},
    "seconds_per_iteration": float,
    "test_seconds": float,
    "adapt": [str],
    "oracle": bool,
}
_NEEDED = ("schema", "data_root", "folds", "methods", "reference", "seeds", "max_iters",
           "seconds_per_iteration")  # fmt: skip
_SET_BY_THE_PLAN = {"data_root", "split_file", "seed", "max_iters"}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Method:
    """A config that is compared.

    Attributes:
        config: Its name or file.
        cfg_options: Of all its runs.
        relative_cost: Its time for an iteration in those of the reference.
        family_options: Family of splits -> what ``cfg_options`` are there besides.
    """

    config: str
    cfg_options: Mapping[str, Any]
    relative_cost: float = 1.0
    family_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedRun:
    """A training and its tests, in ``<out>/<method>/<family>/<fold>/seed-<seed>``."""

    method: str
    family: str
    fold: str
    seed: int

    @property
    def name(self) -> str:
        """The folder of the run, below that of the benchmark."""
        return f"{self.method}/{self.family}/{self.fold}/seed-{self.seed}"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        data_root: Folder of the data set.
        folds: Family of splits -> 'all', or the names of its folds.
        methods: Name -> method.
        reference: Name of the method that the others are compared with.
        seeds: Of the trainings.
        max_iters: Iterations of every training.
        cfg_options: Of all methods.
        seconds_per_iteration: Of the reference, to foretell the time.
        test_seconds: Of all tests of a run, to foretell the time.
        adapt: Ways of adaptation with which the last weights are tested too.
        oracle: Whether the checkpoint that is best on the held-out images is looked for too.
    """

    data_root: str
    folds: Mapping[str, Any]
    methods: Mapping[str, Method]
    reference: str
    seeds: tuple[int, ...]
    max_iters: int
    cfg_options: Mapping[str, Any]
    seconds_per_iteration: float
    test_seconds: float = 0.0
    adapt: tuple[str, ...] = ()
    oracle: bool = False

    def runs(self, folds: Mapping[str, list[str]]) -> list[PlannedRun]:
        """Returns all runs, those of one seed and fold behind each other.

        Args:
            folds: Family -> names of its folds.
        """
        return [
            PlannedRun(method, family, fold, seed)
            for seed in self.seeds
            for family, names in folds.items()
            for fold in names
            for method in self.methods
        ]

    def hours(self, runs: list[PlannedRun]) -> float:
        """Returns the expected GPU hours.

        They are the sum over runs of
        (max_iters x seconds_per_iteration x relative_cost + test_seconds) / 3600.
        """
        costs = (self.methods[run.method].relative_cost for run in runs)
        iterations = self.max_iters * self.seconds_per_iteration
        return sum(iterations * cost + self.test_seconds for cost in costs) / 3600


def load_plan(path: str | Path) -> Plan:
    """Reads a plan.

    Raises:
        InputError: With everything that is wrong.
    """
    path = Path(path)
    try:
        content = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the plan of a benchmark in JSON: {error}") from error
    problems = list(form_problems(content, _FORM, "plan")) or list(_problems(content))
    if problems:
        raise InputError(f"{path}: expected the plan of a benchmark", problems)
    methods = {name: Method(**{"cfg_options": {}, **m}) for name, m in content["methods"].items()}
    return Plan(
        data_root=content["data_root"],
        folds=content["folds"],
        methods=methods,
        reference=content["reference"],
        seeds=tuple(content["seeds"]),
        max_iters=content["max_iters"],
        cfg_options=content.get("cfg_options", {}),
        seconds_per_iteration=content["seconds_per_iteration"],
        test_seconds=content.get("test_seconds", 0.0),
        adapt=tuple(content.get("adapt", ())),
        oracle=content.get("oracle", False),
    )


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with a plan whose values have the right types."""
    missing = [key for key in _NEEDED if key not in content]
    yield from (f"{key} is missing" for key in missing)
    yield from (f"{key} is unknown; known are {', '.join(_FORM)}" for key in content.keys() - _FORM)
    if missing:
        return
    if content["schema"] != SCHEMA:
        yield f"schema: expected {SCHEMA}, found {content['schema']}"
    for family, names in content["folds"].items():
        if family not in LEAVE_ONE_OUT:
            yield f"folds: expected {' or '.join(LEAVE_ONE_OUT)}, found {family}"
        if isinstance(names, str) and names != "all":
            yield f"folds.{family}: expected 'all' or a list of names, found '{names}'"
    for key in ("folds", "methods", "seeds"):
        if not content[key]:
            yield f"{key}: is empty"
    if len(set(content["seeds"])) < len(content["seeds"]):
        yield "seeds: one is given twice"
    for name in content.get("adapt", ()):
        if name not in ADAPTATIONS:
            yield f"adapt: expected {', '.join(ADAPTATIONS)}, found '{name}'"
    for name, method in content["methods"].items():
        if not _NAME.fullmatch(name):
            yield f"methods: '{name}' is to be of a-z, 0-9 and '-'"
        if "config" not in method:
            yield f"methods.{name}.config is missing"
        yield from (f"methods.{name}.{key} is unknown" for key in method.keys() - _METHOD)
        if method.get("relative_cost", 1) <= 0:
            yield f"methods.{name}.relative_cost: expected more than 0"
        yield from _set_twice(f"methods.{name}.cfg_options", method.get("cfg_options", {}))
        for family, options in method.get("family_options", {}).items():
            place = f"methods.{name}.family_options.{family}"
            if family not in content["folds"]:
                yield f"{place}: expected one of the plan's folds"
            yield from _set_twice(place, options)
    yield from _set_twice("cfg_options", content.get("cfg_options", {}))
    if content["reference"] not in content["methods"]:
        yield f"reference: '{content['reference']}' is none of the methods"
    for key in ("max_iters", "seconds_per_iteration"):
        if content[key] <= 0:
            yield f"{key}: expected more than 0, found {content[key]}"


def _set_twice(place: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Yields options that the plan itself sets."""
    yield from (f"{place}.{key}: the plan sets it" for key in _SET_BY_THE_PLAN & options.keys())
