"""Which sample is trained on, which chooses the model, and which is scored: read, checked, or made.

A split is written once as JSON and obeyed afterwards::

    {"schema": "mmseg_heritage/split/1", "name": "holdout", "seed": 0,
     "parts": {"train": ["id", ...], "val": [...], "test": [...]}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.data.folder import Sample
from mmseg_heritage.errors import InputError

SCHEMA = "mmseg_heritage/split/1"
_DEFAULT_SHARES = {"val": 0.15, "test": 0.15}  # of the source objects; the rest trains


@dataclass(frozen=True)
class Split:
    """Named parts of a data set.

    Attributes:
        name: How results refer to it.
        parts: Part name -> sorted sample ids.
    """

    name: str
    parts: Mapping[str, tuple[str, ...]]

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
        return {"schema": SCHEMA, "name": self.name, "parts": parts}


def default_split(samples: Sequence[Sample]) -> Split:
    """Divides 70/15/15 by source object, the same on every machine and in every order of files.

    Sources are ranked by the SHA-256 of their id, so that neither file order nor a random generator
    matters. Copies, crops and tiles follow their source into training and are left out of val and
    test, which hold originals only; those whose original is not in the data set train.

    Raises:
        InputError: If there are fewer than three source objects with an original photograph.
    """
    sources = sorted(
        {s.source_id for s in samples if not s.is_derived},
        key=lambda i: hashlib.sha256(i.encode(errors="surrogateescape")).hexdigest(),
    )
    if len(sources) < 3:
        raise InputError(
            "a split into train, val and test needs 3 source objects with an original photograph, "
            f"found {len(sources)}"
        )
    part_of_source = {s.source_id: "train" for s in samples}
    start = 0
    for name, share in _DEFAULT_SHARES.items():
        count = max(1, round(share * len(sources)))
        part_of_source.update(dict.fromkeys(sources[start : start + count], name))
        start += count
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for sample in samples:
        part = part_of_source[sample.source_id]
        if part == "train" or not sample.is_derived:
            parts[part].append(sample.id)
    return Split("default", {name: tuple(sorted(ids)) for name, ids in parts.items()})


def load_split(path: str | Path) -> Split:
    """Reads a split manifest.

    Raises:
        InputError: If the file is missing or no manifest, or if an id is in two parts or twice in
            one.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: expected a split manifest in JSON ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise InputError(
            f'{path}: expected a split manifest with "schema": "{SCHEMA}", found {found}'
        )
    parts = content.get("parts")
    if not isinstance(parts, dict) or not all(
        isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in parts.values()
    ):
        raise InputError(f'{path}: expected "parts" to map names to lists of ids')
    problems = _overlaps(parts)
    if problems:
        raise InputError(f"{path}: the parts of a split must not overlap", problems)
    name = str(content.get("name") or path.stem)
    return Split(name, {part: tuple(sorted(ids)) for part, ids in parts.items()})


def check_split(split: Split, samples: Sequence[Sample], origin: str | Path) -> None:
    """Verifies that a split fits a data set.

    Args:
        split: What was read.
        samples: All samples of the data set.
        origin: Where the split came from, for the message.

    Raises:
        InputError: If the split names ids that the data set lacks, puts one source object into two
            parts, or has copies in val or test.
    """
    by_id = {sample.id: sample for sample in samples}
    problems = []
    parts_of_source: dict[str, set[str]] = {}
    for part, ids in split.parts.items():
        for sample_id in ids:
            sample = by_id.get(sample_id)
            if sample is None:
                problems.append(f"part '{part}' names '{sample_id}', which the data set lacks")
                continue
            parts_of_source.setdefault(sample.source_id, set()).add(part)
            if part in ("val", "test") and sample.is_derived:
                problems.append(
                    f"part '{part}' holds '{sample_id}', a copy of '{sample.source_id}'"
                )
    for source, parts in sorted(parts_of_source.items()):
        if len(parts) > 1:
            problems.append(f"source object '{source}' is in several parts: {sorted(parts)}")
    if problems:
        raise InputError(f"{origin}: the split does not fit the data set", problems)


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
