# SPDX-License-Identifier: GPL-2.0-only
"""Answers to maps that differ in addresses only share what no address is in: daemon and client."""

import os
import threading
from pathlib import Path

import pytest

from kallsymsd import __version__
from kallsymsd.engine import cold
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.store import Store
from kallsymsd.protocol import asking as client
from kallsymsd.protocol.wire import (
    ADDRESSES,
    ASM,
    COLD,
    HIT,
    INCBIN,
    INCREMENTAL,
    MADE,
    BuildReply,
    BuildRequest,
)
from tests.service.peer import serving

COUNT = 20_000
CLIENTS = 6


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and daemon are one process here, and wait for each other."""
    monkeypatch.setattr(client, "SILENCE", 20.0)


def a_map(distance: int, name: bytes = b"symbol") -> bytes:
    """A map of which all but the first symbol have moved by ``distance``."""
    first = 0xFFFFFFFF81000000
    lines = [b"%016x t %b_%d\n" % (first + 16 * i + distance, name, i * i) for i in range(1, COUNT)]
    return b"%016x T _text\n" % first + b"".join(lines)


def request(**changes: object) -> BuildRequest:
    fields = {"version": __version__, "dialect": "v6.11", "options": 1, "form": INCBIN, "bits": 64}
    return BuildRequest(**{**fields, "bin_name": b"out.bin", "tree": b"/tree", **changes})  # type: ignore[arg-type]  # any field


class Asker:
    """Asks a daemon, and writes what comes."""

    def __init__(self, socket: Path, directory: Path) -> None:
        self._environment = {b"KALLSYMSD_SOCKET": bytes(socket)}
        self._directory = directory

    def ask(self, text: bytes, number: int = 0, **changes: object) -> tuple[BuildReply, list[os.stat_result]]:
        """The reply, and its files, after proof that what is written is what a cold run makes."""
        asked = request(**changes)
        path = self._directory / f"{number}.map"
        path.write_bytes(text)
        with path.open("rb") as file:
            output = client.ask(asked, file.fileno(), len(text), self._environment)
        right = cold.build(asked, text)
        for pieces, content in ((output.text, right.text), (output.binary, right.binary)):
            assert b"".join(piece.read() for piece in pieces) == content
            with path.open("wb") as out:
                for piece in pieces:
                    piece.write(out.fileno())
            assert path.read_bytes() == content
        files = [os.fstat(descriptor) for descriptor in output.descriptors]
        positions = [os.lseek(descriptor, 0, os.SEEK_CUR) for descriptor in output.descriptors]
        assert positions == [file.st_size for file in files]  # where the daemon's writing left them
        for descriptor in output.descriptors:
            os.close(descriptor)
        return output.reply, files


def test_answers_that_differ_in_addresses_have_one_front(tmp_path: Path) -> None:
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        asker = Asker(daemon.path, tmp_path)
        steps = [
            (a_map(0), COLD),
            (a_map(16), ADDRESSES),
            (a_map(4096), ADDRESSES),
            (a_map(16), HIT),
            (a_map(4096, b"symbal"), COLD),
            (a_map(4096, b"symbal") + b"ffffffffff000000 t one_more\n", INCREMENTAL),
            (a_map(8192, b"symbal") + b"ffffffffff000000 t one_more\n", ADDRESSES),
        ]
        fronts = []
        for text, how in steps:
            reply, (front, own) = asker.ask(text)
            assert MADE[reply.how.made] == MADE[how]
            assert own.st_size == reply.text_length + 4 * reply.how.symbols
            fronts.append(front.st_ino)
    assert len(set(fronts[:4])) == 1
    assert len(set(fronts[3:6])) == 3
    assert fronts[5] == fronts[6]


def test_each_byte_order_has_a_front_and_plain_assembly_none(tmp_path: Path) -> None:
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        asker = Asker(daemon.path, tmp_path)
        fronts: list[set[int]] = [set(), set()]
        for distance in (0, 16, 32):
            for big_endian in (False, True):
                _, (front, _) = asker.ask(a_map(distance), big_endian=big_endian)
                fronts[big_endian].add(front.st_ino)
            _, files = asker.ask(a_map(distance), form=ASM, bits=0, bin_name=b"")
            assert len(files) == 1
    assert [len(each) for each in fronts] == [1, 1]
    assert fronts[0] != fronts[1]


def test_clients_at_the_same_time_read_one_front(tmp_path: Path) -> None:
    fronts: list[int] = []
    failed: list[BaseException] = []
    with serving(tmp_path / "run" / "s", lambda: Engine(None)) as daemon:
        asker = Asker(daemon.path, tmp_path)
        asker.ask(a_map(0))
        barrier = threading.Barrier(CLIENTS)

        def work(number: int) -> None:
            try:
                barrier.wait(20)
                for turn in range(3):
                    _, (front, _) = asker.ask(a_map(16 * (1 + (number + turn) % 4)), number)
                    fronts.append(front.st_ino)
            except BaseException as error:  # noqa: BLE001 - reported below
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert (len(fronts), len(set(fronts))) == (3 * CLIENTS, 1)


@pytest.mark.parametrize("is_stored", [True, False])
def test_after_a_restart(tmp_path: Path, *, is_stored: bool) -> None:
    def make_engine() -> Engine:
        return Engine(Store(tmp_path / "cache"))

    with serving(tmp_path / "run" / "s", make_engine) as daemon:
        asker = Asker(daemon.path, tmp_path)
        for distance in (0, 16):
            asker.ask(a_map(distance))
    with serving(tmp_path / "run" / "s", make_engine) as daemon:
        asker = Asker(daemon.path, tmp_path)
        if is_stored:
            reply, files = asker.ask(a_map(16))
            assert (reply.how.made, len(files)) == (HIT, 1)
        fronts = set()
        for distance in (32, 48):
            reply, (front, _) = asker.ask(a_map(distance))
            assert MADE[reply.how.made] == MADE[ADDRESSES]
            fronts.add(front.st_ino)
    assert len(fronts) == 1
