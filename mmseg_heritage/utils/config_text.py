"""The text of a config as mmengine writes it, read without running it.

``Config.pretty_text`` writes ``name = value`` lines of literals and calls of ``dict``. mmengine
executes that text to read it again; here only what it writes is understood.
"""

from __future__ import annotations

import ast
import contextlib
import math
from typing import Any

_MAX_TEXT = 1 << 20  # characters; the shipped configs have 10,000 to 20,000
_NUMBERS = {"inf": math.inf, "nan": math.nan}  # as str() writes them


class NotPlainError(ValueError):
    """The text is not what ``Config.pretty_text`` writes of plain values."""


def parse_config(text: str) -> dict[str, Any]:
    """Returns the values of a config's ``name = value`` lines.

    Raises:
        NotPlainError: If any line is something else, naming it.
    """
    return dict(_assignment(statement) for statement in _statements(text))


def plain_values(text: str) -> dict[str, Any]:
    """Returns the values of those lines that are ``name = value``; other lines are left out.

    Raises:
        NotPlainError: If the text is no Python at all.
    """
    found = {}
    for statement in _statements(text):
        with contextlib.suppress(NotPlainError):
            name, value = _assignment(statement)
            found[name] = value
    return found


def _statements(text: str) -> list[ast.stmt]:
    """Splits a text into statements."""
    if len(text) > _MAX_TEXT:
        raise NotPlainError(f"{len(text)} characters; expected at most {_MAX_TEXT}")
    try:
        return ast.parse(text).body
    except (SyntaxError, MemoryError, RecursionError, ValueError) as error:
        raise NotPlainError(str(error) or "nested too deeply") from error


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    """Returns the name and the value of ``name = value``."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            try:
                return target.id, _value(statement.value)
            except RecursionError as error:
                raise NotPlainError("nested too deeply") from error
    raise NotPlainError(f"line {statement.lineno}: expected 'name = value'")


def _value(node: ast.expr) -> Any:
    """Returns the value of a literal or of a call of ``dict``."""
    if isinstance(node, ast.Constant) and isinstance(
        node.value, (str, int, float, bool, type(None))
    ):
        return node.value
    if isinstance(node, ast.Name) and node.id in _NUMBERS:
        return _NUMBERS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        if type(number) in (int, float):
            return -number
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        return dict(map(_entry, node.keys, node.values))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return _called_dict(node)
    raise NotPlainError(f"line {node.lineno}: '{_shown(node)}' is not a plain value")


def _entry(key: ast.expr | None, value: ast.expr) -> tuple[Any, Any]:
    """Returns the key and the value of an entry of a dict in braces."""
    if not isinstance(key, (ast.Constant, ast.UnaryOp)):
        raise NotPlainError(f"line {value.lineno}: expected plain keys")
    return _value(key), _value(value)


def _called_dict(node: ast.Call) -> dict[Any, Any]:
    """Returns ``dict(name=value, ...)``, or ``dict({...})``, which has keys that are no names."""
    found: dict[Any, Any] = {}
    if node.args:
        if len(node.args) > 1 or not isinstance(node.args[0], ast.Dict):
            raise NotPlainError(f"line {node.lineno}: expected dict(name=value) or dict({{...}})")
        found = _value(node.args[0])
    for keyword in node.keywords:
        if keyword.arg is None:
            raise NotPlainError(f"line {node.lineno}: '**' is not a plain value")
        found[keyword.arg] = _value(keyword.value)
    return found


def _shown(node: ast.expr) -> str:
    """Returns the beginning of the node's text."""
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."
