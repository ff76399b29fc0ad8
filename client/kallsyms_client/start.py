# SPDX-License-Identifier: GPL-2.0-only
"""Starts the daemon for the next request, detached from the build, without waiting for it.

Only in interactive builds: package builds and CI must leave no process behind (docs/client.md).
"""

import fcntl
import posix
import struct
import sys
import time

import kallsyms_client
import kallsymsd
from kallsymsd.protocol.lock import is_locked
from kallsymsd.protocol.places import MAX_SOCKET_PATH, exists, runtime_of, socket_path
from kallsymsd.protocol.private import make_private
from kallsymsd.protocol.regular import open_regular

#: Seconds between two attempts: a start that fails must not slow down every link.
PAUSE = 30

# Set by packaging tools, by CI, and by fakeroot, whose library a daemon must not inherit either.
_MACHINES = (b"SOURCE_DATE_EPOCH", b"RPM_BUILD_ROOT", b"CI", b"FAKEROOTKEY")
# Environment variables for the daemon. Nothing else of the build: MAKEFLAGS, for example, names pipes.
_INHERITED = frozenset(
    {
        b"HOME",
        b"LD_LIBRARY_PATH",  # the interpreter may need it
        b"PATH",
        b"TMPDIR",
        b"XDG_CACHE_HOME",
        b"XDG_CONFIG_HOME",
        b"XDG_RUNTIME_DIR",
    }
)
# Isolated mode, with site-packages and the directories that this client was imported from. Without writing
# bytecode: a file size limit could truncate it and make it unusable.
_CODE = (
    "import sys; sys.path += sys.argv[1:3]; del sys.argv[1:3]; "
    "from kallsymsd.__main__ import main_from_build; sys.exit(main_from_build())"
)
# Contents of the file beside the socket whose time says when a daemon was started last.
_STARTED = b"\n"
# struct flock: l_type, l_whence, l_start, l_len, l_pid, and the machine's padding.
_FLOCK = struct.Struct("hhqqi0q")

Environment = dict[bytes, bytes]


def start(environment: Environment, cache: bytes) -> None:
    """Start a daemon unless something forbids it. ``cache`` is the cache directory, where it logs."""
    if not sys.executable or any(environment.get(name) for name in _MACHINES):
        return
    if posix.getuid() != posix.geteuid():
        return
    path = socket_path(environment)
    if not path.startswith(b"/") or len(path) > MAX_SOCKET_PATH or not make_private(path.rpartition(b"/")[0]):
        return
    if _is_systemds(path, environment):
        return
    if exists(path) and not exists(path + b".lock"):
        return  # not created by a daemon, and a daemon will not replace it
    try:
        descriptor = open_regular(path + b".start", posix.O_RDWR | posix.O_CREAT, follow=False)
    except OSError:
        return
    try:
        if _is_our_turn(descriptor) and not _is_served(path + b".lock"):
            posix.pwrite(descriptor, _STARTED, 0)
            _spawn(environment, path, cache)
    except (OSError, NotImplementedError):
        pass
    finally:
        posix.close(descriptor)


def _is_systemds(path: bytes, environment: Environment) -> bool:
    """Whether the user's service manager runs and owns the socket.

    Then it listens there itself, or was told not to.
    """
    runtime = runtime_of(path)
    if not runtime or not exists(runtime + b"/systemd/private"):
        return False
    config = environment.get(b"XDG_CONFIG_HOME") or environment.get(b"HOME", b"") + b"/.config"
    return any(
        exists(directory + b"/systemd/user/sockets.target.wants/kallsymsd.socket")
        for directory in (config, b"/etc", b"/usr/local/lib", b"/usr/lib")
    )


def _is_our_turn(descriptor: int) -> bool:
    """Whether no other client is starting a daemon or has just done so."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        return False
    status = posix.fstat(descriptor)
    if status.st_size > len(_STARTED):  # another program's file
        return False
    # An empty file is new. A time in the future is from before the clock was set back.
    return not status.st_size or not 0 <= time.time() - status.st_mtime < PAUSE


def _is_served(lock: bytes) -> bool:
    """Whether a daemon holds the lock beside its socket: it may also be starting or stopping."""
    try:
        return is_locked(lock)
    except OSError:
        return False


def _spawn(environment: Environment, path: bytes, cache: bytes) -> None:
    """Start the daemon in its own session, in /, with nothing open but /dev/null and its log."""
    for name in posix.listdir(b"/proc/self/fd"):
        # Descriptors of make and the shell. The one that read this directory is closed already.
        if int(name) > 2:
            _close_on_exec(int(name))
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_APPEND
    log = open_regular(cache + b"/log", flags, follow=False)
    # The daemon inherits the working directory and would keep the build's file system busy.
    here = posix.open(b".", posix.O_PATH | posix.O_CLOEXEC)
    posix.chdir(b"/")
    packages = [str(module.__path__[0]).rpartition("/")[0] for module in (kallsymsd, kallsyms_client)]
    try:
        posix.posix_spawn(
            sys.executable,
            [
                sys.executable,
                "-I",
                "-B",
                "-c",
                _CODE,
                *packages,
                "--socket",
                path.decode("utf-8", "surrogateescape"),
            ],
            {name: value for name, value in environment.items() if _is_inherited(name)},
            file_actions=[
                (posix.POSIX_SPAWN_DUP2, log, 2),  # first, because log may be 0 or 1
                (posix.POSIX_SPAWN_OPEN, 0, b"/dev/null", posix.O_RDWR, 0),
                (posix.POSIX_SPAWN_DUP2, 0, 1),
            ],
            setsid=True,
            setsigmask=[],
        )
    finally:
        posix.fchdir(here)  # the build continues in its directory
        posix.close(here)
        posix.close(log)


def _is_inherited(name: bytes) -> bool:
    return name in _INHERITED or name.startswith(b"KALLSYMSD_")  # the daemon's settings


def _close_on_exec(descriptor: int) -> None:
    try:
        posix.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    except OSError:
        pass
