"""The message of an InputError, and how it travels between processes."""

import pickle

import pytest

from mmseg_heritage.errors import InputError


@pytest.mark.parametrize(("count", "listed", "more"), [(0, 0, 0), (20, 20, 0), (21, 20, 1)])
def test_the_first_20_problems_are_listed_and_the_rest_counted(count, listed, more):
    problems = [f"problem {i}." for i in range(count)]
    lines = str(InputError("Nothing works.", problems)).splitlines()
    assert lines[0] == "Nothing works."
    assert [line.strip(" -") for line in lines[1 : 1 + listed]] == problems[:20]
    assert lines[1 + listed :] == ([f"  ... and {more} more"] if more else [])


def test_all_problems_are_kept_from_any_iterable():
    error = InputError("summary", (f"{i}" for i in range(30)))
    assert error.problems == [f"{i}" for i in range(30)]
    assert error.summary == "summary"


def test_is_a_value_error_for_callers_that_do_not_know_it():
    with pytest.raises(ValueError, match="summary"):
        raise InputError("summary")


def test_survives_pickling_so_that_worker_processes_can_raise_it():
    error = pickle.loads(pickle.dumps(InputError("summary", ["a", "b"])))
    assert (type(error), error.summary, error.problems) == (InputError, "summary", ["a", "b"])
    assert str(error) == "summary\n  - a\n  - b"
