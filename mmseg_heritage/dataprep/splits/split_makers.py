"""Making splits: hold-out, k-fold, and leave-one-out by material or content.

All of them keep together what :func:`mmseg_heritage.dataprep.splits.groups.split_units` says, hold
originals only in val and test, balance the classes that occur and the materials, and take the
validation part from the domains that are trained on. The same arguments make the same split on
every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import split_units, unit_name
from mmseg_heritage.dataprep.splits.split import Split, assemble
from mmseg_heritage.dataprep.splits.stratify import stratify
from mmseg_heritage.errors import InputError
from mmseg_heritage.version import __version__

Unit = Sequence[Sample]

HOLDOUT, KFOLD = "holdout", "kfold"
LEAVE_ONE_OUT = {"leave-one-material-out": "material", "leave-one-content-out": "content"}
"""Kind of split -> the field of a sample whose values are left out in turn."""


@dataclass(frozen=True)
class SplitMaker:
    """What all splits of one data set are made from.

    Args:
        samples: All samples of the data set.
        classes: Sample id -> ids of the classes in its mask; samples without an entry count as
            having none.
        near_duplicates: How near-duplicates were looked for, as the manifest will say it; its key
            ``groups`` lists ids that stay together, beside those of one ``group_id``.
        seed: Another seed gives other splits.
        val_share: Part of the samples outside the test part that chooses the model, in k-fold and
            leave-one-out.

    Raises:
        InputError: If ``val_share`` is not between 0 and 1.
    """

    samples: Sequence[Sample]
    classes: Mapping[str, Sequence[int]]
    near_duplicates: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    val_share: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.val_share < 1:
            raise InputError(
                f"the validation part must be between 0 and 100 percent, found "
                f"{100 * self.val_share:g}"
            )

    def holdout(self, shares: Sequence[float] = (0.7, 0.15, 0.15)) -> Split:
        """Divides once into train, val and test.

        Args:
            shares: Of the originals, for train, val and test; above 0, sum 1.

        Raises:
            InputError: If the shares do not add up, or the data set is too small.
        """
        add_up = abs(sum(shares) - 1) < 1e-6
        if len(shares) != 3 or not all(share > 0 for share in shares) or not add_up:
            given = " ".join(f"{100 * share:g}" for share in shares)
            raise InputError(
                "the percentages of train, val and test must be three numbers above 0 that add up "
                f"to 100, found {given} (sum {100 * sum(shares):g})"
            )
        units, orphans = self._units()
        names = ("train", "test", "val")  # a class of two objects is better tested than validated
        in_order = (shares[0], shares[2], shares[1])
        parts = dict(zip(names, self._divide(units, in_order, HOLDOUT), strict=True))
        placed = [(unit, name) for name in names for unit in parts[name]]
        placed += [(unit, "train") for unit in orphans]
        return self._split(HOLDOUT, HOLDOUT, placed, {"shares": [round(s, 6) for s in shares]})

    def kfold(self, folds: int = 5) -> dict[str, Split]:
        """Makes folds in which every original is tested exactly once.

        Args:
            folds: How many, at least 2.

        Returns:
            Name of the fold -> split.

        Raises:
            InputError: If the data set has too few separate objects for so many folds.
        """
        units, orphans = self._units()
        if folds < 2:
            raise InputError(f"k-fold needs at least 2 folds, found {folds}")
        if len(units) < max(folds, 3):
            raise InputError(
                f"{folds} folds need at least {max(folds, 3)} objects that may be separated, found "
                f"{len(units)} (copies and near-duplicates count once)"
            )
        buckets = self._divide(units, [1 / folds] * folds, KFOLD)
        splits = {}
        for number, tested in enumerate(buckets, start=1):
            name = f"fold-{number:0{len(str(folds))}}"
            rest = [unit for bucket in buckets if bucket is not tested for unit in bucket]
            placed = [(unit, "test") for unit in tested] + self._train_and_val(rest, name)
            placed += [(unit, "train") for unit in orphans]
            splits[name] = self._split(KFOLD, name, placed, {"fold": number, "folds": folds})
        return splits

    def leave_one_out(self, kind: str) -> dict[str, Split]:
        """Makes one split for each material or content, which is then tested and never trained on.

        Units that have a sample of the tested value are left out of training altogether, so that
        a near-duplicate from another domain does not carry it in; so are tiles and copies whose
        domain nobody stated.

        Args:
            kind: A key of :data:`LEAVE_ONE_OUT`.

        Returns:
            Name of the fold, made from the value -> split.

        Raises:
            InputError: If originals lack the value, or if there are fewer than two values.
        """
        attribute = LEAVE_ONE_OUT[kind]
        units, orphans = self._units()
        values = self._values(attribute, units)
        splits = {}
        for value, name in values.items():
            placed: list[tuple[Unit, str]] = []
            rest = []
            for unit in units:
                if value not in _stated(unit, attribute):
                    rest.append(unit)
                    continue
                tested = [s for s in unit if not s.is_derived and getattr(s, attribute) == value]
                placed.append((tested, "test"))
            placed += self._train_and_val(rest, name)
            for unit in orphans:
                domains = _stated(unit, attribute)
                if domains and value not in domains:
                    placed.append((unit, "train"))
            splits[name] = self._split(
                kind, name, placed, {"held_out": {attribute: value}, "folds": len(values)}
            )
        return splits

    def _units(self) -> tuple[list[Unit], list[Unit]]:
        """Returns the units with an original, and those of copies and tiles only."""
        units = split_units(self.samples, self.near_duplicates.get("groups", ()))
        with_original: list[Unit] = []
        orphans: list[Unit] = []
        for unit in units:
            (orphans if all(s.is_derived for s in unit) else with_original).append(unit)
        if len(with_original) < 3:
            raise InputError(
                "a split into train, val and test needs 3 objects with an original photograph that "
                f"may be separated, found {len(with_original)} (near-duplicates count once)"
            )
        return with_original, orphans

    def _divide(
        self, units: Sequence[Unit], shares: Sequence[float], purpose: str
    ) -> list[list[Unit]]:
        """Divides units with originals by shares, balanced by classes and materials."""
        shuffled = sorted(units, key=lambda unit: self._rank(purpose, unit_name(unit)))
        originals = [[s for s in unit if not s.is_derived] for unit in shuffled]
        counts = [Counter(label for s in unit for label in self._labels(s)) for unit in originals]
        # Shuffled too: of two labels that are equally rare, the first is divided first.
        names = sorted(set().union(*counts), key=lambda name: self._rank(purpose, name))
        labels = np.zeros((len(counts), len(names)), dtype=np.int64)
        for row, count in enumerate(counts):
            labels[row] = [count[name] for name in names]
        sizes = np.array([len(unit) for unit in originals], dtype=np.int64)
        parts: list[list[Unit]] = [[] for _ in shares]
        for unit, part in zip(shuffled, stratify(labels, sizes, shares), strict=True):
            parts[part].append(unit)
        return parts

    def _labels(self, sample: Sample) -> set[str]:
        """Returns what a sample is balanced by."""
        classes = {f"class {c}" for c in self.classes.get(sample.id, ())}
        return classes | ({f"material {sample.material}"} if sample.material else set())

    def _rank(self, purpose: str, name: str) -> str:
        """Shuffles without a random generator, whose numbers could change with its version."""
        text = f"{self.seed} {purpose} {name}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def _train_and_val(self, rest: Sequence[Unit], purpose: str) -> list[tuple[Unit, str]]:
        """Takes the validation part from what is not tested."""
        if len(rest) < 2:
            raise InputError(
                f"split '{purpose}' leaves {len(rest)} objects that may be separated for train and "
                "val, and needs 2: the data set is too small, or too much of it is alike"
            )
        train, val = self._divide(rest, (1 - self.val_share, self.val_share), purpose)
        return [(unit, "train") for unit in train] + [(unit, "val") for unit in val]

    def _split(
        self,
        kind: str,
        name: str,
        placed: Sequence[tuple[Unit, str]],
        details: Mapping[str, Any],
    ) -> Split:
        """Makes the manifest's content."""
        parts = assemble(placed)
        used = {i for ids in parts.values() for i in ids}
        made = {
            "kind": kind,
            "seed": self.seed,
            **({} if kind == HOLDOUT else {"val_share": self.val_share}),
            **details,
            "near_duplicates": dict(self.near_duplicates),
            "left_out": sorted(s.id for s in self.samples if s.id not in used),
            "made_by": f"mmseg_heritage {__version__}",
        }
        return Split(name, parts, made)

    def _values(self, attribute: str, units: Sequence[Unit]) -> dict[str, str]:
        """Returns value -> name of its fold."""
        originals = [s for unit in units for s in unit if not s.is_derived]
        names = _fold_names(attribute, originals)
        problems = _domain_problems(attribute, originals, names)
        if problems:
            raise InputError(
                f"leave-one-{attribute}-out needs the {attribute} of every original, and at least "
                f"two different {attribute}s; complete metadata.csv, or make the kinds that fit: "
                f"--kinds {' '.join(fitting_kinds(self.samples))}",
                problems,
            )
        return names


def fitting_kinds(samples: Sequence[Sample]) -> list[str]:
    """Returns the kinds of splits that the metadata is enough for.

    Args:
        samples: All samples of a data set. Whether there are enough of them is not looked at.
    """
    originals = [s for s in samples if not s.is_derived]
    return [HOLDOUT, KFOLD] + [
        kind
        for kind, attribute in LEAVE_ONE_OUT.items()
        if not _domain_problems(attribute, originals, _fold_names(attribute, originals))
    ]


def _fold_names(attribute: str, originals: Sequence[Sample]) -> dict[str, str]:
    """Returns value -> name of its fold."""
    values = sorted({getattr(s, attribute) for s in originals} - {""})
    return {value: fold_name(value) for value in values}


def _domain_problems(
    attribute: str, originals: Sequence[Sample], names: Mapping[str, str]
) -> list[str]:
    """Returns what keeps the values of a field from being left out in turn."""
    problems = [f"'{s.id}' has no {attribute}" for s in originals if not getattr(s, attribute)]
    problems += [
        f"the {attribute} '{value}' gives no name for a file of its own: '{name}'"
        for value, name in names.items()
        if not name or list(names.values()).count(name) > 1
    ]
    if len(names) < 2:
        noun = attribute if len(names) == 1 else f"{attribute}s"
        problems.append(f"found {len(names)} {noun}: {', '.join(names) or 'none'}")
    return problems


def _stated(unit: Unit, attribute: str) -> set[str]:
    """Returns the materials or contents that the samples of a unit state."""
    return {getattr(s, attribute) for s in unit} - {""}


def fold_name(value: str) -> str:
    """Returns a material or content as the name of a file: 'Film emulsion' -> 'film-emulsion'."""
    return re.sub(r"[\W_]+", "-", value.casefold()).strip("-")
