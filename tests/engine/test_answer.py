# SPDX-License-Identifier: GPL-2.0-only
"""Sealed answers and their form in the store."""

import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.core.assembly import Assembly
from kallsymsd.core.front import Front
from kallsymsd.engine import storedanswer
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.memoryfile import Fronts
from kallsymsd.engine.result import BuildResult
from kallsymsd.protocol.wire import BAD_INPUT, COLD, HIT, OK, How, WireError


def with_front(front: Front, offsets: bytes) -> BuildResult:
    pieces = [*front.tables.values(), offsets]
    return BuildResult(How(COLD), Assembly(b"text", pieces, front), sysmap=b"map")


def result(text: bytes = b"text", binary: bytes = b"binary") -> BuildResult:
    how = How(COLD, symbols=5, steps=7, stages=(1, 2, 3, 4, 5, 6, 7))
    return BuildResult(how, Assembly(text, [binary]), message=b"a warning\n")


def test_the_file_holds_the_text_and_then_the_binary() -> None:
    answer = Answer.of(result())
    (file,) = answer.files
    assert os.pread(file.descriptor, 100, 0) == b"textbinary"
    assert (answer.reply.text_length, answer.reply.binary_length, answer.size) == (4, 6, 10)
    assert answer.parts() == [b"text", b"binary"]


def test_bad_input_has_no_file() -> None:
    answer = Answer.of(BuildResult.bad_input(b"No valid symbol.\n"))
    assert (answer.reply.status, answer.files, answer.ok) == (BAD_INPUT, (), False)
    assert answer.reply.message == b"No valid symbol.\n"


def test_answers_with_one_front_share_its_file() -> None:
    front, fronts = Front({"names": b"names", "markers": b"", "token_table": b"tokens"}), Fronts(least=1)
    first, second = (Answer.of(with_front(front, offsets), fronts) for offsets in (b"1st offsets", b"2nd"))
    assert first.files[0] is second.files[0]
    assert [os.pread(file.descriptor, 100, 0) for file in second.files] == [b"namestokens", b"text2ndmap"]
    assert second.parts() == [b"text", b"namestokens", b"2ndmap"]
    assert (second.reply.binary_length, second.reply.map_length, second.size) == (14, 3, 21)
    other = Answer.of(with_front(Front(front.tables), b"2nd"), fronts)
    assert other.files[0] is not second.files[0]


def test_a_small_front_is_worth_no_file() -> None:
    front = Front({"names": b"names", "token_table": b"tokens"})
    for fronts in (None, Fronts(), Fronts(least=12)):
        answer = Answer.of(with_front(front, b"offsets"), fronts)
        assert (len(answer.files), answer.parts()) == (1, [b"text", b"namestokensoffsetsmap"])
    assert len(Answer.of(with_front(front, b"offsets"), Fronts(least=11)).files) == 2


def test_the_stored_form_does_not_tell_how_many_files_there_were() -> None:
    front = Front({"names": b"names", "token_table": b"tokens"})
    stored = {
        b"".join(storedanswer.encode(Answer.of(with_front(front, b"offsets"), fronts)))
        for fronts in (None, Fronts(least=1))
    }
    (one,) = stored
    after = storedanswer.decode(one)
    assert after.parts() == [b"text", b"namestokensoffsetsmap"]
    assert (after.reply.binary_length, after.reply.map_length) == (18, 3)


def test_a_reply_tells_how_this_request_was_met() -> None:
    answer = Answer.of(result())
    reply = answer.reply.delivered(How(HIT, symbols=5), precomputed=True)
    assert (reply.status, reply.how.made, reply.text_length, reply.binary_length) == (OK, HIT, 4, 6)
    assert (reply.message, reply.precomputed) == (b"a warning\n", True)
    assert (answer.reply.how.made, answer.reply.precomputed) == (COLD, False)


def test_what_was_made_does_not_change() -> None:
    answer = Answer.of(result())
    for value in (answer, answer.reply, answer.reply.how, answer.files[0]):
        for field in [each for each in type(value).__slots__ if not each.startswith("_")]:
            before = getattr(value, field)
            with pytest.raises(AttributeError):
                setattr(value, field, before)
            with pytest.raises(AttributeError):
                delattr(value, field)
            assert getattr(value, field) is before


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_an_entry_gives_back_what_was_stored(text: bytes, binary: bytes) -> None:
    before = result(text, binary)
    after = storedanswer.decode(b"".join(storedanswer.encode(Answer.of(before))))
    assert (after.ok, after.parts(), after.reply.message) == (True, [text, binary], b"a warning\n")
    assert after.reply.how.stages == before.how.stages
    assert (after.reply.how.made, after.reply.how.symbols, after.reply.how.steps) == (COLD, 5, 7)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        storedanswer.decode(data)


@given(st.data())
def test_a_cut_entry_is_an_error(data: st.DataObject) -> None:
    whole = b"".join(storedanswer.encode(Answer.of(result())))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WireError):
        storedanswer.decode(whole[:cut])
