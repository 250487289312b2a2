"""Which values the variables of a config can have, where no part of the run says it as clearly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_LARGEST_SEED = 2**32 - 1  # of numpy


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _is_rate(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and 0 <= value < math.inf


_POSITIVE = (_is_positive, "a positive integer")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "batch_size": _POSITIVE,
    "max_epochs": _POSITIVE,
    "max_iters": (lambda value: value is None or _is_positive(value), _POSITIVE[1]),
    "num_classes": _POSITIVE,
    "warmup_epochs": _POSITIVE,
    "num_workers": (lambda value: _is_whole(value) and value >= 0, "a whole number from 0"),
    "seed": (
        lambda value: value is None or (_is_whole(value) and 0 <= value <= _LARGEST_SEED),
        f"a whole number in 0..{_LARGEST_SEED}, or None for another one in each run",
    ),
    "lr": (_is_rate, "a number from 0"),
}


def value_problems(
    values: Mapping[str, Any], tables: Iterable[Mapping[str, tuple[Any, Iterable[str]]]]
) -> list[str]:
    """Lists the variables, and the fields that they stand for, whose values cannot be used.

    Args:
        values: Name of a variable, or dotted field -> value. Those without a rule are passed over.
        tables: Variable -> (default, fields), as configs hold them.

    Returns:
        One line each: the name, what is expected, what was found.
    """
    rules = dict(_RULES)
    for table in tables:
        for name, (_, fields) in table.items():
            if name in _RULES:
                rules.update(dict.fromkeys(fields, _RULES[name]))
    return [
        f"{key} must be {rules[key][1]}, found {value!r}"
        for key, value in values.items()
        if key in rules and not rules[key][0](value)
    ]
