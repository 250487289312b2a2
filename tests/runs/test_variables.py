"""Values of variables are held against their rules."""

import pytest

from mmseg_heritage.runs.variables import value_problems

GOOD = {
    "batch_size": [1, 32],
    "max_epochs": [1],
    "max_iters": [None, 1],
    "num_classes": [1, 16],
    "warmup_epochs": [1],
    "num_workers": [0, 8],
    "seed": [None, 0, 2**32 - 1],
    "lr": [0, 0.0, 1e-5, 1],
}
BAD = {
    "batch_size": [0, -1, 2.0, "two", True, None, [4]],
    "max_epochs": [0, "two", 1.5],
    "max_iters": [0, "3"],
    "num_classes": [0, "two"],
    "warmup_epochs": [-1, "x"],
    "num_workers": [-1, "two", None, False],
    "seed": [-1, 2**32, "abc", 0.5],
    "lr": [-0.1, float("nan"), float("inf"), "fast", None, True],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in GOOD.items() for v in values])
def test_values_that_can_be_used(name, value):
    assert value_problems({name: value}, []) == []


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_values_that_cannot_are_named_with_what_is_expected(name, value):
    (problem,) = value_problems({name: value}, [])
    assert problem.startswith(f"{name} must be a ")
    assert problem.endswith(f", found {value!r}")


def test_a_field_has_the_rule_of_its_variable():
    tables = [{"lr": (0.1, ["optimizer.lr"]), "other": (1, ["some.other"])}]
    values = {"optimizer.lr": "fast", "some.other": "x", "no.such": "y"}
    assert value_problems(values, tables) == ["optimizer.lr must be a number from 0, found 'fast'"]
