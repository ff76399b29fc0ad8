# SPDX-License-Identifier: GPL-2.0-only
"""Maps in memory are found by content."""

import threading
import weakref

from kallsyms_client.wire import OK, How
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.maps import MOST, MapText, RecentMaps
from kallsymsd.engine.result import BuildResult


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
    answer = Answer(BuildResult(OK, How(), text=b"a" * 10))
    maps.add(first, b"form", answer)
    assert maps.find(b"1" * 10).answers == {b"form": answer}
    maps.find(b"2" * 10)
    again = maps.find(b"1" * 10)
    assert again is not first
    assert again.answers == {}


def test_answers_of_a_dropped_map_are_freed_when_nobody_waits() -> None:
    maps = RecentMaps(limit=25)
    first = maps.find(b"1" * 10)
    maps.add(first, b"form", Answer(BuildResult(OK, How(), text=b"a" * 10)))
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
