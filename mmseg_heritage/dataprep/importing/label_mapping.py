r"""Mapping files: what the mask values of another data set mean, in ARTeFACT's classes or own ones.

A mapping is JSON; docs/reference/data-format.md describes each key::

    {"schema": "mmseg_heritage/mapping/1", "name": "Cracks of a church",
     "classes": [{"name": "Clean"}, {"name": "Cracks", "color": "#ff8000"}],
     "values": {"0": "Clean", "255": "Cracks", "128": "ignore"},
     "masks": {"suffix": "_mask"},
     "metadata": {"constants": {"material": "Lime plaster"}},
     "source_id": "^(.*)_copy\\d+$"}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.class_file import IGNORE, parse_classes
from mmseg_heritage.dataprep.json_files import read_own_or_shipped, unknown_keys
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, ClassList
from mmseg_heritage.utils.files import sha256
from mmseg_heritage.utils.text import did_you_mean

SCHEMA = "mmseg_heritage/mapping/1"
SHIPPED = Path(__file__).with_name("mappings")
"""Folder of the mapping files that come with the package."""

MAX_GRAY = 65535
_TEXT_KEYS = ("name", "about", "source_id", "group_id")
_KEYS = (
    "schema",
    *_TEXT_KEYS,
    "classes",
    "values",
    "masks",
    "metadata",
    "format",
    "legend",
    "rest",
)
_MASK_KEYS = ("suffix", "extension", "mat_variable")
_METADATA_KEYS = ("constants", "id_column", "columns")
_CONSTANTS = ("material", "content", "type")
_COLUMNS = (*_CONSTANTS, "group_id")
_NUMBER = re.compile(r"[0-9]{1,9}")
_LIMIT = re.compile(rf"(>=|<=|>|<)\s*({_NUMBER.pattern})")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Code:
    """Mask values that mean one class.

    Attributes:
        text: As the mapping writes them: "255", ">=128" or "#ff0000".
        first: The smallest; a color is red * 65536 + green * 256 + blue.
        last: The largest.
        meaning: Name of a class, or "ignore".
        class_id: Its id in the masks that are written; 255 for "ignore".
    """

    text: str
    first: int
    last: int
    meaning: str
    class_id: int


@dataclass(frozen=True)
class LabelMapping:
    """A mapping file, checked.

    Attributes:
        name: Of the data set.
        codes: What the mask values mean; no value has two meanings.
        in_color: Whether the values are colors.
        sha256: Of the file.
        content: Of the file.
        classes: What the values can mean: the mapping's own classes, or those of ARTeFACT.
        about: Free text, such as origin and license.
        suffix: What the names of masks have behind that of the image, before the point.
        extension: Of masks, with the point; empty for that of any image.
        mat_variable: Where masks are .mat files of MATLAB: the variable, and its fields after dots.
        constants: Column of metadata.csv -> text that all rows have.
        id_column: Of the user's table: names of images.
        columns: Column of metadata.csv -> column of the user's table.
        source_id: Group 1 of what it matches is the photograph that a copy was made from.
        group_id: Group 1 of what it matches is shared by what shows one object.
        format: In which masks were drawn with another program, of
            :data:`mmseg_heritage.exchange.readers.KINDS`; empty for images of values.
        legend: Of such files: name in them -> class, "ignore", or None for what is not read.
        rest: Of such files: what pixels are on which nothing is drawn, a class or "ignore"; empty
            where the files say it.
    """

    name: str
    codes: tuple[Code, ...]
    in_color: bool
    sha256: str
    content: dict[str, Any]
    classes: ClassList = ARTEFACT
    about: str = ""
    suffix: str = ""
    extension: str = ""
    mat_variable: str = ""
    constants: dict[str, str] = field(default_factory=dict)
    id_column: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    source_id: re.Pattern[str] | None = None
    group_id: re.Pattern[str] | None = None
    format: str = ""
    legend: dict[str, str | None] = field(default_factory=dict)
    rest: str = ""

    @cached_property
    def table(self) -> NDArray[np.uint16]:
        """Returns mask value -> 1 + position of its code, 0 where it has none."""
        table = np.zeros(1 << 24 if self.in_color else MAX_GRAY + 1, np.uint16)
        for number, code in enumerate(self.codes, start=1):
            table[code.first : code.last + 1] = number
        return table

    @cached_property
    def class_ids(self) -> NDArray[np.uint8]:
        """Returns the class id of each entry of :attr:`table`; 0 first, for values without one."""
        return np.array([0, *(code.class_id for code in self.codes)], np.uint8)

    def value_text(self, value: int) -> str:
        """Returns a mask value as a mapping writes it."""
        return f"#{value:06x}" if self.in_color else str(value)


def load_mapping(source: str | Path) -> LabelMapping:
    """Reads and checks a mapping file.

    Args:
        source: Path of the file, or name of one that comes with the package.

    Raises:
        InputError: If there is no such file, or with all that is wrong in it.
    """
    path, content = read_own_or_shipped(source, SHIPPED, SCHEMA, "a mapping")
    reader = _Reader(content)
    mapping = reader.mapping(path.stem, sha256(path))
    if reader.problems:
        raise InputError(f"{path}: the mapping cannot be used", reader.problems)
    return mapping


class _Reader:
    """Reads the keys of a mapping and gathers what is wrong with them."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.problems: list[str] = []

    def mapping(self, name: str, digest: str) -> LabelMapping:
        """Returns the mapping; of no use where there are problems."""
        self._known(self.content, _KEYS, "")
        texts = {key: self._text(self.content, key, key) for key in _TEXT_KEYS}
        masks = self._object("masks", _MASK_KEYS)
        metadata = self._object("metadata", _METADATA_KEYS)
        constants = self._texts(metadata.get("constants", {}), _CONSTANTS, "metadata.constants")
        columns = self._texts(metadata.get("columns", {}), _COLUMNS, "metadata.columns")
        self.problems += [
            f"metadata: '{key}' is a constant and a column" for key in constants if key in columns
        ]
        id_column = self._text(metadata, "id_column", "metadata.id_column")
        if bool(columns) != bool(id_column):
            self.problems.append("metadata: expected id_column and columns together")
        if "group_id" in columns and texts["group_id"]:
            self.problems.append("group_id: expected a rule or a column, found both")
        masks = {key: self._text(masks, key, f"masks.{key}") for key in _MASK_KEYS}
        self._check_masks(masks)
        classes = self._classes()
        drawn = self._drawn(classes, masks)
        if drawn:
            codes = [Code(n, i, i, n, i) for n, i in _class_ids(classes).items()]
            in_color = False
        else:
            codes, in_color = self._codes(self.content.get("values"), classes)
        if in_color and masks["mat_variable"]:
            self.problems.append("values: .mat files hold numbers, not colors")
        return LabelMapping(
            name=texts["name"] or name,
            about=texts["about"],
            codes=tuple(codes),
            in_color=in_color,
            sha256=digest,
            content=self.content,
            classes=classes,
            constants=constants,
            id_column=id_column,
            columns=columns,
            source_id=self._rule("source_id", texts["source_id"]),
            group_id=self._rule("group_id", texts["group_id"]),
            **masks,
            **drawn,
        )

    def _known(self, found: dict[str, Any], known: Sequence[str], where: str) -> None:
        self.problems += unknown_keys(found, known, where)

    def _object(self, key: str, known: Sequence[str]) -> dict[str, Any]:
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            self.problems.append(f"{key}: expected an object, found {value!r}")
            return {}
        self._known(value, known, f"{key}.")
        return value

    def _text(self, found: dict[str, Any], key: str, where: str) -> str:
        value = found.get(key, "")
        if isinstance(value, str):
            return value
        self.problems.append(f"{where}: expected a text, found {value!r}")
        return ""

    def _texts(self, found: Any, known: Sequence[str], where: str) -> dict[str, str]:
        if not isinstance(found, dict):
            self.problems.append(f"{where}: expected an object, found {found!r}")
            return {}
        self._known(found, known, f"{where}.")
        return {key: self._text(found, key, f"{where}.{key}") for key in found}

    def _check_masks(self, masks: dict[str, str]) -> None:
        extension = masks["extension"]
        if extension and not re.fullmatch(r"\.\w+", extension):
            self.problems.append(f"masks.extension: expected one like '.png', found '{extension}'")
        if extension and masks["mat_variable"]:
            self.problems.append("masks: with mat_variable the extension is .mat; leave it out")
        if masks["suffix"] != Path(masks["suffix"]).name:
            self.problems.append(f"masks.suffix: part of a file name, found '{masks['suffix']}'")

    def _rule(self, key: str, text: str) -> re.Pattern[str] | None:
        if not text:
            return None
        try:
            rule = re.compile(text)
        except re.error as error:
            self.problems.append(f"{key}: '{text}' is no regular expression ({error})")
            return None
        if rule.groups != 1:
            self.problems.append(f"{key}: expected one group, as in '^(.*)_tile', found '{text}'")
        return rule

    def _classes(self) -> ClassList:
        if "classes" not in self.content:
            return ARTEFACT
        classes, problems = parse_classes(self.content["classes"])
        self.problems += problems
        return classes

    def _drawn(self, classes: ClassList, masks: dict[str, str]) -> dict[str, Any]:
        """Returns the format of masks that were drawn with another program, and what it needs."""
        name = self._text(self.content, "format", "format")
        if not name:
            self.problems += [
                f"{key}: is for masks of a 'format'"
                for key in ("legend", "rest")
                if key in self.content
            ]
            return {}
        from mmseg_heritage.exchange.readers import KINDS  # it needs more than other mappings do

        if name not in KINDS:
            near = did_you_mean(name, KINDS) or f"; expected one of {', '.join(KINDS)}"
            self.problems.append(f"format: '{name}' is none that is read{near}")
        if "values" in self.content or masks["extension"] or masks["mat_variable"]:
            self.problems.append(
                "format: files with names of classes have no values, nor extension"
            )
        legend = self.content.get("legend", {})
        if not isinstance(legend, dict):
            self.problems.append('legend: expected names, as in {"Grietas": "Cracks"}')
            legend = {}
        rest = self._text(self.content, "rest", "rest")
        known = _class_ids(classes)
        for key, meaning in (*legend.items(), *([("rest", rest)] if rest else ())):
            if meaning is not None and meaning not in known:
                near = did_you_mean(str(meaning), known) or f"; expected one of {', '.join(known)}"
                self.problems.append(f"'{key}' means {meaning!r}, which is no class{near}")
        return {"format": name, "legend": legend, "rest": rest}

    def _codes(self, values: Any, classes: ClassList) -> tuple[list[Code], bool]:
        """Reads what the mask values mean, and whether they are colors."""
        if not isinstance(values, dict) or not values:
            self.problems.append('values: expected mask values, as in {"0": "Clean"}')
            return [], False
        class_ids = _class_ids(classes)
        codes = []
        for text, meaning in values.items():
            limits = _value_range(text)
            if limits is None:
                self.problems.append(
                    f"values: '{text}' is no mask value; expected a number 0..{MAX_GRAY}, a limit "
                    "such as '>=128', or a color such as '#ff0000'"
                )
            if not isinstance(meaning, str) or meaning not in class_ids:
                near = did_you_mean(str(meaning), class_ids)
                known = near or f"; expected one of {', '.join(class_ids)}"
                self.problems.append(
                    f"values: '{text}' means {meaning!r}, which is no class{known}"
                )
            elif limits is not None:
                codes.append(Code(text, *limits, meaning, class_ids[meaning]))
        in_color = [code.text.startswith("#") for code in codes]
        if len(set(in_color)) > 1:
            self.problems.append("values: expected numbers or colors, found both")
        else:
            self._check_overlaps(codes)
        return codes, any(in_color)

    def _check_overlaps(self, codes: Sequence[Code]) -> None:
        ordered = sorted(codes, key=lambda code: (code.first, code.last))
        for before, after in pairwise(ordered):
            if after.first <= before.last:
                self.problems.append(
                    f"values: '{before.text}' and '{after.text}' both name "
                    f"{max(before.first, after.first)}"
                )


def _class_ids(classes: ClassList) -> dict[str, int]:
    """Returns what values can mean -> its id."""
    return {**dict(zip(classes.names, classes.ids, strict=True)), IGNORE: IGNORE_INDEX}


def _value_range(text: str) -> tuple[int, int] | None:
    """Returns the smallest and the largest mask value that a key names; None if it is no key."""
    if _COLOR.fullmatch(text):
        value = int(text[1:], 16)
        return value, value
    if _NUMBER.fullmatch(text):
        return (int(text), int(text)) if int(text) <= MAX_GRAY else None
    match = _LIMIT.fullmatch(text)
    if match is None:
        return None
    sign, limit = match[1], int(match[2])
    if sign.startswith(">"):
        first, last = limit + (sign == ">"), MAX_GRAY
    else:
        first, last = 0, limit - (sign == "<")
    return (first, last) if 0 <= first <= last <= MAX_GRAY else None
