# SPDX-License-Identifier: GPL-2.0-only
"""Files that are not what they seem: what can be at a path where a regular file is expected."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Contents of the file that links lead to; it must stay as it is.
PRECIOUS = b"precious\n"


def _socket(path: Path, _outside: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"/proc/self/fd/{here}/{path.name}")  # the path itself may be too long for a socket
    finally:
        os.close(here)


def _outward(path: Path, outside: Path) -> None:
    outside.write_bytes(PRECIOUS)
    path.symlink_to(outside)


def _full_directory(path: Path, _outside: Path) -> None:
    path.mkdir()
    (path / "entry").touch()


#: Each makes one of them at a path; the second argument is a path outside.
ODD: dict[str, Callable[[Path, Path], object]] = {
    "fifo": lambda path, _: os.mkfifo(path),
    "socket": _socket,
    "directory": _full_directory,
    "link to a device": lambda path, _: path.symlink_to("/dev/zero"),
    "dangling link": lambda path, outside: path.symlink_to(outside),
    "link to a file": _outward,
}


def put(kind: str, path: Path, outside: Path) -> None:
    """Have something of this kind at ``path``, in the place of what is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    ODD[kind](path, outside)


def is_untouched(outside: Path) -> bool:
    """Whether what links lead to is as it was."""
    return not os.path.lexists(outside) or outside.read_bytes() == PRECIOUS


@contextmanager
def not_waiting(seconds: int = 30) -> Iterator[None]:
    """AssertionError where something waits for ever; for the main thread."""

    def give_up(*_: object) -> None:
        raise AssertionError("it waits")  # no OSError, which many expect

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
