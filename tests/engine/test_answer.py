# SPDX-License-Identifier: GPL-2.0-only
"""Sealed answers and their form in the store."""

import contextlib
import fcntl
import gc
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsyms_client.wire import BAD_INPUT, COLD, HIT, OK, How, WireError
from kallsymsd.engine import entry
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.result import BuildResult


def result(text: bytes = b"text", binary: bytes = b"binary") -> BuildResult:
    how = How(COLD, symbols=5, steps=7, stages=[1, 2, 3, 4, 5, 6, 7])
    return BuildResult(OK, how, text=text, pieces=(binary,), message=b"a warning\n")


def test_the_descriptor_holds_the_text_and_then_the_binary() -> None:
    answer = Answer(result())
    assert os.pread(answer.descriptor, 100, 0) == b"textbinary"
    assert (answer.text_length, answer.binary_length, answer.size) == (4, 6, 10)
    assert answer.contents() == b"textbinary"


def test_nobody_can_change_an_answer() -> None:
    answer = Answer(result())
    with pytest.raises(PermissionError):
        os.pwrite(answer.descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(answer.descriptor, 0)
    with pytest.raises(PermissionError):
        os.ftruncate(answer.descriptor, 100)
    with pytest.raises(PermissionError):
        fcntl.fcntl(answer.descriptor, fcntl.F_ADD_SEALS, 0)


def test_bad_input_has_no_descriptor() -> None:
    answer = Answer(BuildResult.bad_input(b"No valid symbol.\n"))
    assert (answer.status, answer.descriptor, answer.ok) == (BAD_INPUT, -1, False)
    assert answer.message == b"No valid symbol.\n"


def test_an_answer_that_nobody_has_any_more_is_closed() -> None:
    answer = Answer(result())
    name = Path(f"/proc/self/fd/{answer.descriptor}")
    here = name.readlink()
    del answer
    gc.collect()
    assert not name.is_symlink() or name.readlink() != here


def test_a_reply_tells_how_this_request_was_met() -> None:
    reply = Answer(result()).reply(How(HIT, symbols=5))
    assert (reply.status, reply.how.made, reply.text_length, reply.binary_length) == (OK, HIT, 4, 6)
    assert reply.message == b"a warning\n"


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_an_entry_gives_back_what_was_stored(text: bytes, binary: bytes) -> None:
    before = result(text, binary)
    after = entry.decode(b"".join(entry.encode(Answer(before))))
    assert (after.status, after.text, after.binary, after.message) == (OK, text, binary, b"a warning\n")
    assert (after.how.made, after.how.symbols, after.how.steps) == (COLD, 5, 7)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        entry.decode(data)


@given(st.data())
def test_a_cut_entry_is_an_error(data: st.DataObject) -> None:
    whole = b"".join(entry.encode(Answer(result())))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WireError):
        entry.decode(whole[:cut])
