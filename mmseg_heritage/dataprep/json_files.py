"""Reading JSON that people write by hand: schema checked, no key lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.json_reading import parse_json
from mmseg_heritage.utils.text import did_you_mean


def read_json(path: str | Path, schema: str, what: str) -> dict[str, Any]:
    """Reads a JSON object whose key ``schema`` names its form.

    Args:
        path: File in UTF-8.
        schema: Expected under the key ``schema``.
        what: What the file holds, for messages, such as "a mapping".

    Raises:
        InputError: If the file cannot be read, is no JSON object of this schema, or has a key twice
            in one object.
        FileNotFoundError: If there is no such file.
    """
    try:
        content = parse_json(Path(path), _without_repeated_keys)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected {what} in JSON ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != schema:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise InputError(f'{path}: expected {what} with "schema": "{schema}", found {found}')
    return content


def read_own_or_shipped(
    source: str | Path, shipped: Path, schema: str, what: str
) -> tuple[Path, dict[str, Any]]:
    """Reads a JSON object from a file, or one that comes with the package, by its name.

    Args:
        source: The file; or the name, without ending, of one in ``shipped`` where there is no such
            file.
        shipped: Folder of those that come with the package.
        schema: See :func:`read_json`.
        what: See :func:`read_json`; without its article it is what is not there.

    Returns:
        The file that was read, and its content.

    Raises:
        InputError: As :func:`read_json`; also if there is no such file.
    """
    path = Path(source)
    known = {file.stem: file for file in sorted(shipped.glob("*.json"))}
    if not path.exists():
        path = known.get(str(source), path)
    try:
        return path, read_json(path, schema, what)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such {what.removeprefix('a ')} file; with the package come "
            f"{', '.join(known)}"
        ) from error


def unknown_keys(found: Mapping[str, Any], known: Sequence[str], where: str = "") -> Iterable[str]:
    """Yields a problem for each key that is not known, with the one that was probably meant.

    Args:
        found: An object of a file.
        known: Keys that it may have.
        where: What stands before the key in the message, such as "masks.".
    """
    for key in found:
        if key not in known:
            hint = did_you_mean(str(key), known) or f"; known: {', '.join(known)}"
            yield f"unknown key '{where}{key}'{hint}"


def _without_repeated_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Builds a JSON object; of keys that are there twice, one would be lost silently."""
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"there twice: {', '.join(map(repr, twice))}")
    return dict(pairs)
