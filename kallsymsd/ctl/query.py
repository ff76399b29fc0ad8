# SPDX-License-Identifier: GPL-2.0-only
"""Sends one query to the daemon and waits for the answer, no longer than a deadline."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kallsymsd import __version__
from kallsymsd.ctl.command import CommandError
from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Decoder, Frame, decode_message, encode_message
from kallsymsd.protocol.lock import is_locked
from kallsymsd.protocol.paths import lock_path
from kallsymsd.protocol.private import NotPrivateError, check_private
from kallsymsd.protocol.users import is_our_peer

#: Seconds for the whole query, from connecting to the end of the answer.
DEADLINE = 2.0

_ACCEPTS = frozenset({wire.ANSWER, wire.FAILURE})
_POLL = 0.02


class QueryError(CommandError):
    """A daemon runs but does not answer properly. The text is one line: what is wrong and what to do."""


def is_running(path: Path) -> bool:
    """Whether a daemon serves the socket ``path``.

    Looks at the daemon's lock: connecting would start a daemon if the service manager holds the socket.
    """
    try:
        return is_locked(lock_path(path))
    except OSError as error:
        raise QueryError(f"{lock_path(path)}: {error.strerror}; remove it") from error


def ask(
    path: Path,
    command: str,
    deadline: float = DEADLINE,
    *,
    more: Mapping[str, str | bytes | float] | None = None,
) -> dict[str, Any]:
    """The daemon's answer to ``command``, with ``more`` fields.

    QueryError if there is no proper answer within ``deadline`` seconds.
    """
    end = time.monotonic() + deadline
    try:
        check_private(path.parent)
    except NotPrivateError as error:
        raise QueryError(str(error)) from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.settimeout(deadline)
            sock.connect(str(path))
            if not is_our_peer(sock):
                raise QueryError(f"{path}: is served by another user; set KALLSYMSD_SOCKET")
            sock.sendall(wire.preamble() + encode_message(wire.CONTROL, {**(more or {}), "command": command}))
            frame = _receive(sock, end)
            if frame.kind == wire.FAILURE:
                raise QueryError(f"the daemon refuses: {frame.body.decode('utf-8', 'replace')}")
            answer = decode_message(frame.body)
        except TimeoutError as error:
            raise QueryError(
                f"{path}: the daemon does not answer; if that persists, kill the process kallsymsd"
            ) from error
        except OSError as error:
            raise QueryError(f"{path}: {error.strerror or error}; try again") from error
        except wire.WireError as error:
            raise QueryError(f"{path}: {error}; restart the daemon") from error
    if "error" in answer:
        raise QueryError(f"the daemon refuses: {answer['error']}")
    return answer


@contextmanager
def reading(answer: Mapping[str, Any]) -> Iterator[None]:
    """Context that interprets ``answer``: raises QueryError if its contents are not as expected."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        version = str(answer.get("version", "another version"))
        raise QueryError(
            f"kallsymsctl ({__version__}) does not understand the answer of the daemon ({version}); "
            "run kallsymsctl stop"
        ) from error


def wait_until_gone(path: Path, deadline: float) -> bool:
    """Wait until no daemon serves ``path``; False if one still does after ``deadline`` seconds."""
    end = time.monotonic() + deadline
    while is_running(path):
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True


def _receive(sock: socket.socket, end: float) -> Frame:
    decoder = Decoder(_ACCEPTS)
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        data = sock.recv(1 << 16)
        if not data:
            raise wire.WireError("the daemon closed the connection")
        for frame in decoder.feed(data):
            return frame
