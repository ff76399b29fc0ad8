# SPDX-License-Identifier: GPL-2.0-only
"""Talks to the service manager: takes over its socket, and notifies it.

See sd_listen_fds(3) and sd_notify(3). Both need only a few lines with socket.
"""

import contextlib
import os
import socket
from collections.abc import Mapping

# The first descriptor that is passed on.
_FIRST = 3


class BadSocketError(Exception):
    """The service manager passed on something unusable; the text says why, in one line."""


def inherited_listener(environment: Mapping[str, str]) -> socket.socket | None:
    """The listening socket that the service manager opened for this process, non-blocking; None without one.

    Raises BadSocketError for anything but one Unix stream socket that listens at a path.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environment.get("LISTEN_FDS") != "1":
        raise BadSocketError(
            f"{environment.get('LISTEN_FDS')} sockets were passed on; the unit must have one"
        )
    os.set_inheritable(_FIRST, False)  # noqa: FBT003  takes no keyword
    try:
        listener = socket.socket(fileno=_FIRST)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise BadSocketError(f"descriptor {_FIRST} is not a socket: {error.strerror}") from error
    name = listener.getsockname()
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM or not listens or not name:
        listener.close()
        raise BadSocketError("the socket passed on does not listen at a path; see ListenStream= in the unit")
    listener.settimeout(0)
    return listener


def notify(environment: Mapping[str, str], state: str) -> None:
    """Tell the service manager, if there is one: ``READY=1`` or ``STOPPING=1``."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    # The daemon serves even if the manager does not listen.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(address)
        sock.send(state.encode())
