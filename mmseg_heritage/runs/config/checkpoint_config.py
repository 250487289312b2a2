"""The config inside a checkpoint, read without running it.

mmengine writes the config of a run into its checkpoints as Python text (``Config.pretty_text``) and
executes that text to read it again. Here the text is parsed, and only what ``pretty_text`` writes
is understood.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.config import RESERVED_KEYS

from mmseg_heritage.errors import InputError

_MAX_TEXT = 1 << 20  # characters; the shipped configs have 10,000 to 20,000
_NUMBERS = {"inf": math.inf, "nan": math.nan}  # as str() writes them


def config_of_checkpoint(checkpoint: Any, path: str | Path) -> Config:
    """Returns the config of the run that wrote a checkpoint.

    Args:
        checkpoint: From :func:`mmseg_heritage.utils.checkpoints.checkpoint.load_checkpoint_file`.
        path: Where it was read from, for messages.

    Raises:
        InputError: If the checkpoint holds no config, or one that is more than plain values.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    text = meta.get("cfg") if isinstance(meta, Mapping) else None
    if text is None:
        raise InputError(
            f"{path}: this checkpoint holds no config; give the one it was trained with: "
            "--config CONFIG"
        )
    try:
        if not isinstance(text, str):
            raise _NotPlain(f"expected text, found {type(text).__name__}")
        return Config(_parse(text))
    except _NotPlain as error:
        raise InputError(
            f"{path}: the config in this checkpoint cannot be read ({error}); give the one it was "
            "trained with: --config CONFIG"
        ) from error


class _NotPlain(ValueError):
    """The text is not what ``Config.pretty_text`` writes of plain values."""


def _parse(text: str) -> dict[str, Any]:
    """Returns the values of ``name = value`` lines."""
    if len(text) > _MAX_TEXT:
        raise _NotPlain(f"{len(text)} characters; expected at most {_MAX_TEXT}")
    try:
        statements = ast.parse(text).body
        return dict(_assignment(statement) for statement in statements)
    except (SyntaxError, MemoryError, RecursionError, UnicodeError) as error:
        raise _NotPlain(str(error) or "nested too deeply") from error
    except _NotPlain:
        raise
    except ValueError as error:  # null bytes, a number of too many digits
        raise _NotPlain(str(error)) from error


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    """Returns the name and the value of ``name = value``."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            if target.id in RESERVED_KEYS:
                raise _NotPlain(f"line {statement.lineno}: '{target.id}' is reserved by mmengine")
            return target.id, _value(statement.value)
    raise _NotPlain(f"line {statement.lineno}: expected 'name = value'")


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
    raise _NotPlain(f"line {node.lineno}: '{_shown(node)}' is not a plain value")


def _entry(key: ast.expr | None, value: ast.expr) -> tuple[Any, Any]:
    """Returns the key and the value of an entry of a dict in braces."""
    if not isinstance(key, (ast.Constant, ast.UnaryOp)):
        raise _NotPlain(f"line {value.lineno}: expected plain keys")
    return _value(key), _value(value)


def _called_dict(node: ast.Call) -> dict[Any, Any]:
    """Returns ``dict(name=value, ...)``, or ``dict({...})``, which has keys that are no names."""
    found: dict[Any, Any] = {}
    if node.args:
        if len(node.args) > 1 or not isinstance(node.args[0], ast.Dict):
            raise _NotPlain(f"line {node.lineno}: expected dict(name=value) or dict({{...}})")
        found = _value(node.args[0])
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _NotPlain(f"line {node.lineno}: '**' is not a plain value")
        found[keyword.arg] = _value(keyword.value)
    return found


def _shown(node: ast.expr) -> str:
    """Returns the beginning of the node's text."""
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."
