# SPDX-License-Identifier: GPL-2.0-only
"""What a link is remembered by: damaged, foreign or half-written, it is not used."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.onelink import lastlink
from kallsymsd.onelink.prediction import Prediction, UnpredictableError
from tests.kbuild.onelink.program import BASE, why_not
from tests.reference.mksysmap import SCRIPTS

_DIALECT = BY_NAME["v6.11"]
_INPUTS = ".tmp_vmlinux.inputs"
_MAP = ".tmp_vmlinux2.syms"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Path:
    """An object tree after a link; a test puts back what it changes."""
    if reason := why_not():
        unavailable(reason)
    tree = tmp_path_factory.mktemp("tree")
    linked = BASE.map(tree, SCRIPTS["v6.11"])
    inputs, _ = lastlink.predict_link(tree, _DIALECT)
    lastlink.note(tree, inputs)
    lastlink.learn(tree, linked)
    return tree


def is_known(tree: Path) -> bool:
    """Whether the next link is predicted; checks that it is predicted right."""
    _, made = lastlink.predict_link(tree, _DIALECT)
    if isinstance(made, UnpredictableError):
        assert str(made) == "nothing is known about the last link in this tree"
        return False
    assert made == Prediction((tree / _MAP).read_bytes(), 0, 0)
    return True


def test_undamaged(tree: Path) -> None:
    assert is_known(tree)
    assert not (tree / f"{_INPUTS}.new").exists()


@settings(max_examples=max(60, settings().max_examples // 4))
@given(st.sampled_from([_INPUTS, _MAP]), st.integers(0), st.integers(0, 7))
def test_any_bit_that_flips(tree: Path, name: str, at: int, bit: int) -> None:
    data = bytearray((tree / name).read_bytes())
    data[at % len(data)] ^= 1 << bit
    with_contents(tree, name, bytes(data))


@pytest.mark.parametrize("length", [0, 1, 7, 8, 24, 39, 40, 47, 48, 60, -1])
def test_cut_short(tree: Path, length: int) -> None:
    for name in (_INPUTS, _MAP):
        with_contents(tree, name, (tree / name).read_bytes()[:length])


def test_longer(tree: Path) -> None:
    for name in (_INPUTS, _MAP):
        with_contents(tree, name, (tree / name).read_bytes() + b"\n")


def test_of_another_machine_or_version(tree: Path) -> None:
    data = (tree / _INPUTS).read_bytes()
    for magic in (b"KSinp2be" if data[6:8] == b"le" else b"KSinp2le", b"KSinp1" + data[6:8]):
        with_contents(tree, _INPUTS, magic + data[8:])


def test_noted_but_not_linked(tree: Path) -> None:
    inputs, _ = lastlink.predict_link(tree, _DIALECT)
    lastlink.note(tree, inputs)
    coming = tree / f"{_INPUTS}.new"
    with_contents(tree, _INPUTS, coming.read_bytes())
    coming.unlink()


def test_one_of_the_two_is_gone(tree: Path) -> None:
    for name in (_INPUTS, _MAP):
        data = (tree / name).read_bytes()
        (tree / name).unlink()
        assert not is_known(tree)
        (tree / name).write_bytes(data)


@pytest.mark.parametrize("length", [0, 3, 64, 1000, -1])
def test_an_input_that_is_cut_short(tree: Path, length: int) -> None:
    whole = (tree / "vmlinux.o").read_bytes()
    (tree / "vmlinux.o").write_bytes(whole[:length])
    try:
        with pytest.raises(InputError):
            lastlink.predict_link(tree, _DIALECT)
    finally:
        (tree / "vmlinux.o").write_bytes(whole)


def with_contents(tree: Path, name: str, data: bytes) -> None:
    """The next link is not predicted when the file has these contents."""
    whole = (tree / name).read_bytes()
    assert data != whole
    (tree / name).write_bytes(data)
    try:
        assert not is_known(tree)
    finally:
        (tree / name).write_bytes(whole)
