# SPDX-License-Identifier: GPL-2.0-only
"""Maps of a program that is really compiled and linked, edited and linked again."""

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import NoReturn

import pytest

from kallsymsd.protocol.wire import ADDRESSES, COLD, INCREMENTAL
from tests.core import ours
from tests.incremental import kernel
from tests.incremental.kernel import FUNCTIONS, Function, Kernel
from tests.incremental.updates import Tree
from tests.oracles import Oracle

#: What was edited before each map, and how its tables must come about with all symbols.
EDITS = {
    "nothing yet": COLD,
    "a body grew": ADDRESSES,
    "a body shrank": ADDRESSES,
    "a function added": INCREMENTAL,
    "a function renamed": INCREMENTAL,
    "a function renamed, its letters kept": INCREMENTAL,
    "a function removed": INCREMENTAL,
    "static variables added": INCREMENTAL,
    "a per-cpu variable added": INCREMENTAL,
    "a function moved": INCREMENTAL,
    "all of it undone": INCREMENTAL,
}


def _build_all(program: Kernel) -> list[bytes]:
    """The map after each of EDITS, in their order."""
    original = deepcopy((program.files, program.statics, program.percpu))
    made = [program.build()]

    def linked() -> None:
        made.append(program.build())

    program.files[1][100].size += 40
    linked()
    program.files[1][100].size -= 20
    linked()
    program.files[2].insert(200, Function("tcp_probe_again", 5))
    linked()
    program.files[2][300].name = "usb_write_renamed"
    linked()
    program.files[3][300].name = _turned(program.files[3][300].name)
    linked()
    del program.files[0][400]
    linked()
    program.statics[1] += ["mm_cache", "net_cache"]
    linked()
    program.percpu.insert(1, "irq_count")
    linked()
    program.files[2].insert(13, program.files[2].pop(10))
    linked()
    program.files, program.statics, program.percpu = original
    linked()
    return made


def _turned(name: str) -> str:
    """A name of the same letters."""
    first, second, rest = name.split("_")
    return f"{second}_{first}_{rest}"


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> list[bytes]:
    """The maps of the program after each edit."""
    reason = kernel.why_not()
    if reason:
        unavailable(reason)
    return _build_all(Kernel(tmp_path_factory.mktemp("kernel")))


def test_the_maps_are_what_they_are_taken_for(linked: list[bytes]) -> None:
    assert len(linked) == len(EDITS)
    assert min(text.count(b"\n") for text in linked) > FUNCTIONS
    assert linked[0] == linked[-1]
    assert all(old != new for old, new in pairwise(linked))
    addresses = [line.split(b" ")[0] for line in linked[0].splitlines()]
    assert len(set(addresses)) < len(addresses)  # some symbols share one


@pytest.mark.oracle
def test_every_map_after_the_one_before_comes_out_as_from_the_kernels_own_tool(
    linked: list[bytes], oracle: Oracle
) -> None:
    options = (*ours.for_offsets(oracle.dialect), "absolute-percpu")
    tree = Tree(oracle.dialect, options, linked[0])
    assert tree.how.made == COLD
    for text, (edit, made) in list(zip(linked, EDITS.items(), strict=True))[1:]:
        outcome = tree.update(text)
        equal = outcome == oracle.run(options, text) == tree.cold(text)
        assert equal, edit
        assert outcome.status == 0
        assert tree.how.made == made, edit
        tree.check_history()


@pytest.mark.oracle
def test_without_all_symbols_too_and_in_any_order(linked: list[bytes], oracle: Oracle) -> None:
    for options in ((), ("absolute-percpu",)):
        right = {text: oracle.run(options, text) for text in linked}
        tree = Tree(oracle.dialect, options, linked[0])
        for step in range(1, 4):
            for at in range(len(linked)):
                text = linked[at * step * 3 % len(linked)]
                equal = tree.update(text) == right[text]
                assert equal, (options, step, at)
