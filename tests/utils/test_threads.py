"""One function over many items in threads: order, progress, and what goes wrong."""

import threading
import time

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.threads import run_in_threads


def test_results_are_in_the_order_of_the_items_whichever_is_done_first():
    def square(number):
        time.sleep(0.02 if number == 0 else 0)
        return number**2

    assert run_in_threads(square, range(20), workers=4) == [n**2 for n in range(20)]
    assert run_in_threads(square, []) == []


def test_as_many_items_as_workers_run_at_a_time():
    barrier = threading.Barrier(3, timeout=30)  # opens when three threads have come
    run_in_threads(lambda _: barrier.wait(), range(3), workers=3)


def test_progress_is_reported_after_each_item_in_the_calling_thread():
    calls = []
    run_in_threads(str, [1, 2, 3], lambda *call: calls.append((*call, threading.get_ident())))
    assert calls == [(done, 3, threading.get_ident()) for done in (1, 2, 3)]


def test_the_input_errors_of_all_items_are_gathered_after_all_have_run():
    done = []

    def check(number):
        done.append(number)
        if number % 3 == 0:
            raise InputError(f"{number}: divisible by 3")

    with pytest.raises(InputError, match="faulty files") as caught:
        run_in_threads(check, range(10), workers=2)
    assert caught.value.problems == [f"{number}: divisible by 3" for number in (0, 3, 6, 9)]
    assert sorted(done) == list(range(10))


def test_any_other_exception_ends_the_work():
    done = []

    def fail(number):
        done.append(number)
        time.sleep(0.001)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_in_threads(fail, range(1000), workers=2)
    assert len(done) < 1000


def test_after_ctrl_c_nothing_else_begins():
    done = []

    def work(number):
        done.append(number)
        time.sleep(0.001)

    def stop(number, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_threads(work, range(1000), stop, workers=2)
    assert len(done) < 1000
