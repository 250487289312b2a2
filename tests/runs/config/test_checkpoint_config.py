"""The config in a checkpoint is the run's, and is never executed."""

import math
from typing import Any

import pytest
from mmengine.config import Config

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.checkpoint_config import config_of_checkpoint
from mmseg_heritage.runs.config.config_files import config_folder

CONFIGS = sorted(config_folder().glob("*.py"))


def parsed(text: Any) -> Config:
    return config_of_checkpoint({"meta": {"cfg": text}}, "run/last.pth")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=() if number % 5 == 0 else pytest.mark.slow)
        for number, path in enumerate(CONFIGS)
    ],
)
def test_every_shipped_config_comes_back_as_it_was(path):
    cfg = Config.fromfile(path)
    found = parsed(cfg.pretty_text)
    assert isinstance(found, Config)
    assert found.to_dict() == cfg.to_dict()


def test_every_kind_of_plain_value_comes_back_with_its_type():
    content = {
        "numbers": [0, -3, 1e-6, -0.5, math.inf, -math.inf, True, False, None, 10**30],
        "texts": ["", "a'b\"c", "C:\\new\nline", "Ölgemälde", "{{x}}", "__import__('os')"],
        "nested": (1, [2, (3,)], ({"a": ()},)),
        "by_number": {0: "Clean", -1: {"not-a-name": [{"x y": 1}]}},
        "empty": {},
    }
    found = parsed(Config(content).pretty_text).to_dict()
    assert found == content
    for name, value in content.items():  # repr tells True from 1 and a tuple from a list
        assert sorted(repr(found[name])) == sorted(repr(value))


def test_not_a_number_comes_back():
    assert math.isnan(parsed(Config({"x": math.nan}).pretty_text).x)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "x = __import__('os').system('touch {marker}')",
        "x = open('{marker}', 'w')",
        "x = dict(a=open('{marker}', 'w'))",
        "x = dict(open('{marker}', 'w'))",
        "x = dict(**open('{marker}', 'w'))",
        "x = dict([('a', 1)])",
        "x = {**{}}",
        "x = {open('{marker}', 'w'): 1}",
        "x = [open('{marker}', 'w') for _ in [1]]",
        "x = f'{open(0)}'",
        "x = (lambda: 1)()",
        "x = 'a' * 10**10",
        "x = 9**9**9",
        "x = -'a'",
        "x = -True",
        "x = b'a'",
        "x = {1, 2}",
        "x = ...",
        "x = 1j",
        "x = y",
        "x = y = 1",
        "x, y = 1, 2",
        "x.y = 1",
        "x += 1",
        "1",
        "x = {[]: 1}",
        "filename = 'x'",
        "def f(): open('{marker}', 'w')",
        "x =",
        "x = '\0'",
        "x = '\udcff'",
        "x = " + "[" * 500 + "]" * 500,
        "x = " + "-" * 100_000 + "1",
        "x = " + "9" * 5_000,
        "x = " + "1," * 600_000,
        b"x = 1",
        5,
    ],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_refused_and_not_run(text, tmp_path):
    marker = tmp_path / "ran"
    if isinstance(text, str):
        text = text.replace("{marker}", str(marker))
    with pytest.raises(InputError, match=r"^run/last\.pth: the config in .* cannot be read"):
        parsed(text)
    assert not marker.exists()


@pytest.mark.parametrize(
    "checkpoint",
    [{}, {"meta": {}}, {"meta": None}, {"meta": "x"}, {"meta": {"cfg": None}}, [1], None],
    ids=repr,
)
def test_a_checkpoint_without_a_config_says_what_to_give(checkpoint):
    with pytest.raises(InputError, match=r"holds no config; give the one .*--config CONFIG"):
        config_of_checkpoint(checkpoint, "run/last.pth")
