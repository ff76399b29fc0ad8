# SPDX-License-Identifier: GPL-2.0-only
"""Maps in memory are found by content."""

import threading
import weakref
from pathlib import Path

import pytest

from kallsymsd.core.assembly import Assembly
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.recentmaps import MOST, MOST_ANSWERS, MapText, RecentMaps
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import How


def test_equal_content_in_another_object_is_the_map_in_memory() -> None:
    maps = RecentMaps()
    first = maps.find(b"ffff T a\n")
    assert maps.find(bytes(bytearray(b"ffff T a\n"))) is first
    assert first.text == b"ffff T a\n"


def test_a_map_that_differs_in_one_byte_is_another() -> None:
    maps = RecentMaps()
    text = bytes(10_000)
    first = maps.find(text)
    for at in (0, 5000, 9999):
        changed = bytearray(text)
        changed[at] = 1
        other = maps.find(bytes(changed))
        assert (other is first, other.text == bytes(changed)) == (False, True)
        assert other.digest != first.digest


def test_a_map_that_begins_like_another_is_another() -> None:
    maps = RecentMaps()
    longer = maps.find(b"ffff T a\nffff T b\n")
    assert maps.find(b"ffff T a\n") is not longer
    assert maps.find(b"") is not longer


def test_of_the_maps_of_a_size_that_seen_last_comes_first() -> None:
    maps = RecentMaps()
    texts = [b"first ", b"second", b"longer than these", b"third "]
    found = [maps.find(text) for text in texts]
    assert maps.alike(6) == [b"third ", b"second", b"first "]
    assert maps.find(bytes(bytearray(b"first "))) is found[0]
    assert maps.alike(6) == [b"first ", b"third ", b"second"]
    assert maps.alike(6)[0] is found[0].text
    assert maps.alike(5) == []


def test_the_map_not_seen_for_longest_is_dropped() -> None:
    maps = RecentMaps(limit=20)
    first, second = maps.find(b"1" * 10), maps.find(b"2" * 10)
    assert maps.find(b"1" * 10) is first
    maps.find(b"3" * 10)
    assert maps.find(b"1" * 10) is first
    assert maps.find(b"2" * 10) is not second


def test_the_last_map_is_kept_even_above_the_limit() -> None:
    maps = RecentMaps(limit=5)
    small = maps.find(b"small")
    large = maps.find(b"larger")
    assert maps.find(b"larger") is large
    assert maps.find(b"small") is not small


def test_answers_count_and_go_with_their_map() -> None:
    maps = RecentMaps(limit=25)
    first = maps.find(b"1" * 10)
    answer = Answer.of(BuildResult(How(), Assembly(b"a" * 10, [])))
    maps.add(first, b"form", answer)
    assert maps.find(b"1" * 10).answers == {b"form": answer}
    maps.find(b"2" * 10)
    again = maps.find(b"1" * 10)
    assert again is not first
    assert again.answers == {}


def test_answers_of_a_dropped_map_are_freed_when_nobody_waits() -> None:
    maps = RecentMaps(limit=25)
    first = maps.find(b"1" * 10)
    maps.add(first, b"form", Answer.of(BuildResult(How(), Assembly(b"a" * 10, []))))
    answer = weakref.ref(first.answers[b"form"])
    del first
    maps.find(b"2" * 10)
    assert answer() is not None
    assert b"1" * 10 not in maps.alike(10)
    maps.let_go()
    assert answer() is None


def test_threads_that_bring_the_same_new_map_get_one_object() -> None:
    maps = RecentMaps()
    barrier = threading.Barrier(8)
    found: list[list[MapText]] = []

    def bring() -> None:
        mine = []
        for number in range(50):
            content = b"%d" % number * 20_000
            barrier.wait(20)
            mine.append(maps.find(content))
        found.append(mine)

    threads = [threading.Thread(target=bring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len({id(each) for each in same}) == 1 for same in zip(*found, strict=True))


def test_the_number_of_maps_is_limited_too() -> None:
    maps = RecentMaps()
    first = maps.find(b"0")
    for number in range(1, MOST):
        maps.find(b"%d" % number)
    assert maps.find(b"0") is first
    for number in range(MOST, 2 * MOST):
        maps.find(b"%d" % number)
    assert maps.find(b"0") is not first
    assert len(maps._maps) == MOST


def answer(text: bytes = b"a") -> Answer:
    return Answer.of(BuildResult(How(), Assembly(text, [])))


def forms(maps: RecentMaps, content: bytes) -> list[bytes]:
    return list(maps.find(content).answers)


def test_of_the_answers_about_one_map_the_last_ones_are_kept() -> None:
    maps = RecentMaps()
    other = maps.find(b"other")
    maps.add(other, b"form", answer())
    one = maps.find(b"one")
    for number in range(1000):
        maps.add(one, b"%d" % number, answer())
    assert forms(maps, b"one") == [b"%d" % number for number in range(1000 - MOST_ANSWERS, 1000)]
    assert forms(maps, b"other") == [b"form"]  # of another build
    assert maps._descriptors == MOST_ANSWERS + 1
    assert maps._size == sum(maps._maps.values()) == len(b"one" + b"other") + MOST_ANSWERS + 1


@pytest.mark.parametrize("maps_of_each", [1, 3])
def test_answers_have_so_many_descriptors_whatever_they_are_about(maps_of_each: int) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    maps = RecentMaps(descriptors=10)
    for number in range(100):
        contents = maps.find(b"%d" % (number // maps_of_each))
        maps.add(contents, b"%d" % number, answer())
        maps.let_go()
        assert maps._descriptors <= 10
    assert len(list(Path("/proc/self/fd").iterdir())) == before + maps._descriptors
    assert forms(maps, b"%d" % (99 // maps_of_each))[-1] == b"99"


def test_an_only_map_keeps_as_many_answers_as_there_may_be() -> None:
    maps = RecentMaps(descriptors=3)
    only = maps.find(b"only")
    for number in range(9):
        maps.add(only, b"%d" % number, answer())
    assert forms(maps, b"only") == [b"6", b"7", b"8"]
    maps = RecentMaps(descriptors=0)
    only = maps.find(b"only")
    maps.add(only, b"form", answer())
    assert forms(maps, b"only") == [b"form"]


def test_an_answer_that_was_made_twice_counts_once() -> None:
    maps = RecentMaps(limit=25)
    first = maps.find(b"1" * 10)
    for _ in range(5):
        maps.add(first, b"form", answer(b"a" * 10))
    assert (maps._size, maps._descriptors) == (20, 1)
    assert maps.find(b"1" * 10) is first


def test_what_was_dropped_holds_nothing_even_while_its_map_is_in_use() -> None:
    maps = RecentMaps(limit=20)
    kept = maps.find(b"1" * 10)  # as the state of a tree does
    made = answer(b"a" * 5)
    gone = weakref.ref(made)
    maps.add(kept, b"form", made)
    del made
    maps.find(b"2" * 10)
    maps.let_go()
    assert gone() is None
    maps.add(kept, b"form", answer())  # it was being made meanwhile
    assert kept.answers == {}
    assert maps._descriptors == 0


def test_a_map_can_be_forgotten() -> None:
    maps = RecentMaps()
    first = maps.find(b"first")
    maps.add(first, b"form", answer())
    maps.forget(first)
    maps.forget(first)
    assert (maps.alike(5), maps._size, maps._descriptors) == ([], 0, 0)
    assert maps.find(b"first") is not first
