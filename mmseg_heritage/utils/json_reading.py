"""Reading JSON that may come from anyone: of limited size, and of the form that is expected."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 256 << 20
"""Larger files are refused; the results of 100,000 images have a tenth of it."""


def parse_json(
    path: Path, object_pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Returns the content of a JSON file.

    Args:
        path: The file.
        object_pairs: Makes an object of its pairs, see :func:`json.loads`.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON in UTF-8, or larger or deeper than any that is written here.
    """
    _check_size(path.stat().st_size)
    return parse_json_text(path.read_bytes().decode("utf-8-sig"), object_pairs)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"it has {size} bytes, expected at most {MAX_BYTES}")


def parse_json_text(
    text: str, object_pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Returns the content of JSON that another file holds, see :func:`parse_json`.

    Raises:
        ValueError: If it is no JSON, or larger or deeper than any that is written here.
    """
    _check_size(len(text))
    try:
        return json.loads(text, object_pairs_hook=object_pairs)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def form_problems(content: Any, form: Any, place: str) -> Iterator[str]:
    """Yields what of a content has not the form that is expected.

    Args:
        content: Of a JSON file.
        form: A type: ``str``, ``int``, ``float`` (any finite number), ``bool`` or None; a dict of
            the forms of keys, which may be missing and have others beside them; ``{str: form}`` for
            an object of any keys; ``[form]`` for a list, or a tuple of Python; or a tuple of these.
        place: What to call the content in messages.
    """
    forms = form if isinstance(form, tuple) else (form,)
    matching = [f for f in forms if _is_of(content, f)]
    if not matching:
        yield f"{place}: expected {' or '.join(map(_name, forms))}, found {_name(type(content))}"
        return
    (form, *_) = matching
    if isinstance(form, Mapping):
        for key, value in content.items():
            inner = form.get(str, form.get(key, ...))
            if inner is not ...:
                yield from form_problems(value, inner, f"{place}.{key}")
    elif isinstance(form, list):
        for index, value in enumerate(content):
            yield from form_problems(value, form[0], f"{place}[{index}]")


def _is_of(content: Any, form: Any) -> bool:
    if form is None:
        return content is None
    if isinstance(form, (Mapping, list)):
        return isinstance(content, Mapping if isinstance(form, Mapping) else (list, tuple))
    if form is str:
        return isinstance(content, str) and not any("\ud800" <= c <= "\udfff" for c in content)
    if form is float:
        is_number = isinstance(content, (int, float)) and not isinstance(content, bool)
        return is_number and abs(content) < 1e300 and not math.isnan(content)
    if form is int:
        return isinstance(content, int) and not isinstance(content, bool) and abs(content) < 1 << 63
    return isinstance(content, form)


def _name(form: Any) -> str:
    """Says a form in words."""
    kind = form if isinstance(form, type) else type(form)
    names = {type(None): "null", str: "text", int: "a whole number",
             float: "a number", bool: "true or false", dict: "an object", list: "a list",
             tuple: "a list"}  # fmt: skip
    return names.get(kind, kind.__name__)  # of configs: other objects of Python
