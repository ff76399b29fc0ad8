# SPDX-License-Identifier: GPL-2.0-only
"""One daemon for each socket: the lock beside it, and the socket itself."""

import socket
import stat
from pathlib import Path

from kallsymsd.engine.filesystem import filesystem_type, is_remote
from kallsymsd.engine.private import Lock, private_directory
from kallsymsd.service.paths import BadPathError, check_socket_path, lock_path

#: Clients that may wait to be accepted; a parallel build starts many at once.
BACKLOG = 1024


class AlreadyRunningError(Exception):
    """Another daemon serves this socket."""


class Instance:
    """The right to serve a socket, and the listening socket.

    listener   listens; non-blocking
    path       where
    inherited  the service manager owns the socket and goes on listening when we end
    """

    def __init__(self, path: Path, inherited: socket.socket | None = None) -> None:
        """Take the lock beside ``path`` and listen there, or on the socket ``inherited``.

        A socket file that is there already belongs to a daemon that is gone, or we would not have the lock;
        it is replaced. Raises AlreadyRunningError, NotPrivateError, or BadPathError when something else is in
        the way, or the directory lies on another machine.
        """
        self.path = path
        self.inherited = inherited is not None
        check_socket_path(path)
        private_directory(path.parent)
        kind = filesystem_type(path.parent)
        if is_remote(kind):
            # A daemon there would keep those of all other machines away, and could serve none of them.
            raise BadPathError(f"{path}: lies on {kind}; name a place on this machine with KALLSYMSD_SOCKET")
        try:
            self._lock = Lock(lock_path(path))
        except OSError as error:
            raise BadPathError(f"{lock_path(path)}: cannot be opened: {error.strerror}") from error
        try:
            if not self._lock.take():
                raise AlreadyRunningError(f"another kallsymsd serves {path}; run: kallsymsctl stop")
            self._lock.note(ready=False)  # whoever was killed did not take it back
            self.listener = inherited or self._listen()
        except BaseException:
            self._lock.close()
            raise

    def announce(self) -> None:
        """Say beside the socket that clients are answered: those who are not, from now on, meet a fault."""
        self._lock.note(ready=True)

    def withdraw(self) -> None:
        """Take that back, and remove the socket file: no new client finds us.

        Those that have connected can still be accepted.
        An inherited socket stays: clients that come now find the next daemon behind it.
        """
        self._lock.note(ready=False)
        if not self.inherited:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop listening; the next daemon may come."""
        self.listener.close()
        self._lock.close()

    def _listen(self) -> socket.socket:
        try:
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise BadPathError(f"{self.path}: is in the way and not a socket; remove it")
            self.path.unlink()
        except FileNotFoundError:
            pass
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(str(self.path))
            self.path.chmod(0o600)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise BadPathError(f"{self.path}: cannot listen there: {error.strerror}") from error
        return listener
