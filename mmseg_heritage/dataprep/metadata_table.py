"""The metadata table of a data set, as spreadsheets and programs write it."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.images.formats import IMAGE_SUFFIXES

COLUMNS = ("id", "material", "content", "source_id", "group_id")
"""Columns of the metadata that are used."""
Row = dict[str, str]

_DELIMITERS = ",;\t"  # spreadsheets of countries with decimal commas write semicolons
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SAVE = "save it as 'CSV UTF-8' in the program that wrote it"


def read_metadata(
    path: Path, faults: list[Fault], id_column: str = "id"
) -> tuple[tuple[str, ...], dict[str, Row] | None]:
    """Reads a metadata table.

    Columns are separated by commas, semicolons or tabs, and their names are taken without spaces
    around them, those of :data:`COLUMNS` without regard to case. Rows without any value are left
    out. Ids are in Unicode's composed form (NFC), as those of files are.

    Args:
        path: CSV in UTF-8, or in UTF-16 with a byte order mark, with names in the first line.
        faults: Is added to.
        id_column: Name of the column that holds the ids.

    Returns:
        The columns, and id -> row or None where there is no table that can be used.
    """
    if not path.is_file():
        return (), None
    text = _text(path, faults)
    if text is None:
        return (), None
    lines = list(io.StringIO(text, newline=""))  # not splitlines: it divides at U+2028 and others
    if lines and lines[0].lower().startswith("sep="):  # Excel's own line
        lines = lines[1:]
    found = [_columns(lines, delimiter) for delimiter in _DELIMITERS]
    columns, delimiter = max(zip(found, _DELIMITERS, strict=True),
                             key=lambda pair: (id_column in pair[0], len(pair[0])))  # fmt: skip
    if id_column not in columns:
        message = f"expected a column '{id_column}', found {list(columns)}"
        faults.append(Fault("metadata", path, message))
        return columns, None
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        faults.append(Fault("metadata", path, f"has the column {', '.join(twice)} twice"))
    if _ends_in_quotes(lines, delimiter):
        faults.append(Fault("metadata", path, "ends within quotation marks; one is missing"))
        return columns, None
    reader = csv.DictReader(lines[1:], columns, delimiter=delimiter)
    try:
        return columns, _rows(reader, path, faults, id_column)
    except csv.Error as error:
        faults.append(Fault("metadata", path, f"cannot be read as CSV ({error})"))
        return columns, None


def _text(path: Path, faults: list[Fault]) -> str | None:
    """Returns the text of a table."""
    try:
        content = path.read_bytes()
        encoding = _BYTE_ORDER_MARKS.get(content[:2], "utf-8-sig")
        text = content.decode(encoding)
    except OSError as error:
        faults.append(Fault("metadata", path, f"cannot be read ({error.strerror})"))
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = (
            f"expected text in UTF-8, found the byte {error.object[error.start]:#04x}; {_SAVE}"
        )
        faults.append(Fault("metadata", path, message, line))
        return None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        faults.append(Fault("metadata", path, f"holds a NUL character; {_SAVE}", line))
        return None
    return text


def _columns(lines: Sequence[str], delimiter: str) -> tuple[str, ...]:
    """Returns the names of the columns; known ones in lower case."""
    names = [name.strip() for name in next(csv.reader(lines[:1], delimiter=delimiter), [])]
    return tuple(
        name.lower() if name.lower() in COLUMNS and name.lower() not in names else name
        for name in names
    )


def _ends_in_quotes(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a quotation mark is missing, so that a cell would swallow the rows behind it."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:  # others, such as text behind a closing mark, are read as they are
        return "unexpected end" in str(error)
    return False


def _rows(
    reader: csv.DictReader[str], path: Path, faults: list[Fault], id_column: str
) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in reader:
        line = reader.line_num + 1  # that of the names is not counted
        if not any(isinstance(value, str) and value.strip() for value in row.values()):
            continue  # as spreadsheets have them at their end
        sample_id = unicodedata.normalize("NFC", (row[id_column] or "").strip())
        if not sample_id:
            faults.append(Fault("metadata", path, "no id", line))
            continue
        if sample_id in rows:
            message = f"a second row for '{sample_id}'"
            faults.append(Fault("metadata", path, message, line))
        rows[sample_id] = {
            name: value.strip() if isinstance(value, str) else value for name, value in row.items()
        }
        for column in ("source_id", "group_id"):
            if row.get(column):
                rows[sample_id][column] = unicodedata.normalize("NFC", row[column].strip())
    return rows


def without_endings(
    rows: Mapping[str, Row], ids: Collection[str], path: Path, faults: list[Fault]
) -> dict[str, Row]:
    """Returns rows by the ids of images, where they are named by their files: 'a.jpg' for 'a'.

    The same is done to ``source_id``.

    Args:
        rows: Name -> row.
        ids: Of the images. A name that is one of these is left as it is.
        path: Of the table.
        faults: Is added to, where two names stand for one image.
    """

    def without(name: str) -> str:
        is_file = name not in ids and Path(name).suffix.lower() in IMAGE_SUFFIXES
        return Path(name).stem if is_file else name

    found: dict[str, Row] = {}
    for name, row in rows.items():
        sample_id = without(name)
        if sample_id in found:
            faults.append(Fault("metadata", path, f"a second row for '{sample_id}'"))
        source = row.get("source_id")
        found[sample_id] = {**row, "source_id": without(source)} if source else row
    return found


def metadata_bytes(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Returns rows of metadata as CSV in UTF-8: the columns of all of them, first ``id``."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=lambda name: name != "id")
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
