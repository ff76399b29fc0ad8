# SPDX-License-Identifier: GPL-2.0-only
"""What the client does after a fallback: it records it, and starts or stops a daemon. Never an error."""

import _socket
import time

from kallsymsd.protocol import notes, wire
from kallsymsd.protocol.asking import CONNECT, SILENCE, UnansweredError
from kallsymsd.protocol.places import made_cache_directory
from kallsymsd.protocol.users import is_our_peer

Environment = dict[bytes, bytes]


def settle(unanswered: UnansweredError, environment: Environment) -> None:
    """Stop an outdated daemon, record the fallback, and start a daemon if none runs."""
    waited = unanswered.waited
    if unanswered.outdated:
        waited += ask_to_leave(*unanswered.outdated, min(CONNECT, CONNECT + SILENCE - waited))
    place = made_cache_directory(environment)
    if place:
        notes.count(place, unanswered.reason, waited)
    if place and unanswered.reason == "absent":
        from kallsyms_client.start import start

        start(environment, place)


def ask_to_leave(path: bytes, protocol: int, patience: float) -> float:
    """Ask the daemon at ``path``, which speaks ``protocol``, to stop.

    Returns the seconds waited, at most ``patience``. It waits for the answer because closing the connection
    would cancel the request.
    """
    waited = 0.0
    message = wire.stop(protocol)
    try:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.settimeout(0)
            sock.connect(path)
            if not is_our_peer(sock):
                return waited
            sock.send(message)
            received = 0
            # The daemon's preamble, then the header of its answer.
            while received < wire.PREAMBLE_SIZE + wire.HEADER_SIZE and waited < patience:
                sock.settimeout(patience - waited)
                before = time.monotonic()
                try:
                    data = sock.recv(wire.PREAMBLE_SIZE + wire.HEADER_SIZE)
                finally:
                    waited = min(waited + time.monotonic() - before, patience)
                if not data:
                    break
                received += len(data)
        finally:
            sock.close()
    except OSError:
        pass  # the next client will ask again
    return waited
