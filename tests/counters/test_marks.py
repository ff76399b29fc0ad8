# SPDX-License-Identifier: GPL-2.0-only
"""Marks: enough of them to ask what the last build cost, few enough to keep."""

import functools

from kallsymsd.counters import figures
from kallsymsd.counters.marks import MOST, QUIET, SPACING, Marks

NOTHING = figures.read({})


def at(times: list[float]) -> Marks:
    marks = Marks()
    for count, time in enumerate(times):
        marks.request(time, functools.partial(figures.read, {"requests": count}))
    return marks


def counts(marks: Marks) -> list[float]:
    return [mark.figures.counters["requests"] for mark in marks]


def test_the_passes_of_one_link_are_one_build() -> None:
    marks = at([1000, 1003, 1006])
    assert counts(marks) == [0]
    assert [(mark.since, mark.until, mark.is_build) for mark in marks] == [(0, 1000, True)]


def test_a_mark_says_how_long_nothing_had_been_counted() -> None:
    marks = at([1000, 1003, 9000])
    assert [(mark.since, mark.until) for mark in marks] == [(0, 1000), (1003, 9000)]
    assert counts(marks) == [0, 2]


def test_of_builds_close_to_each_other_the_last_is_kept() -> None:
    assert counts(at([1000 + QUIET * 2 * i for i in range(10)])) == [0, 9]


def test_of_builds_far_from_each_other_all_are_kept() -> None:
    assert counts(at([1000 + SPACING * i for i in range(4)])) == [0, 1, 2, 3]


def test_uninterrupted_work_is_marked_too() -> None:
    marks = at([1000 + 20 * i for i in range(200)])
    assert counts(marks) == [0, 90, 180]
    assert [mark.is_build for mark in marks] == [True, False, False]


def test_there_are_never_more_than_a_fixed_number() -> None:
    assert counts(at([1000 + SPACING * i for i in range(3 * MOST)])) == list(range(2 * MOST, 3 * MOST))


def test_a_clock_that_was_set_back_begins_a_build() -> None:
    assert counts(at([9000, 1000])) == [0, 1]


def test_cleared_marks_are_gone() -> None:
    marks = at([1000, 5000])
    marks.clear()
    assert counts(marks) == []
    marks.request(5001, lambda: NOTHING)
    assert counts(marks) == [0]
