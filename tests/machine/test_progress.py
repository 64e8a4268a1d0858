"""Progress: what is left of a phase, and what is no part of its rate."""

import sys

import pytest

from mmgenre.machine import progress


@pytest.fixture
def clock(monkeypatch):
    """The seconds that a clock shows."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_time_left_leaves_compiling_out(clock, capsys):
    with progress.phase("epoch 1/3", 1_000, "movies") as lines:
        clock[0] = 62.0
        lines.leave_out(60.0)
        lines.update(100)
    assert capsys.readouterr().err == ("epoch 1/3: 100 of 1,000 movies, 50 per second, 18 s left\n")


def test_a_bar_leaves_it_out_too(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    rates = []
    for left_out in (0.0, 3_600.0):
        with progress.phase("epoch 1/3", 1_000, "movies") as bar:
            bar.last_print_t -= 3_600.0  # So long ago.
            bar.leave_out(left_out)
            bar.last_print_t -= 1.0
            bar.update(100)
            rates.append(bar.format_dict["rate"])
    assert rates[0] < 1 < 10 < rates[1]
