# SPDX-License-Identifier: GPL-2.0-only
"""What is remembered of the last requests."""

import gc
from pathlib import Path

import pytest

from kallsymsd.core.assembly import Assembly
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import ADDRESSES, COLD, HIT, INCREMENTAL, BuildRequest, How
from kallsymsd.service.history import MOST, TOLD, History
from kallsymsd.service.ticket import Outcome, Ticket
from tests.service.peer import request

ANSWER = Answer.of(BuildResult(How(), Assembly(b"text", [])))


def ask(tree: bytes = b"/tree", options: int = 1) -> BuildRequest:
    return request(Path("/tree/System.map"), tree=tree, options=options)


def add(history: History, outcome: Outcome, old: bytes | None, new: bytes) -> dict[str, object]:
    last = MapText(old) if old is not None else None
    contents = MapText(new)  # in a variable, as the engine would keep it
    history.add(Ticket(ask(), -1, 0.0), outcome, contents, last)
    return history.entries()[-1]


@pytest.mark.parametrize(
    ("how", "old", "text"),
    [
        (How(HIT), b"1 T a", ""),
        (How(ADDRESSES), b"1 T a", "addresses only"),
        (How(INCREMENTAL, changed=3), b"1 T a", "3 symbols were"),
        (How(INCREMENTAL, changed=1), b"1 T a", "1 symbol was"),
        (How(INCREMENTAL), b"1 T a", "order differs"),
        (How(COLD), None, "nothing was known"),
        (How(COLD), b"1 T a", "so much differs"),
    ],
)
def test_it_is_said_why_an_answer_was_not_there(how: How, old: bytes | None, text: str) -> None:
    why = add(History(), Outcome(ANSWER, how), old, b"2 T a")["why"]
    assert text in str(why)
    assert bool(why) == bool(text)


def test_the_first_difference_is_said() -> None:
    entry = add(History(), Outcome(ANSWER, How(INCREMENTAL)), b"1 T a\n2 T b\n", b"1 T a\n2 T c\n")
    assert entry["difference"] == [2, "2 T b", "2 T c"]


def test_of_maps_that_are_not_in_memory_any_more_no_difference_is_known() -> None:
    history = History()
    history.add(
        Ticket(ask(), -1, 0.0), Outcome(ANSWER, How(INCREMENTAL)), MapText(b"1 T a\n"), MapText(b"1 T b\n")
    )
    assert history.entries()[-1]["difference"] == []


def test_the_first_symbols_that_changed_are_known_without_the_maps() -> None:
    history = History()
    answer = Answer.of(BuildResult(How(), Assembly(b"text", []), changed=(b"Told_name", b"tnew_name")))
    for how in (How(INCREMENTAL, changed=2), How(HIT)):
        history.add(Ticket(ask(), -1, 0.0), Outcome(answer, how), MapText(b"1 T a\n"), MapText(b"1 T b\n"))
    update, hit = history.entries()
    assert (update["difference"], update["first"]) == ([], ["T old_name", "t new_name"])
    assert hit["first"] == []


def test_a_failure_and_bad_input_say_what_is_wrong() -> None:
    history = History()
    failed = add(history, Outcome(None, How(), failure="no memory"), None, b"")
    assert (failed["made"], failed["why"]) == ("failure", "no memory")
    bad = Answer.of(BuildResult.bad_input(b"No valid symbol.\nmore\n"))
    refused = add(history, Outcome(bad, How()), None, b"")
    assert (refused["made"], refused["why"]) == ("bad input", "No valid symbol.")


def test_the_last_map_is_that_of_the_same_tree_and_options() -> None:
    history = History()
    maps = [MapText(b"1 T a"), MapText(b"1 T b"), MapText(b"1 T c")]
    assert history.last_map(ask(), maps[0]) is None
    assert history.last_map(ask(tree=b"/other"), maps[1]) is None
    assert history.last_map(ask(options=3), maps[1]) is None
    assert history.last_map(ask(), maps[2]) is maps[0]


def test_an_empty_map_is_not_the_last_one() -> None:
    history = History()
    maps = [MapText(b"1 T a"), MapText(b""), MapText(b"1 T c")]
    history.last_map(ask(), maps[0])
    history.last_map(ask(), maps[1])
    assert history.last_map(ask(), maps[2]) is maps[0]


def test_after_an_empty_map_nothing_is_known_of_a_tree() -> None:
    history = History()
    maps = [MapText(b""), MapText(b"1 T a"), MapText(b"1 T c")]
    assert history.last_map(ask(), maps[0]) is None
    assert history.last_map(ask(), maps[1]) is None
    assert history.last_map(ask(), maps[2]) is maps[1]


def test_maps_are_not_kept_for_it() -> None:
    history = History()
    dropped = MapText(b"1 T a")
    history.last_map(ask(), dropped)
    del dropped
    gc.collect()
    assert history.last_map(ask(), MapText(b"1 T b")) is None


def test_only_the_last_requests_are_remembered() -> None:
    history = History(clock=iter(range(2 * MOST)).__next__)
    for _ in range(MOST + 10):
        history.add(Ticket(ask(), -1, 0.0), Outcome(ANSWER, How(HIT)))
    assert len(history._entries) == MOST
    assert [entry["time"] for entry in history.entries()] == list(range(MOST + 10 - TOLD, MOST + 10))


def test_the_requests_of_one_tree_can_be_asked_for() -> None:
    history = History()
    for tree in (b"/a", b"/b", b"/\xff"):
        history.add(Ticket(ask(tree), -1, 0.0), Outcome(ANSWER, How(HIT)))
    assert [entry["tree"] for entry in history.entries("/b")] == ["/b"]
    assert [entry["tree"] for entry in history.entries()] == ["/a", "/b", "/\\xff"]
