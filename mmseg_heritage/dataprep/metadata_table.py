"""The metadata table of a data set, as spreadsheets and programs write it."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.images.formats import IMAGE_SUFFIXES

Row = dict[str, str]

_DELIMITERS = ",;\t"  # spreadsheets of countries with decimal commas write semicolons
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SAVE = "save it as 'CSV UTF-8' in the program that wrote it"


def read_metadata(
    path: Path, faults: list[Fault], id_column: str = "id"
) -> tuple[tuple[str, ...], dict[str, Row] | None]:
    """Reads a metadata table.

    Columns are separated by commas, semicolons or tabs, and their names are taken without spaces
    around them and, where that finds the one with the ids, without regard to case. Rows without any
    value are left out. Ids are in Unicode's composed form (NFC), as those of files are.

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
    first = text.partition("\n")[0]
    if first.lower().startswith("sep="):  # Excel's own line
        text = text.partition("\n")[2]
        first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = _columns(reader.fieldnames or (), id_column)
        if id_column not in columns:
            message = f"expected a column '{id_column}', found {list(reader.fieldnames or ())}"
            faults.append(Fault("metadata", path, message))
            return columns, None
        reader.fieldnames = columns
        return columns, _rows(reader, path, faults, id_column)
    except csv.Error as error:
        message = f"cannot be read as CSV ({error}); is a quotation mark missing?"
        faults.append(Fault("metadata", path, message, reader.line_num))
        return (), None


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
        line = content[: error.start].count(b"\n") + 1
        message = f"expected text in UTF-8, found the byte {content[error.start]:#04x}; {_SAVE}"
        faults.append(Fault("metadata", path, message, line))
        return None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        faults.append(Fault("metadata", path, f"holds a NUL character; {_SAVE}", line))
        return None
    return text


def _columns(names: Sequence[str], id_column: str) -> tuple[str, ...]:
    """Returns the names of the columns as they are looked for."""
    columns = tuple(name.strip() for name in names)
    if id_column not in columns and id_column in (lowered := tuple(n.lower() for n in columns)):
        return lowered
    return columns


def _rows(
    reader: csv.DictReader[str], path: Path, faults: list[Fault], id_column: str
) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in reader:
        if not any(isinstance(value, str) and value.strip() for value in row.values()):
            continue  # as spreadsheets have them at their end
        sample_id = unicodedata.normalize("NFC", (row[id_column] or "").strip())
        if not sample_id:
            faults.append(Fault("metadata", path, "no id", reader.line_num))
            continue
        if sample_id in rows:
            message = f"a second row for '{sample_id}'"
            faults.append(Fault("metadata", path, message, reader.line_num))
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

    Args:
        rows: Name -> row.
        ids: Of the images. A name that is one of these is left as it is.
        path: Of the table.
        faults: Is added to, where two names stand for one image.
    """
    found: dict[str, Row] = {}
    for name, row in rows.items():
        is_file = name not in ids and Path(name).suffix.lower() in IMAGE_SUFFIXES
        sample_id = Path(name).stem if is_file else name
        if sample_id in found:
            faults.append(Fault("metadata", path, f"a second row for '{sample_id}'"))
        found[sample_id] = row
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
