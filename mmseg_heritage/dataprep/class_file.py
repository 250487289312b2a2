"""The classes of a data set as ``classes.json`` in its folder, read strictly and written.

The file lies beside metadata.csv; docs/how-to/own-classes.md describes each key::

    {"schema": "mmseg_heritage/classes/1",
     "classes": [{"name": "Clean", "color": [0, 0, 0], "id": 0},
                 {"name": "Mold", "color": "#d55e00", "id": 1, "group": "Biological",
                  "kind": "area"}]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.json_files import read_json, unknown_keys
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import (
    AREA,
    ARTEFACT,
    CLEAN,
    CLEAN_COLOR,
    IGNORE_INDEX,
    KINDS,
    ClassList,
    Color,
    DamageClass,
    color_of_hex,
    default_kind,
    fill_colors,
    own_classes,
)
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.utils.text import did_you_mean

SCHEMA = "mmseg_heritage/classes/1"
CLASSES_FILE = "classes.json"
"""File in the folder of a data set; without it the classes are those of ARTeFACT."""
IGNORE = "ignore"
"""What mappings call 255; no class can have this name."""

_KEYS = ("name", "color", "id", "group", "kind")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def find_classes(root: str | Path, file: str | Path = "") -> ClassList:
    """Returns the classes that the masks of a data set hold.

    Args:
        root: Folder of the data set.
        file: A file of classes below ``root`` or absolute. Empty takes ``classes.json``, or without
            it the classes of ARTeFACT.

    Raises:
        InputError: If a file that was named is missing, or with all that is wrong in the file.
    """
    path = Path(root) / (file or CLASSES_FILE)
    if not file and not path.exists():
        return ARTEFACT
    return read_classes(path)


def read_classes(path: str | Path) -> ClassList:
    """Reads a file of classes.

    Raises:
        InputError: If there is no such file, or with all that is wrong in it.
    """
    try:
        content = read_json(path, SCHEMA, "a list of classes")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a list of classes") from error
    problems = list(unknown_keys(content, ("schema", "classes")))
    classes, wrong = parse_classes(content.get("classes"))
    if problems or wrong:
        raise InputError(f"{path}: the classes cannot be used", [*problems, *wrong])
    return classes


def write_classes(path: str | Path, classes: ClassList) -> None:
    """Writes a file of classes, replacing ``path`` in one step."""
    rows = [
        {
            "name": c.name,
            "color": list(c.color),
            "id": c.id,
            **({"group": c.group} if c.group else {}),
            "kind": c.kind,
        }
        for c in classes.classes
    ]
    write_json(path, {"schema": SCHEMA, "classes": rows})


def parse_classes(entries: object) -> tuple[ClassList, list[str]]:
    """Reads the entries of a list of classes.

    Args:
        entries: A list; each entry a name, or an object with ``name`` and, optionally, ``color``
            ("#rrggbb" or three of 0..255), ``id`` (0..254; default: the position), ``group`` and
            ``kind`` ("area", "line" or "count"; default: that of ARTeFACT's class of this name, or
            "area").

    Returns:
        The classes, of no use where there are problems; and all that is wrong.
    """
    if isinstance(entries, str) or not isinstance(entries, Sequence) or not entries:
        expected = 'classes: expected a list such as [{"name": "Clean"}, {"name": "Cracks"}]'
        return ARTEFACT, [f"{expected}, found {entries!r}"]
    problems: list[str] = []
    rows = [_Row(position, entry, problems) for position, entry in enumerate(entries)]
    for what, values in (
        ("name", [(row.name.casefold(), row) for row in rows if row.name]),
        ("id", [(row.id, row) for row in rows if row.id is not None]),
        ("color", [(row.color, row) for row in rows if row.color is not None]),
    ):
        first: dict[Any, _Row] = {}
        for value, row in values:
            if first.setdefault(value, row) is not row:
                problems.append(f"{row.label}: has the {what} of {first[value].label}")
    if problems:
        return ARTEFACT, problems
    given = [row.color for row in rows]
    black = None if CLEAN_COLOR in given else CLEAN_COLOR
    colors = [row.color or (black if row.name == CLEAN else None) for row in rows]
    classes = [
        DamageClass(row.id or 0, row.name, color, row.group, row.kind)
        for row, color in zip(rows, fill_colors(colors), strict=True)
    ]
    return own_classes(classes), []


class _Row:
    """Reads one entry, and adds what is wrong with it to the problems."""

    def __init__(self, position: int, entry: object, problems: list[str]) -> None:
        self._problems = problems
        self.label = f"class {position}"
        self.name, self.group = "", ""
        self.id: int | None = position
        self.color: Color | None = None
        self.kind = AREA
        fields = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(fields, Mapping):
            self._refuse(f"expected a name or an object with a name, found {entry!r}")
            return
        self.name = self._text(fields.get("name"), "name")
        if self.name:
            self.label += f" '{self.name}'"
        for problem in unknown_keys(fields, _KEYS):
            self._refuse(problem)
        if "group" in fields:
            self.group = self._text(fields["group"], "group")
        self.id = self._id(fields.get("id", position))
        if fields.get("color") is not None:
            self.color = self._color(fields["color"])
        self.kind = self._kind(fields.get("kind", default_kind(self.name)))

    def _refuse(self, problem: str) -> None:
        self._problems.append(f"{self.label}: {problem}")

    def _text(self, value: object, key: str) -> str:
        if not isinstance(value, str) or not value.strip() or value != value.strip():
            self._refuse(f"{key}: expected a text without space around it, found {value!r}")
            return ""
        if not value.isprintable():
            self._refuse(f"{key}: expected a text in one line, found {value!r}")
            return ""
        if value.casefold() == IGNORE:
            self._refuse(f"{key}: '{value}' is what 255 is called; choose another")
            return ""
        return value

    def _id(self, value: object) -> int | None:
        # True is an int, and no id.
        if type(value) is int and 0 <= value < IGNORE_INDEX:
            return value
        self._refuse(f"id: expected a mask value 0..{IGNORE_INDEX - 1}, found {value!r}")
        return None

    def _kind(self, value: object) -> str:
        if isinstance(value, str) and value in KINDS:
            return value
        hint = did_you_mean(value, KINDS) if isinstance(value, str) else ""
        self._refuse(f"kind: expected {', '.join(KINDS)}, found {value!r}{hint}")
        return AREA

    def _color(self, value: object) -> Color | None:
        if isinstance(value, str) and _HEX.fullmatch(value):
            return color_of_hex(value)
        if not isinstance(value, str) and isinstance(value, Sequence) and len(value) == 3:
            red, green, blue = value
            if all(type(channel) is int and 0 <= channel <= 255 for channel in value):
                return red, green, blue
        self._refuse(f'color: expected "#rrggbb" or three numbers 0..255, found {value!r}')
        return None
