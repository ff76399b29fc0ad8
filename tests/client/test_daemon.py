# SPDX-License-Identifier: GPL-2.0-only
"""Whatever becomes of the daemon, the build gets the same bytes and at most one warning."""

import os
import posix
import socket
import threading
import time
from pathlib import Path

import pytest

from kallsymsd.protocol import asking, places, users, wire
from tests.client.conftest import MAP, Kallsyms, elf
from tests.client.fakes import Peer, fake_daemon, memory_file
from tests.faults.misbehaviour import HELLO, say
from tests.reference import tool

ARGUMENTS = ("--dialect=v6.11", "--all-symbols", "in.map")
PLAIN = tool.run("v6.11", ["all-symbols"], MAP).stdout
TEXT, BINARY = b"the text\n" * 40000, bytes(range(256)) * 5000


@pytest.fixture
def heard(kallsyms: Kallsyms, socket_path: Path) -> Kallsyms:
    """The program, told of ``socket_path``."""
    kallsyms.environment["KALLSYMSD_SOCKET"] = str(socket_path)
    return kallsyms


def test_the_result_is_the_daemons(heard: Kallsyms, socket_path: Path) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(TEXT, message=b"a warning\n")

    with fake_daemon(socket_path, behave) as fake:
        run = heard("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, TEXT)
    assert run.err == b"a warning\nkallsyms: hit: 3 symbols, 0.0 ms\n"
    (peer,) = fake.requests
    assert peer.map_text == MAP
    request = peer.request
    assert (request.version, request.dialect, request.options) == ("0.1.0", "v6.11", 1)
    assert (request.form, request.bits, request.big_endian, request.debug) == (wire.ASM, 0, False, False)
    assert (request.bin_name, request.map_path) == (b"", bytes(heard.here / "in.map"))
    assert request.tree == bytes(heard.here)


@pytest.mark.parametrize("front", [0, 1, len(BINARY) - 1, len(BINARY)])
@pytest.mark.parametrize("stdout_form", [True, False])
def test_text_and_bin_come_from_one_descriptor_or_two(
    heard: Kallsyms, socket_path: Path, *, stdout_form: bool, front: int
) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(TEXT, BINARY, front=front)

    heard.write("vmlinux", elf(32, big_endian=True))
    with fake_daemon(socket_path, behave) as fake:
        if stdout_form:
            with (heard.here / "out.S").open("wb") as out:
                run = heard("--big-endian", "--debug", *ARGUMENTS, stdout=out)
        else:
            run = heard("--debug", "vmlinux", "in.map", "out.S", "./out.bin")
    assert (run.status, run.out, run.err) == (0, b"", b"")
    assert (heard.here / "out.S").read_bytes() == TEXT
    assert (heard.here / "out.bin").read_bytes() == BINARY
    request = fake.requests[0].request
    assert (request.form, request.bits, request.big_endian, request.debug) == (wire.INCBIN, 32, True, True)
    assert request.bin_name == (b"out.bin" if stdout_form else b"./out.bin")
    assert request.dialect == ("v6.11" if stdout_form else "mail-2024")


def test_a_file_open_for_appending_takes_the_daemons_result(heard: Kallsyms, socket_path: Path) -> None:
    # sendfile() refuses such a descriptor.
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(TEXT)

    heard.write("log", b"before\n")
    with fake_daemon(socket_path, behave), (heard.here / "log").open("ab") as out:
        assert heard(*ARGUMENTS, stdout=out).status == 0
    assert (heard.here / "log").read_bytes() == b"before\n" + TEXT


def test_heartbeats_keep_the_client_waiting(heard: Kallsyms, socket_path: Path) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        for _ in range(8):
            time.sleep(0.1)
            peer.sock.sendall(wire.frame(wire.HEARTBEAT))
        peer.reply(TEXT)

    with fake_daemon(socket_path, behave):
        run = heard(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (0, TEXT, b"")


def test_a_reply_in_single_bytes_is_understood(heard: Kallsyms, socket_path: Path) -> None:
    def behave(peer: Peer) -> None:
        reply = wire.BuildReply(wire.OK, wire.How(), text_length=len(TEXT))
        result = memory_file(TEXT)
        data = wire.preamble() + wire.frame(wire.HEARTBEAT) + wire.frame(wire.REPLY, reply.encode())
        socket.send_fds(peer.sock, [data[:1]], [result])
        os.close(result)
        for at in range(1, len(data)):
            peer.sock.sendall(data[at : at + 1])

    with fake_daemon(socket_path, behave):
        run = heard(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (0, TEXT, b"")


@pytest.mark.parametrize("policy", ["auto", "require"])
def test_bad_input_that_the_daemon_finds_is_final(heard: Kallsyms, socket_path: Path, policy: str) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(status=wire.BAD_INPUT, message=b"line format error\n")

    heard.environment["KALLSYMSD"] = policy
    heard.write("vmlinux", elf())
    with fake_daemon(socket_path, behave):
        run = heard("vmlinux", "in.map", "out.S", "out.bin")
    assert (run.status, run.out, run.err) == (1, b"", b"line format error\n")
    assert not list(heard.here.glob("*out*"))


def test_a_bin_that_was_not_asked_for_is_refused(heard: Kallsyms, socket_path: Path) -> None:
    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(b"text", b"binary")

    with fake_daemon(socket_path, behave):
        run = heard(*ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert b"a .bin that was not asked for; computed without it. See kallsymsctl status" in run.err


def test_a_daemon_that_misbehaves_fails_who_requires_it(heard: Kallsyms, socket_path: Path) -> None:
    heard.environment["KALLSYMSD"] = "require"
    with fake_daemon(socket_path, say(HELLO, wire.frame(wire.FAILURE, b"out of memory"))):
        run = heard(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err == b"kallsyms: KALLSYMSD=require: kallsymsd at %b: out of memory\n" % bytes(socket_path)


def test_a_line_break_in_what_the_daemon_says_makes_no_second_line(
    heard: Kallsyms, socket_path: Path
) -> None:
    with fake_daemon(socket_path, say(HELLO, wire.frame(wire.FAILURE, b"one\ntwo\r\x1b[31m\xff"))):
        run = heard(*ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert b"one two" in run.err
    assert run.err.count(b"\n") == 1
    assert b"\x1b" not in run.err


def test_no_daemon_is_nothing_to_speak_of(kallsyms: Kallsyms) -> None:
    run = kallsyms(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (0, PLAIN, b"")


def test_a_socket_without_a_daemon_is_nothing_to_speak_of(heard: Kallsyms, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    run = heard("-v", *ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert run.err.startswith(b"kallsyms: cold: 5 symbols, ")
    assert run.err.endswith(b" ms (in-process: no daemon at %b: Connection refused)\n" % bytes(socket_path))


def test_require_fails_without_a_daemon(kallsyms: Kallsyms) -> None:
    kallsyms.environment["KALLSYMSD"] = "require"
    run = kallsyms(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err.startswith(b"kallsyms: KALLSYMSD=require: no daemon at ")
    assert run.err.endswith(b"/nobody/s: No such file or directory\n")
    assert run.err.count(b"\n") == 1
    run = kallsyms("--dialect=v6.11", "/dev/stdin", stdin=MAP)
    assert (run.status, run.err) == (1, b"kallsyms: KALLSYMSD=require: the input is not a regular file\n")


def test_off_asks_nobody(heard: Kallsyms, socket_path: Path) -> None:
    heard.environment["KALLSYMSD"] = "off"
    with fake_daemon(socket_path, say()) as fake:
        run = heard(*ARGUMENTS)
    assert (run.status, run.out, run.err) == (0, PLAIN, b"")
    assert fake.requests == []


def test_an_unknown_policy_is_an_error(kallsyms: Kallsyms) -> None:
    kallsyms.environment["KALLSYMSD"] = "never"
    run = kallsyms(*ARGUMENTS)
    assert (run.status, run.out) == (1, b"")
    assert run.err == b"kallsyms: KALLSYMSD=never: must be auto, off, require or verify\n"


def test_a_path_too_long_for_a_socket_is_named_with_its_length(kallsyms: Kallsyms) -> None:
    path = "/" + "x" * 107
    kallsyms.environment["KALLSYMSD_SOCKET"] = path
    run = kallsyms(*ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert f"{path}: 108 bytes, a socket's path has at most 107".encode() in run.err
    assert run.err.count(b"\n") == 1


def test_a_daemon_whose_queue_is_full_costs_one_warning(heard: Kallsyms, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(socket_path))
        listener.listen(0)
        first.connect(str(socket_path))
        run = heard(*ARGUMENTS)
    assert (run.status, run.out) == (0, PLAIN)
    assert run.err.count(b"\n") == 1
    assert b"Resource temporarily unavailable" in run.err


def test_a_place_in_the_queue_that_gets_free_in_time_is_taken(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "CONNECT", 10.0)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(socket_path))
        listener.listen(0)
        first.connect(str(socket_path))

        def accept() -> None:
            listener.accept()[0].close()

        accepting = threading.Timer(0.1, accept)
        accepting.start()
        sock, *_ = asking.connect({b"KALLSYMSD_SOCKET": bytes(socket_path)})
        sock.close()
        accepting.join()


def test_a_daemon_of_another_user_is_not_trusted(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "directory_flaw", lambda _: "")
    monkeypatch.setattr(posix, "geteuid", lambda: 12345)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        # Under fakeroot geteuid() is wrong, and the kernel knows better.
        sock, *_ = asking.connect({b"KALLSYMSD_SOCKET": bytes(socket_path)})
        sock.close()
        monkeypatch.setattr(users, "own_uid", lambda: 12345)
        with pytest.raises(asking.UnansweredError, match="belongs to another user"):
            asking.connect({b"KALLSYMSD_SOCKET": bytes(socket_path)})


def test_the_runtime_directory_of_the_environment_comes_first(heard: Kallsyms, socket_path: Path) -> None:
    del heard.environment["KALLSYMSD_SOCKET"]
    heard.environment["XDG_RUNTIME_DIR"] = str(socket_path.parent)
    place = socket_path.parent / "kallsymsd" / "s"
    place.parent.mkdir(mode=0o700)

    def behave(peer: Peer) -> None:
        peer.greet()
        peer.reply(TEXT)

    with fake_daemon(place, behave):
        assert heard(*ARGUMENTS).out == TEXT


def test_places_are_tried_in_order() -> None:
    uid = os.getuid()
    shared = b"/tmp/kallsymsd-%d/s" % uid
    assert places.named_sockets({b"XDG_RUNTIME_DIR": b"/run/mine"}) == [b"/run/mine/kallsymsd/s"]
    assert places.named_sockets({b"XDG_RUNTIME_DIR": b"relative"}) == []
    assert places.standard_sockets({}) == [b"/run/user/%d/kallsymsd/s" % uid, shared]
    only = {b"KALLSYMSD_SOCKET": b"/a/s", b"XDG_RUNTIME_DIR": b"/run/mine"}
    assert places.named_sockets(only) + places.standard_sockets(only) == [b"/a/s"]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("mode", "more"), [(0o040750, 0), (0o040701, 0), (0o120777, 0), (0o100700, 0), (0o040700, 1)]
)
def test_a_daemon_in_a_directory_that_is_not_ours_alone_is_not_asked(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, more: int, *, named: bool
) -> None:
    environment = {b"KALLSYMSD_SOCKET": bytes(socket_path)}
    if not named:
        environment = {b"XDG_RUNTIME_DIR": b"/nonexistent"}
        monkeypatch.setattr(asking, "standard_sockets", lambda _: [bytes(socket_path)])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        sock, *_ = asking.connect(environment)
        sock.close()
        status = os.stat_result((mode, 0, 0, 0, os.getuid() + more, 0, 0, 0, 0, 0))
        monkeypatch.setattr(posix, "lstat", lambda _: status)
        said = r"no daemon at .*: its directory (is|belongs)"
        with pytest.raises(asking.UnansweredError, match=said) as raised:
            asking.connect(environment)
        assert raised.value.reason == "absent" or not named
