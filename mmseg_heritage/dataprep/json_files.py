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
