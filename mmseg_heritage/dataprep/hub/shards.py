"""Finding and reading the Parquet files (shards) of the data set, one value at a time."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.ids import id_problems
from mmseg_heritage.errors import InputError

IMAGE_COLUMNS = ("image", "annotation")
REQUIRED_COLUMNS = ("id", *IMAGE_COLUMNS, "material", "content")
_NUMBERED = re.compile(r"(?P<name>.*)-(?P<number>\d+)-of-(?P<total>\d+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CACHED = "datasets--*--damaged-media"  # folder of the data set, or a copy, in the cache
# How Arrow stores texts and bytes; each also as a dictionary.
_TEXTS = ("string", "large_string", "string_view")
_BYTES = ("binary", "large_binary", "binary_view", "fixed_size_binary")
_BUFFER = 1 << 20  # bytes; without one, pyarrow reads a whole column of a row group at once


@dataclass(frozen=True)
class Row:
    """One row without its images.

    Attributes:
        shard: File it is in.
        index: Number of the row in the file, from 0.
        id: Name of the sample, fit for a file name.
        texts: Column -> text, of all columns that hold text, ``id`` included.
    """

    shard: Path
    index: int
    id: str
    texts: dict[str, str]


def find_shards(sources: Sequence[str | Path], revision: str | None = None) -> list[Path]:
    """Lists the Parquet files of the sources, in order of name.

    Args:
        sources: Parquet files; folders of them, which must hold all files of a numbered series;
            or folders of the Hugging Face cache (the cache, ``datasets--...`` or a snapshot).
        revision: Which one to take of those in a Hugging Face cache; by default the latest that
            was asked for by the name main, or the only one.

    Raises:
        InputError: With all sources that do not exist or hold no Parquet files, and all files that
            a series lacks.
    """
    shards: set[Path] = set()
    problems = []
    for source in map(Path, sources):
        if source.is_file():
            shards.add(source)
            continue
        if not source.is_dir():
            problems.append(f"{source}: no such file or folder")
            continue
        folder = _snapshot(source, revision)
        # macOS leaves files named ._train... on foreign disks
        found = [path for path in folder.rglob("*.parquet") if not path.name.startswith(".")]
        if not found:
            problems.append(f"{source}: holds no .parquet files")
        problems += _missing_of_series(source, found)
        shards.update(found)
    if problems:
        raise InputError(
            "the Parquet files of the data set are not all there; to use only some, name the files",
            problems,
        )
    return sorted(shards, key=lambda path: (path.name, path))


def _snapshot(folder: Path, revision: str | None) -> Path:
    """Returns the folder of one revision where ``folder`` is part of a Hugging Face cache.

    Raises:
        InputError: If the cache does not hold the revision, or several and none is named.
    """
    copies = sorted({*folder.glob(_CACHED), *folder.glob(f"hub/{_CACHED}")})
    if len(copies) > 1:
        raise InputError(
            f"{folder}: expected one copy of the data set; name the folder of one", map(str, copies)
        )
    folder = copies[0] if copies else folder
    if not (folder / "snapshots").is_dir():
        return folder
    found = sorted(path for path in (folder / "snapshots").iterdir() if path.is_dir())
    name = folder / "refs" / (revision or "main")
    wanted = name.read_text().strip() if name.is_file() else revision
    chosen = [path for path in found if wanted in (None, path.name)]
    if len(chosen) != 1:
        raise InputError(
            f"{folder}: expected the files of revision {revision or 'main'}; name one of those "
            "that are there with --revision, or download it",
            [str(path) for path in found] or ["there is none"],
        )
    return chosen[0]


def _missing_of_series(source: Path, shards: Sequence[Path]) -> list[str]:
    """Names what is absent of ``train-00000-of-00028.parquet`` and its like."""
    series: dict[tuple[Path, str, str], set[int]] = {}
    for shard in shards:
        if match := _NUMBERED.fullmatch(shard.stem):
            key = (shard.parent, match["name"], match["total"])
            series.setdefault(key, set()).add(int(match["number"]))
    problems = []
    for (_, name, total), numbers in series.items():
        absent = sorted(set(range(int(total))) - numbers)
        problems += [
            f"{source}: {name}-{number:0{len(total)}d}-of-{total}.parquet is missing"
            for number in absent
        ]
    return problems


def is_commit(revision: str | None) -> bool:
    """Whether a revision is the hash of a commit, and not the name of a branch or tag."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def revision_of(shards: Sequence[Path]) -> str | None:
    """Returns the commit that the files are of, where their place in the cache tells."""
    revisions = {part for shard in shards for part in shard.parts if is_commit(part)}
    return revisions.pop() if len(revisions) == 1 else None


def require_pyarrow() -> None:
    """Says what to install where pyarrow is absent, which only this part of the package needs.

    Raises:
        InputError: If it cannot be imported.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"reading Parquet files needs pyarrow ({error}): pip install pyarrow"
        ) from error


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turns what pyarrow raises for damaged files into a message that begins with ``what``."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{what} ({reason}); download it again") from error


def _opened(shard: Path) -> Any:
    """Opens a shard so that values are read as they are asked for.

    Raises:
        InputError: If it is no Parquet file, or is cut off: the index is at its end.
    """
    import pyarrow.parquet

    with _reading(f"{shard}: not a whole Parquet file"):
        return pyarrow.parquet.ParquetFile(
            shard, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
        )


def read_rows(shards: Sequence[Path]) -> list[Row]:
    """Reads all rows without their images, and checks columns and ids.

    Raises:
        InputError: With all damaged files, missing columns, repeated ids, and ids that cannot name
            a file.
    """
    rows: list[Row] = []
    problems = []
    for shard in shards:
        try:
            rows += _rows_of(shard)
        except InputError as error:
            problems += error.problems or [str(error)]
    problems += id_problems((f"{row.shard}, row {row.index}", row.id) for row in rows)
    if problems:
        raise InputError("the Parquet files cannot be used", problems)
    return rows


def _rows_of(shard: Path) -> list[Row]:
    """Reads the rows of one shard without their images."""
    with _opened(shard) as file:
        schema = file.schema_arrow
        missing = [name for name in REQUIRED_COLUMNS if name not in schema.names]
        if missing:
            raise InputError(
                f"{shard}: no column {', '.join(map(repr, missing))}; "
                f"it has {', '.join(schema.names)}"
            )
        texts = [field.name for field in schema if _is_one_of(_TEXTS, field.type)]
        wrong = [name for name in ("id", "material", "content") if name not in texts]
        wrong += [name for name in IMAGE_COLUMNS if _bytes_column(schema, name) is None]
        if wrong:
            found = ", ".join(f"'{name}' is {schema.field(name).type}" for name in wrong)
            raise InputError(f"{shard}: expected texts, and images as bytes; {found}")
        with _reading(f"{shard}: damaged"):
            columns = file.read(columns=texts, use_threads=False).to_pylist()
    return [
        Row(shard, index, row["id"] or "", {name: row[name] or "" for name in texts})
        for index, row in enumerate(columns)
    ]


def _bytes_column(schema: Any, name: str) -> str | None:
    """Returns the path of the column that holds the bytes of an image, or None."""
    kind = schema.field(name).type
    if _is_one_of(_BYTES, kind):
        return name
    if _is_one_of(("struct",), kind) and kind.get_field_index("bytes") >= 0:
        return f"{name}.bytes" if _is_one_of(_BYTES, kind.field("bytes").type) else None
    return None


def _is_one_of(names: Sequence[str], kind: Any) -> bool:
    """Whether a type, or that of the values of a dictionary, is one of these of Arrow."""
    import pyarrow

    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (getattr(pyarrow.types, f"is_{name}", None) for name in names)  # views are new
    return any(test(kind) for test in tests if test)


def read_images(
    shard: Path, column: str, wanted: Container[int]
) -> Iterator[tuple[int, bytes | None]]:
    """Reads the image files in one column, one after the other.

    Row groups without wanted rows are not read.

    Args:
        shard: Parquet file.
        column: "image" or "annotation".
        wanted: Numbers of the rows.

    Yields:
        (number of the row, content of the image file; None where there is none).

    Raises:
        InputError: If the file is damaged.
    """
    with _opened(shard) as file:
        path = _bytes_column(file.schema_arrow, column)
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            if any(index in wanted for index in range(start, stop)):
                batches = file.iter_batches(
                    1, row_groups=[group], columns=[path], use_threads=False
                )
                yield from _values(shard, batches, start, stop, wanted)
            start = stop


def _values(
    shard: Path, batches: Iterator[Any], start: int, stop: int, wanted: Container[int]
) -> Iterator[tuple[int, bytes | None]]:
    """Takes the bytes out of batches of one row, and keeps none of them."""
    for index in range(start, stop):
        if index in wanted:
            yield index, _next_value(shard, batches, index)
        else:
            _next_value(shard, batches, index)


def _next_value(shard: Path, batches: Iterator[Any], index: int) -> bytes | None:
    with _reading(f"{shard}, row {index}: damaged"):
        batch = next(batches, None)
        if batch is None:
            raise ValueError("the file ends before it")
        value = batch.column(0)[0].as_py()
        return value["bytes"] if isinstance(value, dict) else value
