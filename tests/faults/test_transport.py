# SPDX-License-Identifier: GPL-2.0-only
"""Faults between client and daemon."""

import os
import socket
import threading

import pytest

from kallsymsd.protocol import wire
from tests.client.fakes import fake_daemon, serving_lock
from tests.faults.conftest import Build
from tests.faults.misbehaviour import HELLO, MISBEHAVIOUR, say


def test_no_daemon(build: Build) -> None:
    build.judge(build.run(), "absent")


def test_a_socket_that_nobody_listens_at(build: Build) -> None:
    build.listen().close()
    build.judge(build.run(), "absent")


@pytest.mark.parametrize("what", ["a file", "a directory", "a dangling link"])
def test_something_else_in_the_sockets_place(build: Build, what: str) -> None:
    if what == "a file":
        build.socket.touch()
    elif what == "a directory":
        build.socket.mkdir()
    else:
        build.socket.symlink_to("nowhere")
    build.judge(build.run(), "absent")


def test_a_socket_of_another_kind(build: Build) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(build.socket))
        build.judge(build.run(), "local")


def test_a_path_that_is_too_long(build: Build) -> None:
    build.kallsyms.environment["KALLSYMSD_SOCKET"] = "/" + "x" * 107
    build.judge(build.run(), "path")


def test_a_daemon_that_never_accepts(build: Build) -> None:
    with build.listen(), serving_lock(build.socket):
        build.judge(build.run(), "silent")


def test_a_daemon_that_the_service_manager_is_starting(build: Build) -> None:
    with build.listen():
        build.judge(build.run(), "starting")
        build.kallsyms.environment["KALLSYMSD"] = "require"
        assert build.run().err.endswith(b"/s: is being started\n")


def test_a_daemon_that_is_not_ready_yet(build: Build) -> None:
    # Nor any more: who ends has taken its word back too.
    with build.listen(), serving_lock(build.socket, ready=False):
        build.judge(build.run(), "starting")


def test_a_daemon_whose_queue_is_full(build: Build) -> None:
    with build.listen(0), socket.socket(socket.AF_UNIX) as first:
        first.connect(str(build.socket))
        build.judge(build.run(), "full")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_daemon_of_another_user(build: Build) -> None:
    # SO_PEERCRED says who called listen().
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(build.socket))
        child = os.fork()
        if not child:
            os.setresuid(12345, 12345, 12345)
            listener.listen()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        build.judge(build.run(), "foreign")


@pytest.mark.parametrize("what", MISBEHAVIOUR)
def test_a_daemon_that_misbehaves(build: Build, what: str) -> None:
    behave, reason, text = MISBEHAVIOUR[what]
    with fake_daemon(build.socket, behave) as fake:
        run = build.run()
    build.judge(run, reason)
    assert fake.farewells == ("earlier" in what)
    assert run.err.startswith(b"kallsyms: warning: kallsymsd at %b: " % bytes(build.socket))
    assert text in run.err.decode()


def test_a_reply_cut_anywhere(build: Build) -> None:
    reply = wire.BuildReply(wire.OK, wire.How(), text_length=4)
    whole = HELLO + wire.frame(wire.HEARTBEAT) + wire.frame(wire.REPLY, reply.encode())
    for length in range(0, len(whole), 5):
        with fake_daemon(build.socket, say(whole[:length])):
            build.judge(build.run(), "closed")


@pytest.mark.parametrize("protocol", [0, wire.PROTOCOL - 1, 99])
def test_who_is_asked_to_leave_in_its_own_protocol(build: Build, protocol: int) -> None:
    heard: list[bytes] = []
    with build.listen() as listener:

        def serve() -> None:
            greeting = wire.preamble(protocol)
            with listener.accept()[0] as sock:
                sock.sendall(greeting)
                sock.recv(1 << 16)
            if protocol < wire.PROTOCOL:
                with listener.accept()[0] as sock:
                    heard.append(sock.recv(1 << 16))
                    sock.sendall(greeting + wire.frame(wire.ANSWER, b"\x80"))

        thread = threading.Thread(target=serve)
        thread.start()
        build.judge(build.run(), "version")
        thread.join()
    assert heard == ([wire.stop(protocol)] if protocol < wire.PROTOCOL else [])


def test_an_outdated_daemon_that_does_not_listen_to_reason(build: Build) -> None:
    with build.listen() as listener:

        def serve() -> None:  # nobody accepts the second connection
            with listener.accept()[0] as sock:
                sock.recv(1 << 16)
                sock.sendall(wire.preamble(0))

        thread = threading.Thread(target=serve)
        thread.start()
        build.judge(build.run(), "version")
        thread.join()
