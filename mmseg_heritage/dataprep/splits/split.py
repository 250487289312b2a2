"""Which sample is trained on, which chooses the model, and which is scored: read, checked, or made.

A split is written once as JSON and obeyed afterwards::

    {"schema": "mmseg_heritage/split/1", "name": "holdout", "seed": 0, "sha256": "...",
     "parts": {"train": ["id", ...], "val": [...], "test": [...]}}

``sha256`` is :meth:`Split.digest`; it may be absent, but must be right where it is there. Other
keys say how the split was made (:mod:`mmseg_heritage.dataprep.splits.split_makers`). One of them is
obeyed here: samples that ``near_duplicates.groups`` lists together must be in one part.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.json_files import read_json
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import split_units, unit_name
from mmseg_heritage.errors import InputError

SCHEMA = "mmseg_heritage/split/1"
SPLIT_FILE = "split.json"
"""In the folder of a run: which images were trained on, which chose the model, which are tested."""
SCORED_PARTS = ("val", "test")
"""Parts that hold original photographs only: no copies, crops or tiles."""

_DEFAULT_SHARES = {"val": 0.15, "test": 0.15}  # of the source objects; the rest trains
_FIELDS = ("schema", "name", "sha256", "parts")  # keys of a manifest with a meaning of their own


@dataclass(frozen=True)
class Split:
    """Named parts of a data set.

    Attributes:
        name: How results refer to it.
        parts: Part name -> sorted sample ids.
        details: The other keys of the manifest: how it was made.
    """

    name: str
    parts: Mapping[str, tuple[str, ...]]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def near_duplicates(self) -> list[list[str]]:
        """Groups of sample ids that were kept together because they look alike."""
        groups: list[list[str]] = self.details.get("near_duplicates", {}).get("groups", [])
        return groups

    def part(self, name: str) -> tuple[str, ...]:
        """Returns the ids of a part.

        Raises:
            InputError: If there is no such part.
        """
        if name not in self.parts:
            raise InputError(
                f"split '{self.name}' has no part '{name}'; it has {', '.join(sorted(self.parts))}"
            )
        return self.parts[name]

    def digest(self) -> str:
        """Returns the SHA-256 of the parts as hex, the same however the file was formatted."""
        parts = {name: sorted(ids) for name, ids in self.parts.items()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Returns the manifest's content."""
        parts = {name: list(ids) for name, ids in self.parts.items()}
        head = {"schema": SCHEMA, "name": self.name, "sha256": self.digest()}
        return {**head, **self.details, "parts": parts}


def default_split(samples: Sequence[Sample]) -> Split:
    """Divides 70/15/15 by source object, the same on every machine and in every order of files.

    Sources are ranked by the SHA-256 of their id, so that neither file order nor a random generator
    matters; those that share a ``group_id`` count as one. Copies, crops and tiles follow their
    source into training and are left out of val and test, which hold originals only; those whose
    original is not in the data set train.

    Raises:
        InputError: If there are fewer than three source objects with an original photograph.
    """
    units = {unit_name(unit): unit for unit in split_units(samples)}
    ranked = sorted(
        (name for name, unit in units.items() if not all(s.is_derived for s in unit)),
        key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest(),
    )
    if len(ranked) < 3:
        raise InputError(
            "a split into train, val and test needs 3 source objects with an original photograph, "
            f"found {len(ranked)}"
        )
    part_of_unit: dict[str, str] = {}
    start = 0
    for name, share in _DEFAULT_SHARES.items():
        count = max(1, round(share * len(ranked)))
        part_of_unit.update(dict.fromkeys(ranked[start : start + count], name))
        start += count
    named = [(unit, part_of_unit.get(name, "train")) for name, unit in units.items()]
    return Split("default", assemble(named))


def assemble(units: Sequence[tuple[Sequence[Sample], str]]) -> dict[str, tuple[str, ...]]:
    """Fills the parts of a split from units that stay whole.

    Args:
        units: Samples that stay together, and their part: 'train', 'val' or 'test'.

    Returns:
        Part -> sorted ids. Of units in val and test the originals only.
    """
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for unit, part in units:
        parts[part] += [s.id for s in unit if not (part in SCORED_PARTS and s.is_derived)]
    return {name: tuple(sorted(ids)) for name, ids in parts.items()}


def load_split(path: str | Path) -> Split:
    """Reads a split manifest.

    Raises:
        InputError: If the file is missing or no manifest, if an id is in two parts or twice in one,
            or if the parts are no longer those that its hash was made from.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(
            f"{path}: expected a split manifest, found a folder; name one of its files, or run all "
            "of them with: train.py CONFIG --fold all"
        )
    try:
        content = read_json(path, SCHEMA, "a split manifest")
    except FileNotFoundError as error:
        raise _no_such_manifest(path) from error
    parts = content.get("parts")
    if not isinstance(parts, dict) or not all(map(_is_ids, parts.values())):
        raise InputError(f'{path}: expected "parts" to map names to lists of ids')
    problems = _overlaps(parts)
    if problems:
        raise InputError(f"{path}: the parts of a split must not overlap", problems)
    details = {key: value for key, value in content.items() if key not in _FIELDS}
    problems = _bad_details(details)
    if problems:
        raise InputError(f"{path}: keys of a split manifest have another form", problems)
    name = str(content.get("name") or path.stem)
    split = Split(name, {part: tuple(sorted(ids)) for part, ids in parts.items()}, details)
    if content.get("sha256", split.digest()) != split.digest():
        raise InputError(
            f"{path}: the parts are not those that its sha256 was made from: the file was edited, "
            "and results that name its hash belong to another split. Make it again with "
            'make_splits.py, or remove "sha256" from it to use it as a split of your own'
        )
    return _composed(split)


def _composed(split: Split) -> Split:
    """Returns a split with its ids as those of files are: accents with their letters (NFC)."""

    def composed(content: Any) -> Any:
        if isinstance(content, str):
            return unicodedata.normalize("NFC", content)
        if isinstance(content, (list, tuple)):
            return type(content)(map(composed, content))
        if isinstance(content, Mapping):
            return {key: composed(value) for key, value in content.items()}
        return content

    parts = {part: tuple(sorted(composed(ids))) for part, ids in split.parts.items()}
    details = {key: composed(value) for key, value in split.details.items()}
    return replace(split, parts=parts, details=details)


def _no_such_manifest(path: Path) -> InputError:
    """Returns the error for a manifest that is missing, which names those that are there."""
    folder = path.parent / "splits"  # a manifest of the data root was asked for
    folder = folder if folder.is_dir() else path.parent
    files = sorted([*folder.glob("[!.]*.json"), *folder.glob("*/[!.]*.json")])
    there = [str(file) for file in files if SCHEMA in _text(file)]
    what = f"{path}: expected a split manifest, but there is no such file"
    if there:
        return InputError(f"{what}. There are these", there)
    return InputError(f"{what}, and no other in {folder}; make them with make_splits.py")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def check_split(split: Split, samples: Sequence[Sample], origin: str | Path) -> None:
    """Verifies that a split fits a data set.

    Args:
        split: What was read.
        samples: All samples of the data set.
        origin: Where the split came from, for the message.

    Raises:
        InputError: If the split names ids that the data set lacks, puts one source object or
            near-duplicates of each other into two parts, or has copies in val or test.
    """
    by_id = {sample.id: sample for sample in samples}
    problems = []
    part_of: dict[str, str] = {}
    for part, ids in split.parts.items():
        for sample_id in ids:
            sample = by_id.get(sample_id)
            if sample is None:
                problems.append(f"part '{part}' names '{sample_id}', which the data set lacks")
                continue
            part_of[sample_id] = part
            if part in SCORED_PARTS and sample.is_derived:
                problems.append(
                    f"part '{part}' holds '{sample_id}', a copy of '{sample.source_id}'"
                )
    for unit in split_units(samples, split.near_duplicates):
        placed = {s.id: part_of[s.id] for s in unit if s.id in part_of}
        if len(set(placed.values())) > 1:
            problems.append(_divided(unit, placed))
    if problems:
        raise InputError(f"{origin}: the split does not fit the data set", problems)


def _divided(unit: Sequence[Sample], placed: Mapping[str, str]) -> str:
    """Says of samples that belong together in which parts they are."""
    parts = sorted(set(placed.values()))
    sources = sorted({s.source_id for s in unit})
    if len(sources) == 1:
        return f"source object '{sources[0]}' is in several parts: {parts}"
    where = ", ".join(f"'{i}' in {part}" for i, part in sorted(placed.items())[:6])
    more = ", ..." if len(placed) > 6 else ""
    return f"near-duplicates of one group are in several parts: {where}{more}"


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(i, str) for i in value)


def _bad_details(details: Mapping[str, Any]) -> list[str]:
    """Names the keys that are obeyed and are not of the form that :mod:`split_makers` writes."""
    near = details.get("near_duplicates", {})
    groups = near.get("groups", []) if isinstance(near, dict) else None
    held_out = details.get("held_out", {})
    right = {
        'near_duplicates": {"groups": lists of ids}': isinstance(groups, list)
        and all(map(_is_ids, groups)),
        'left_out": list of ids': _is_ids(details.get("left_out", [])),
        'folds": number of folds': type(details.get("folds", 1)) is int,
        'held_out": {"material" or "content": value}': isinstance(held_out, dict)
        and held_out.keys() <= {"material", "content"},
    }
    return [f'expected "{form}' for form, is_right in right.items() if not is_right]


def _overlaps(parts: Mapping[str, list[str]]) -> list[str]:
    """Names every id that is listed more than once."""
    first_part: dict[str, str] = {}
    problems = []
    for part, ids in parts.items():
        for sample_id in ids:
            if sample_id in first_part:
                problems.append(f"'{sample_id}' is in '{first_part[sample_id]}' and in '{part}'")
            first_part.setdefault(sample_id, part)
    return problems
