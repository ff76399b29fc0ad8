# SPDX-License-Identifier: GPL-2.0-only
"""The edits of the benchmark do what their rows say."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import maps
from tests.bench import edits
from tests.bench.edits import KernelMap


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> KernelMap:
    path: Path = tmp_path_factory.mktemp("map") / "in.map"
    return KernelMap.parse(maps.unpack("i386-6.1.176-686", path).path.read_bytes())


def _names() -> Iterator[bytes]:
    return (b"new_%d" % number for number in range(1000))


def _difference(old: KernelMap, new: KernelMap) -> tuple[int, int]:
    """How many lines are gone and how many are new, addresses aside."""
    before, after = Counter(old.tails), Counter(new.tails)
    return (before - after).total(), (after - before).total()


def test_a_map_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = maps.unpack("amd64-6.1.192-amd64", tmp_path / "in.map").path.read_bytes()
    assert KernelMap.parse(text).text() == text


def test_a_shift_moves_all_that_is_behind(real: KernelMap) -> None:
    moved = edits.shift(real, random.Random(1))
    assert moved.tails == real.tails
    distances = [new - old for old, new in zip(real.addresses, moved.addresses, strict=True)]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert len(set(distances)) == 2


@pytest.mark.parametrize(("way", "gone", "new"), [("added", 0, 7), ("removed", 7, 0), ("renamed", 7, 7)])
def test_edits_change_as_many_symbols_as_they_are_told(
    real: KernelMap, way: str, gone: int, new: int
) -> None:
    edited = edits.EDITS[way](real, 7, random.Random(2), _names())
    assert _difference(real, edited) == (gone, new)
    assert edited.addresses == sorted(edited.addresses)


def test_new_names_are_new_and_each_comes_once(real: KernelMap) -> None:
    donor = KernelMap(real.width, [0, 0, 0], [b" t one\n", b" t two\n", real.tails[100]])
    assert sorted(edits.new_names(real, donor, random.Random(3))) == [b"one", b"two"]


def test_a_multiple_has_as_many_symbols_and_no_name_more_often(real: KernelMap) -> None:
    most = max(Counter(real.tails).values())
    larger = edits.multiply(real, 3)
    assert len(larger.tails) == len(larger.addresses) == 3 * len(real.tails)
    assert larger.addresses == sorted(larger.addresses)
    assert max(Counter(larger.tails).values()) <= most
    assert max(larger.addresses) < 1 << 32
