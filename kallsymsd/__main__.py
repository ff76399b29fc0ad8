# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd, the daemon. It stays in the foreground and logs to standard error.

Exit status: 0 after a stop by message or signal, 1 if it cannot serve, 2 for wrong arguments or settings.
"""

import argparse
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd import __version__
from kallsymsd.counters import costs
from kallsymsd.counters.kept import Kept, load, save
from kallsymsd.engine import memory
from kallsymsd.protocol.messages import printable
from kallsymsd.protocol.notes import take
from kallsymsd.protocol.paths import BadPathError, notes_directory, socket_path
from kallsymsd.protocol.private import NotPrivateError, private_directory
from kallsymsd.protocol.users import own_uid
from kallsymsd.service.config import (
    CACHE_DIR,
    CACHE_LIMIT,
    IDLE_EXIT,
    MEMORY_LIMIT,
    WATCH,
    Configuration,
    ConfigurationError,
    add_flags,
)
from kallsymsd.service.config import load as load_configuration
from kallsymsd.service.installed import Installed
from kallsymsd.service.instance import AlreadyRunningError, Instance
from kallsymsd.service.manager import BadSocketError, inherited_listener, notify
from kallsymsd.service.server import Server
from kallsymsd.service.surroundings import LimitedError, leave_build, lift_limits, raise_descriptor_limit
from kallsymsd.service.tally import Tally
from kallsymsd.service.workers import NoThreadsError

if TYPE_CHECKING:
    import socket

    from kallsymsd.engine.engine import Engine

_log = logging.getLogger("kallsymsd")

_MEBIBYTE = 1 << 20
# Descriptors: up to two for each client, one or two for each answer kept.
_DESCRIPTORS = 8192
# The daemon needs at least this many: it uses a dozen before the first client connects.
_FEWEST_DESCRIPTORS = 64
# Seconds allowed for reading the configuration. On a dead file server the read would hang forever, and each
# build would start another daemon.
_READING = 30
# Bytes of each thread's stack.
_STACK = 8 << 20
# Signals that end the daemon.
_END = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon; returns its exit status."""
    return _run(arguments, from_build=False)


def main_from_build() -> int:
    """Like :func:`main`, for a daemon that a build starts: it first detaches from that build."""
    return _run(None, from_build=True)


def _run(arguments: list[str] | None, *, from_build: bool) -> int:
    options = parser().parse_args(arguments)
    # Every file that the daemon creates is private to its user.
    os.umask(0o077)
    handler = _StandardError()
    handler.setFormatter(_Formatter("kallsymsd: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    signal.alarm(_READING)
    try:
        configuration = load_configuration(vars(options), os.environ)
    except ConfigurationError as error:
        _log.error("%s", error)
        return 2
    finally:
        signal.alarm(0)
    try:
        lift_limits()
        if from_build:
            leave_build()
    except LimitedError as error:
        _log.error("%s", error)
        return 1
    threading.stack_size(_STACK)  # the default is the soft limit on the main thread's stack
    descriptors = raise_descriptor_limit(_DESCRIPTORS)
    if descriptors < _FEWEST_DESCRIPTORS:
        _log.error(
            "%d file descriptors are too few, at least %d are needed; raise the limit (ulimit -n)",
            descriptors,
            _FEWEST_DESCRIPTORS,
        )
        return 1
    # A client may connect from here on, so a signal must shut down in order; it stays pending until there is
    # a server.
    signal.pthread_sigmask(signal.SIG_SETMASK, _END)
    try:
        listener = inherited_listener(os.environ)
        path, origin = _socket(options.socket, listener)
        instance = Instance(path, listener)
    except (AlreadyRunningError, BadPathError, BadSocketError, NotPrivateError) as error:
        _log.error("%s", error)
        return 1
    _log.info("version %s listens on %s", __version__, path)
    notify(os.environ, "READY=1")
    memory.fit(0)  # before any thread starts, or malloc gives each thread its own arena
    cache = configuration[CACHE_DIR]
    tally = Tally(lambda kept: _save(cache, kept), time.monotonic(), load(cache), stock=costs.load(cache))
    limit = configuration[CACHE_LIMIT] * _MEBIBYTE
    tally.limit(limit)
    records_in = notes_directory(os.environ)  # not the configured directory: clients read no configuration
    try:
        server = Server(
            instance,
            lambda: _make_engine(configuration, descriptors),
            version=__version__,
            tally=tally,
            configuration={
                "socket": str(path),
                "cache_dir": str(cache),
                "cache_limit": limit,
                "settings": [{"name": "socket", "value": str(path), "origin": origin}, *configuration.rows()],
            },
            workers=max(2, min(4, os.cpu_count() or 1)),
            descriptors=descriptors,
            idle_limit=configuration[IDLE_EXIT],
            watch=configuration[WATCH],
            replaced=Installed().replaced,
            take_noted=lambda: take(os.fsencode(records_in)) if records_in is not None else [],
        )
    except NoThreadsError as error:
        _log.error("%s", error)
        instance.withdraw()
        instance.close()
        return 1
    for number in _END:
        signal.signal(number, lambda *_: server.request_stop())
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    server.run()
    return 0


class _StandardError(logging.Handler):
    """Writes to descriptor 2 and ignores errors: a log that nobody reads must not end the daemon."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = printable(self.format(record)) + "\n"  # a traceback may contain names, too
        with contextlib.suppress(OSError):
            os.write(2, lines.encode("utf-8", "backslashreplace"))


class _Formatter(logging.Formatter):
    """Keeps a message on one line, whatever names it contains; only tracebacks have more lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  as logging calls it
        return printable(super().formatMessage(record), keep="")


_DESCRIPTION = """\
Keeps the kallsyms tables of kernel builds and answers the client, kallsyms.
One daemon serves all trees of a user. A build starts it when none runs, or the
service manager does (see "kallsymsctl service"). It stays in the foreground
and logs to standard error.
"""
_EPILOG = """\
examples:
  kallsymsd                      # serve until idle for an hour
  kallsymsd --idle-exit 0        # serve without an idle limit
  KALLSYMSD_WATCH=off kallsymsd  # do not precompute

environment:
  KALLSYMSD_SOCKET  socket to listen on, unless --socket is given
  KALLSYMSD_CONFIG  configuration file (default: kallsymsd/config.toml in
                    $XDG_CONFIG_HOME)
  Each setting has a variable, too; "kallsymsctl config --help" lists them.

exit status:
  0  stopped by a message or signal, or idle for too long
  1  cannot serve; one line says why
  2  wrong arguments or configuration
"""


def parser() -> argparse.ArgumentParser:
    """The argument parser; the manual page is generated from it, too."""
    parser = argparse.ArgumentParser(
        prog="kallsymsd",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="socket to listen on (default: the service manager's, else by XDG rules)",
    )
    add_flags(parser)
    parser.add_argument("--version", action="version", version=f"kallsymsd {__version__}")
    return parser


def _socket(named: Path | None, listener: "socket.socket | None") -> tuple[Path, str]:
    """The socket's path and what set it."""
    if listener is not None:
        return Path(listener.getsockname()), "the service manager"
    if named is not None:
        return named, "--socket"
    origin = "KALLSYMSD_SOCKET" if os.environ.get("KALLSYMSD_SOCKET") else "default"
    return socket_path(os.environ, own_uid()), origin


def _make_engine(configuration: Configuration, descriptors: int) -> "Engine":
    # Imported late: the socket must accept connections before these modules are loaded.
    from kallsymsd.engine.engine import Engine  # noqa: PLC0415  see above
    from kallsymsd.engine.store import Store, StoreUnavailableError  # noqa: PLC0415  see above
    from kallsymsd.engine.trees import Trees  # noqa: PLC0415  see above

    store, problem = None, ""
    try:
        store = Store(configuration[CACHE_DIR], configuration[CACHE_LIMIT] * _MEBIBYTE, patience=0)
    except (NotPrivateError, StoreUnavailableError) as error:
        _log.warning("cannot use the cache directory: %s; answers are kept in memory only", error)
        problem = str(error)
    memory.touch()
    # Modules loaded so far stay loaded: keep the garbage collector from scanning them at each request.
    gc.freeze()
    trees = Trees(store, configuration[MEMORY_LIMIT] * _MEBIBYTE, fit=memory.fit)
    return Engine(
        store,
        trees,
        no_store=problem,
        prepare=memory.prepare,
        give_back=memory.give_back,
        descriptors=descriptors,
    )


def _save(cache: Path, kept: Kept) -> None:
    try:
        private_directory(cache)
        save(cache, kept)
    except NotPrivateError:
        return  # logged when the engine was loaded
    except OSError as error:
        _log.warning("cannot save the counters: %s: %s", cache, error.strerror)


if __name__ == "__main__":
    sys.exit(main())
