# SPDX-License-Identifier: GPL-2.0-only
"""Starts the daemon for the next request, detached from the build, and does not wait for it.

It happens where a person builds, not where a package or a test is built and nothing may stay behind
(docs/client.md).
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

#: Seconds until another start is tried: one that fails is not to cost every link of a kernel.
PAUSE = 30

# Set where software is built by machines: by packagers' tools, by continuous integration, by fakeroot, whose
# library a daemon must not inherit either.
_MACHINES = (b"SOURCE_DATE_EPOCH", b"RPM_BUILD_ROOT", b"CI", b"FAKEROOTKEY")
# What the daemon gets of the environment. Not MAKEFLAGS, which names pipes, nor anything else of the build.
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
# Isolated, with site-packages, and with the directories that this client was imported from. It writes no
# bytecode: a limit on the size of files would cut that short, and it could not be imported any more.
_CODE = (
    "import sys; sys.path += sys.argv[1:3]; del sys.argv[1:3]; "
    "from kallsymsd.__main__ import main_from_build; sys.exit(main_from_build())"
)
# What the file beside the socket says that was written when a daemon was started last.
_STARTED = b"\n"
# struct flock: l_type, l_whence, l_start, l_len, l_pid, and padding where the machine has it.
_FLOCK = struct.Struct("hhqqi0q")

Environment = dict[bytes, bytes]


def start(environment: Environment, cache: bytes) -> None:
    """Start a daemon, unless there is a reason not to. ``cache`` is the cache directory, where it logs."""
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
        return  # no daemon has made what is there, and none will take its place
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
    """Whether the user's service manager runs and has the socket in its care.

    It then listens there itself, or was told not to.
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
    """Whether nobody else is starting a daemon or has just done so."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        return False
    status = posix.fstat(descriptor)
    if status.st_size > len(_STARTED):  # another program's
        return False
    # Empty: made by us, just now. A start in the future is from before the clock was set.
    return not status.st_size or not 0 <= time.time() - status.st_mtime < PAUSE


def _is_served(lock: bytes) -> bool:
    """Whether a daemon has the lock beside its socket: it may be about to listen, or to end."""
    try:
        return is_locked(lock)
    except OSError:
        return False


def _spawn(environment: Environment, path: bytes, cache: bytes) -> None:
    """The daemon: in a session of its own, in /, with nothing open but /dev/null and its log."""
    for name in posix.listdir(b"/proc/self/fd"):
        # Those of make and of the shell, which were left open for us. The one of this listing is gone.
        if int(name) > 2:
            _keep_to_ourselves(int(name))
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_APPEND
    log = open_regular(cache + b"/log", flags, follow=False)
    # The daemon inherits the working directory, and would keep the build's from being unmounted.
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
                (posix.POSIX_SPAWN_DUP2, log, 2),  # first: its number may be 0 or 1
                (posix.POSIX_SPAWN_OPEN, 0, b"/dev/null", posix.O_RDWR, 0),
                (posix.POSIX_SPAWN_DUP2, 0, 1),
            ],
            setsid=True,
            setsigmask=[],
        )
    finally:
        posix.fchdir(here)  # the link of a kernel goes on
        posix.close(here)
        posix.close(log)


def _is_inherited(name: bytes) -> bool:
    return name in _INHERITED or name.startswith(b"KALLSYMSD_")  # the daemon's configuration


def _keep_to_ourselves(descriptor: int) -> None:
    try:
        posix.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    except OSError:
        pass
