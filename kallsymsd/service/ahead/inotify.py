# SPDX-License-Identifier: GPL-2.0-only
"""Hears of files through inotify, with watchdog. Imported late: loading watchdog takes 60 ms."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from watchdog.events import (
    DirDeletedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyFD

from kallsymsd.service.ahead.buildfiles import Event, Heard, kind_of

_log = logging.getLogger("kallsymsd")

# Not opening, and not closing after reading: the daemon's own reading would raise these.
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    DirDeletedEvent,  # the directory itself
]

# Seconds for watchdog's threads to end.
_STOP_LIMIT = 1.0


class Inotify:
    """An inotify instance and its threads: one reads, one calls ``heard``, and one for each directory."""

    def __init__(self, heard: Heard, overflowed: Callable[[], None]) -> None:
        """OSError if no inotify instance can be created. For the callables see Watcher."""
        self._heard = heard
        # Not InotifyObserver, which hides this thread: is_alive() must know about it.
        self._reader = InotifyFD()
        self._reader.start()
        self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._reader)
        self._observer.start()
        self._log_handler = _Overflow(overflowed)
        logging.getLogger("watchdog.observers").addHandler(self._log_handler)

    def add(self, directory: str) -> ObservedWatch:
        """Watch ``directory``; the watch is for remove(). OSError if that fails."""
        handler = _Handler(directory, self._heard)
        return self._observer.schedule(handler, directory, event_filter=_EVENTS, follow_symlink=True)

    def remove(self, watch: ObservedWatch) -> None:
        """Stop watching it."""
        self._observer.unschedule(watch)

    def is_alive(self) -> bool:
        """Whether the threads that all watches need are alive."""
        return self._reader.is_alive() and self._observer.is_alive()

    def watches(self, watch: ObservedWatch) -> bool:
        """Whether it is still watched: False once the directory is deleted or its thread has failed."""
        return any(each.watch == watch and each.is_alive() for each in self._observer.emitters)

    def close(self) -> None:
        """End the threads. One that does not end in time is left behind; it reports nothing any more."""
        logging.getLogger("watchdog.observers").removeHandler(self._log_handler)
        # watchdog waits for some of its threads without a deadline.
        stopping = threading.Thread(target=self._stop, name="watch-stop", daemon=True)
        try:
            stopping.start()
        except RuntimeError:  # no thread can be started for it
            return
        stopping.join(_STOP_LIMIT)

    def _stop(self) -> None:
        with contextlib.suppress(OSError):  # a failed thread may have left any state
            self._observer.stop()
        with contextlib.suppress(OSError):
            self._reader.stop()
        self._observer.join(_STOP_LIMIT)
        self._reader.join(_STOP_LIMIT)


class _Handler(FileSystemEventHandler):
    """Passes on what happens to files of interest in one directory."""

    def __init__(self, directory: str, heard: Heard) -> None:
        self._directory = directory
        self._heard = heard

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called by watchdog. An exception would end its thread, and with it all watching."""
        try:
            match event:
                case FileClosedEvent():
                    self._pass_on(event.src_path, Event.COMPLETE)
                case FileMovedEvent():
                    self._pass_on(event.src_path, Event.GONE)
                    self._pass_on(event.dest_path, Event.COMPLETE)
                case FileCreatedEvent():
                    self._pass_on(event.src_path, Event.CREATED)
                case FileDeletedEvent():
                    self._pass_on(event.src_path, Event.GONE)
                case DirDeletedEvent() if event.src_path == self._directory:
                    self._heard(self._directory, "", Event.GONE)
                case _:
                    pass
        except Exception:  # noqa: BLE001  see above
            _log.exception("an event could not be handled")

    def _pass_on(self, path: str | bytes, event: Event) -> None:
        name = os.fsdecode(path).rpartition("/")[2]
        if kind_of(name) is not None:
            self._heard(self._directory, name, event)


class _Overflow(logging.Handler):
    """Notices lost events, which watchdog reports only in its log."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._overflowed = overflowed

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self._overflowed()
