# SPDX-License-Identifier: GPL-2.0-only
"""The maps of one kernel after real edits, in every order: cold, updated and the kernel's own tool agree."""

import re
import tarfile
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from typing import NoReturn

import pytest

from kallsymsd.protocol.wire import ADDRESSES, INCREMENTAL
from tests import maps, oracles
from tests.incremental.updates import Tree
from tests.reference.tool import Outcome

OPTIONS = ("all-symbols", "absolute-percpu")
NAMES = ("0-base", "a_namei", "b_dev", "i_shift", "ii_noshift", "iii_newstatic")

#: Edits that gave no symbol another name: a body changed, with and without a shift.
SAME_NAMES = {"0-base", "a_namei", "i_shift", "ii_noshift"}

#: Symbols that changed against a map with the same names as the base, and token steps that stand. Found by
#: comparing the kernel's own output for these maps.
KNOWN = {"b_dev": (11, 172), "iii_newstatic": (1, 164)}


@pytest.fixture(scope="module")
def sequence() -> dict[str, bytes]:
    """The maps by name."""
    with tarfile.open(maps.DATA / "rebuild-sequence.tar.xz") as archive:
        members = {name: archive.extractfile(f"small/{name}.map") for name in NAMES}
        return {name: file.read() for name, file in members.items() if file is not None}


@pytest.fixture(scope="module")
def trees(sequence: dict[str, bytes]) -> dict[str, Tree]:
    """A tree for each map, in the state right after a cold run."""
    return {name: Tree("v6.11", OPTIONS, text) for name, text in sequence.items()}


@pytest.fixture(scope="module")
def right(sequence: dict[str, bytes], unavailable: Callable[[str], NoReturn]) -> dict[str, Outcome]:
    """What the kernel's own tool prints for each map."""
    oracle = oracles.find("v6.11") or unavailable(oracles.missing("v6.11"))
    return {name: oracle.run(OPTIONS, text) for name, text in sequence.items()}


@pytest.mark.parametrize(("first", "second"), list(permutations(NAMES, 2)))
def test_each_map_after_each_other_is_updated_in_the_known_way_and_as_by_a_cold_run(
    sequence: dict[str, bytes], trees: dict[str, Tree], first: str, second: str
) -> None:
    tree = Tree.of(trees[first])
    made = tree.update(sequence[second])
    equal = made == trees[second].tables_as_text()
    assert equal
    if {first, second} <= SAME_NAMES:
        assert tree.how.made == ADDRESSES
    elif {first, second} <= {*KNOWN}:
        # Other edits: both are undone and done.
        assert (tree.how.made, tree.how.changed, tree.how.kept) == (INCREMENTAL, 12, 164)
    else:
        (edited,) = {first, second} & {*KNOWN}
        assert (tree.how.made, tree.how.changed, tree.how.kept) == (INCREMENTAL, *KNOWN[edited])
    tree.check_history()


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
def test_updating_through_all_maps_ends_at_what_the_kernels_own_tool_prints(
    sequence: dict[str, bytes], trees: dict[str, Tree], right: dict[str, Outcome], name: str
) -> None:
    tree = Tree.of(trees[name])
    for other in (*NAMES, name):
        equal = tree.update(sequence[other]) == right[other]
        assert equal, other


def _strings(outcome: Outcome) -> Counter[bytes]:
    """Type and name of each symbol, as the tool comments its names with them."""
    names = outcome.stdout.split(b"kallsyms_names:\n")[1].split(b"\n\n")[0]
    return Counter(re.findall(rb"/\* (.*) \*/$", names, re.MULTILINE))


def _tokens(outcome: Outcome) -> list[bytes]:
    """The expansions in the order in which they were chosen: from code 255 down, without the letters."""
    table = outcome.stdout.split(b"kallsyms_token_table:\n")[1].split(b"\n\n")[0]
    texts: list[bytes] = re.findall(rb'\.asciz\t"(.*)"$', table, re.MULTILINE)
    return [text for text in reversed(texts) if len(text) > 1]


@pytest.mark.oracle
@pytest.mark.parametrize("edited", KNOWN)
def test_what_is_known_of_the_edits_is_what_the_kernels_own_tool_shows(
    right: dict[str, Outcome], edited: str
) -> None:
    old, new = _strings(right["0-base"]), _strings(right[edited])
    pairs = list(zip(_tokens(right["0-base"]), _tokens(right[edited]), strict=True))
    changed = (old - new).total() + (new - old).total()
    assert (changed, [before == after for before, after in pairs].index(False)) == KNOWN[edited]
