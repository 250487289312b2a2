"""The text of a config: plain values are read, and nothing in it is run."""

import contextlib
import math

import pytest

from mmseg_heritage.utils.config_text import NotPlainError, parse_config, plain_values


def test_what_mmengine_writes_is_read():
    text = "a = dict(b=[1, -2.5, None, True], c=(1, ), d=dict({'x y': inf}))\nn = nan\n"
    values = parse_config(text)
    assert values["a"] == {"b": [1, -2.5, None, True], "c": (1,), "d": {"x y": math.inf}}
    assert math.isnan(values["n"])


@pytest.mark.parametrize(
    "line",
    ["a = open('x')", "import os", "a = [i for i in b]", "a.b = 1", "a = dict(**b)", "a = dict(b)",
     "a = f'{b}'", "a = 1 + 1", "a, b = 1, 2", "a = __import__('os')", "a: int = 1"],
)  # fmt: skip
def test_everything_else_is_refused_with_its_line(line):
    with pytest.raises(NotPlainError, match="line 2"):
        parse_config(f"x = 1\n{line}\n")
    assert plain_values(f"x = 1\n{line}\ny = 2\n") == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    "text", ["a = (", "a = '\0'", "a = " + "-" * 5000 + "1", "a = " + "9" * 5000]
)
def test_no_text_ends_in_another_error(text):
    for read in (parse_config, plain_values):
        with contextlib.suppress(NotPlainError):
            read(text)
