# SPDX-License-Identifier: GPL-2.0-only
"""One daemon for each socket: the lock beside the socket, and the socket itself."""

import contextlib
import os
import socket
import stat
from pathlib import Path

from kallsymsd.engine.filesystem import filesystem_type, is_remote
from kallsymsd.protocol.lock import OLDER, Lock
from kallsymsd.protocol.paths import BadPathError, check_socket_path, lock_path
from kallsymsd.protocol.private import private_directory

#: Most clients that wait to be accepted; a parallel build starts many at once.
BACKLOG = 1024

# What the lock file says while a socket is being created: any socket that is there then is the daemon's.
_ANY = "any"


class AlreadyRunningError(Exception):
    """Another daemon serves this socket."""


class Instance:
    """The right to serve a socket, and the listening socket.

    listener   the listening socket, non-blocking
    path       where it listens
    inherited  the service manager owns the socket, and goes on listening after this daemon ends
    """

    def __init__(self, path: Path, inherited: socket.socket | None = None) -> None:
        """Take the lock beside ``path`` and listen there, or on the socket ``inherited``.

        An existing socket file is replaced if no process listens at it and the lock file says that a daemon
        left it. Raises AlreadyRunningError, NotPrivateError, or BadPathError if something else is in the way
        or the directory is on another machine.
        """
        self.path = path
        self.inherited = inherited is not None
        # The identity of the socket file, as the lock file has it, once this daemon created it.
        self._noted = ""
        check_socket_path(path)
        private_directory(path.parent)
        kind = filesystem_type(path.parent)
        if is_remote(kind):
            # A daemon there would lock out those of all other machines, and could not serve their clients.
            raise BadPathError(f"{path}: lies on {kind}; name a place on this machine with KALLSYMSD_SOCKET")
        if not self.inherited and not os.path.lexists(lock_path(path)):
            self._check_place_without_lock()
        try:
            self._lock = Lock(lock_path(path))
        except OSError as error:
            raise BadPathError(f"{lock_path(path)}: cannot be opened: {error.strerror}") from error
        try:
            if not self._lock.take():
                raise AlreadyRunningError(f"another kallsymsd serves {path}; run: kallsymsctl stop")
            noted = self._lock.read()
            if noted is None:
                raise BadPathError(f"{lock_path(path)}: belongs to another program; name another place")
            if inherited is None:
                self.listener = self._listen(noted)
            else:
                self._lock.note(ready=False)  # a daemon that was killed did not reset it
                self.listener = inherited
        except BaseException:
            self._lock.close()
            raise

    def announce(self) -> None:
        """Say in the lock file that clients are answered: from now on, one that is not meets a fault."""
        self._lock.note(self._noted, ready=True)

    def withdraw(self) -> None:
        """Take that back, and remove the socket file: no new client finds this daemon.

        Clients that have connected can still be accepted. An inherited socket stays: clients that come now
        find the next daemon behind it. A file that has replaced the daemon's own stays too.
        """
        if self._noted and _identity(self.path) == self._noted:
            self.path.unlink(missing_ok=True)
        self._noted = ""
        self._lock.note(ready=False)

    def close(self) -> None:
        """Stop listening; the next daemon may start."""
        self.listener.close()
        self._lock.close()

    def _listen(self, noted: str) -> socket.socket:
        """Listen at the path; ``noted`` is what the lock file says about an existing socket."""
        self._check_place(noted)
        self.path.unlink(missing_ok=True)
        self._lock.note(_ANY, ready=False)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(str(self.path))
            self._noted = _identity(self.path)
            self._lock.note(self._noted, ready=False)
            self.path.chmod(0o600)
            listener.listen(BACKLOG)
        except OSError as error:
            self.withdraw()
            listener.close()
            raise BadPathError(f"{self.path}: cannot listen there: {error.strerror}") from error
        return listener

    def _check_place_without_lock(self) -> None:
        """As below, before a lock is created: leave nothing beside another program's file."""
        try:
            self._check_place("")
        except BadPathError:
            if not os.path.lexists(lock_path(self.path)):  # else a daemon has just started
                raise

    def _check_place(self, noted: str) -> None:
        """Raise BadPathError unless the path is free, or has a socket that a daemon left behind."""
        try:
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise BadPathError(f"{self.path}: is in the way and not a socket; remove it")
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
            try:
                sock.connect(str(self.path))
            except FileNotFoundError:
                return
            except ConnectionRefusedError:
                if noted in (_ANY, OLDER) or (noted and noted == _identity(self.path)):
                    return
                raise BadPathError(
                    f"{self.path}: is a socket that no kallsymsd left behind; remove it if it is not needed"
                ) from None
            except OSError as error:  # also for a full queue, which some process has
                raise BadPathError(
                    f"{self.path}: is another program's socket ({error.strerror}); name another place"
                ) from None
        raise BadPathError(f"{self.path}: another program listens there; name another place")


def _identity(path: Path) -> str:
    """Tells the file at ``path`` from all other files that were ever there; "" if there is none.

    An inode number may be used again, but not with the same modification time.
    """
    with contextlib.suppress(OSError):
        status = path.lstat()
        return f"{status.st_dev:x}:{status.st_ino:x}:{status.st_mtime_ns:x}"
    return ""
