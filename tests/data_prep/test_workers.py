"""The pool: in order, and none the worse for processes that are killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.workspace import workers
from mmgenre.errors import RunError


def square(item: tuple[Path, int]) -> int:
    return item[1] ** 2


def killed_at_nines(item: tuple[Path, int]) -> int:
    """Ends its process at each number with a 9."""
    if "9" in str(item[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return square(item)


def killed_once(item: tuple[Path, int]) -> int:
    """Ends its process at the first try of each tenth item."""
    mark = item[0] / str(item[1])
    if item[1] % 10 == 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(item)


def negative(item: tuple[Path, int]) -> int:
    return -square(item)


def fails_at_three(item: tuple[Path, int]) -> int:
    if item[1] == 3:
        raise ValueError("three")
    return square(item)


_STARTED = False


def start() -> None:
    global _STARTED
    _STARTED = True


def is_started(item: object) -> bool:
    time.sleep(0.01)
    return _STARTED


def items(folder: Path, count: int) -> list[tuple[Path, int]]:
    return [(folder, number) for number in range(count)]


def computed(function: Callable, *arguments, **options) -> list:
    with workers.ordered_map(function, *arguments, **options) as results:
        return list(results)


def test_in_order_whatever_is_killed(tmp_path):
    found = computed(killed_at_nines, items(tmp_path, 30), 2, careful=negative)
    assert [abs(value) for value in found] == [number**2 for number in range(30)]
    for number in (9, 19, 29):
        assert found[number] == -(number**2)
    assert found[:3] == [0, 1, 4]  # They are taken before the first nine is handed over.
    squares = [number**2 for number in range(25)]
    assert computed(killed_once, items(tmp_path, 25), 2) == squares


def test_what_always_kills_ends_the_work_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"killed 4 times in a row.*--processes 1"):
        computed(killed_at_nines, items(tmp_path, 30), 2)


def test_errors_are_no_deaths(tmp_path):
    with pytest.raises(ValueError, match="three"):
        computed(fails_at_three, items(tmp_path, 30), 2, careful=negative)


def test_who_wants_no_more_leaves_no_process(tmp_path):
    before = multiprocessing.active_children()
    with (
        pytest.raises(KeyError),
        workers.ordered_map(square, items(tmp_path, 10_000), 2) as results,
    ):
        next(results)
        raise KeyError
    assert multiprocessing.active_children() == before


def test_processes_are_prepared_and_this_one_is_careful(tmp_path):
    assert all(computed(is_started, items(tmp_path, 9), 2, initializer=start))
    assert not _STARTED
    for processes, count in ((1, 5), (2, 1)):
        found = computed(
            square, items(tmp_path, count), processes, careful=negative, initializer=start
        )
        assert found == [-(number**2) for number in range(count)] and not _STARTED
