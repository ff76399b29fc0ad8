# SPDX-License-Identifier: GPL-2.0-only
"""What docs/security.md promises about the daemon itself."""

import contextlib
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.stopwatch import Stopwatch
from kallsymsd.engine.treestate import TreeState
from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Decoder
from kallsymsd.protocol.wire import BuildReply, BuildRequest, How, WireError
from tests.service.ahead.test_watch_process import a_map, is_watched
from tests.service.peer import PATIENCE, Daemon, request
from tests.service.test_process import Program, program  # noqa: F401  a fixture
from tests.service.test_server import wait_for


def test_it_changes_and_starts_nothing_but_its_own(program: Program, tmp_path: Path) -> None:  # noqa: F811  it is that fixture
    log, tree = tmp_path / "log", tmp_path / "tree"
    tree.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", "tests.service.audited", str(log)],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program.processes.append(process)
    wait_for(program._connects)
    path = tree / "System.map"
    for count in range(300, 303):
        path.write_bytes(a_map(count))
        assert program.build(path)[0].status == wire.OK
        wait_for(lambda: is_watched(program))
    path.write_bytes(b"no map\n")
    assert program.build(path)[0].status == wire.BAD_INPUT
    wait_for(lambda: any(program.cache.rglob("*.val")))
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    events = [tuple(json.loads(line)) for line in log.read_text().splitlines()]
    assert {event for event, _ in events} >= {"open", "os.mkdir", "sqlite3.connect", "socket.bind"}
    own = (f"{program.cache}/", f"{program.socket.parent}/")
    made = {
        ("os.mkdir", str(place)) for place in (program.cache, program.cache.parent, program.socket.parent)
    }
    # mkdir with exist_ok names a directory that is there.
    made.add(("os.mkdir", str(program.runtime)))
    others = {each for each in events if not each[1].startswith(own)} - made
    assert others == {("socket.bind", "")}
    assert [each.name for each in tree.iterdir()] == ["System.map"]


# Any bytes.

_LENGTHS = st.sampled_from([0, 1, 7, 1 << 15, 1 << 16, (1 << 16) + 1, 1 << 24, 1 << 31, (1 << 32) - 1])


@given(st.lists(st.tuples(st.integers(0, 9), _LENGTHS), max_size=6), st.integers(1, 9))
def test_a_length_alone_takes_no_memory(headers: list[tuple[int, int]], piece: int) -> None:
    data = wire.preamble() + b"".join(
        kind.to_bytes(4, "little") + length.to_bytes(4, "little") + bytes(min(length, 64))
        for kind, length in headers
    )
    decoder = Decoder(frozenset(wire.MAX_BODY))
    tracemalloc.start()
    try:
        with contextlib.suppress(WireError):
            for at in range(0, len(data), piece):
                list(decoder.feed(data[at : at + piece]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 16


_REQUEST = request(Path("/a.map")).encode()
_REPLY = BuildReply(0, How(symbols=3), text_length=5, binary_length=7, message=b"said\n").encode()


def changed(body: bytes) -> st.SearchStrategy[bytes]:
    """``body`` with a few bytes replaced, cut out, or put in; or anything at all."""
    pieces = st.tuples(st.integers(0, len(body)), st.integers(0, 8), st.binary(max_size=8))
    edited = st.lists(pieces, min_size=1, max_size=4).map(
        lambda edits: _edited(body, edits),
    )
    return st.one_of(edited, st.binary(max_size=200))


def _edited(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, count, new in edits:
        body = body[:at] + new + body[at + count :]
    return body


@given(changed(_REQUEST))
def test_any_bytes_are_a_request_or_an_error(body: bytes) -> None:
    with contextlib.suppress(WireError):
        assert BuildRequest.decode(body).encode() == body


@given(changed(_REPLY))
def test_any_bytes_are_a_reply_or_an_error(body: bytes) -> None:
    with contextlib.suppress(WireError):
        assert BuildReply.decode(body).encode() == body


_DIALECT = BY_NAME["v6.11"]
_STATE = b"".join(TreeState.cold(MapText(a_map(40)), _DIALECT, 1, Stopwatch())[0].encode())


@given(changed(_STATE))
def test_any_bytes_are_the_state_of_a_tree_or_an_error(stored: bytes) -> None:
    with contextlib.suppress(ValueError, InputError):
        TreeState.decode(stored, _DIALECT, 1)


# Who may do what.


def test_any_version_of_this_protocol_may_ask_it_to_leave(daemon: Daemon) -> None:
    # What a client of another version sends, with capabilities that nobody has thought of.
    with daemon.peer() as peer:
        peer.send(b"KSYM\x04\x00\xff\xff" + b"\x04\0\0\0\x0e\0\0\0" + b"\x81\xa7command\xa4stop")
        assert peer.answer() == {"state": "draining"}
    daemon.thread.join(PATIENCE)
    assert not daemon.thread.is_alive()
