# SPDX-License-Identifier: GPL-2.0-only
"""Hears of files that are written in build directories, through inotify.

What is heard is a hint and never more: events get lost, come late, and tell nothing about contents.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd.engine.filesystem import filesystem_type, is_remote

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.observers.api import ObservedWatch

    from kallsymsd.service.ahead.buildfiles import Heard
    from kallsymsd.service.ahead.inotify import Inotify


# Seconds that closing waits for a thread that is about to watch something.
_LOCK_LIMIT = 1.0


class Watcher:
    """Watches directories. All methods may be called from any thread, and may take long.

    refusal  why no directory is watched, whichever it is; "" if some are
    """

    def __init__(self, heard: Heard, overflowed: Callable[[], None], *, enabled: bool = True) -> None:
        """Both are called from other threads and must return at once; the latter when events were lost."""
        self.refusal = "" if enabled else "watching is switched off"
        self._heard = heard
        self._overflowed = overflowed
        self._lock = threading.Lock()
        self._inotify: Inotify | None = None
        # By directory: the watch, and device and inode of what is watched.
        self._watches: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}

    def watch(self, directory: str) -> str:
        """Watch ``directory`` from now on; why that cannot be, or "".

        To be called again now and then: another directory may have taken its place, or a thread of watchdog's
        may have failed.
        """
        if self.refusal:
            return self.refusal
        path = Path(directory)
        try:
            # What may hang, on a dead file server, goes without the lock.
            status = path.stat()
            identity = status.st_dev, status.st_ino
            if self._is_watched(directory, identity):
                return ""
            problem = _problem(path)
            with self._lock:
                if problem:
                    self._forget(directory)
                else:
                    self._watch(directory, identity)
        except OSError as error:
            self.release(directory)
            return error.strerror or str(error)
        except RuntimeError as error:  # a thread cannot be started
            self.release(directory)
            return str(error)
        return problem

    def release(self, directory: str) -> None:
        """Watch ``directory`` no more."""
        with self._lock:
            self._forget(directory)

    def close(self) -> None:
        """Watch nothing any more, until watch() is called again."""
        if self._lock.acquire(timeout=_LOCK_LIMIT):
            try:
                self._close()
            finally:
                self._lock.release()

    def _is_watched(self, directory: str, identity: tuple[int, int]) -> bool:
        with self._lock:
            watch, watched = self._watches.get(directory, (None, None))
            inotify = self._inotify
            return (
                watch is not None
                and watched == identity
                and inotify is not None
                and inotify.is_alive()
                and inotify.watches(watch)
            )

    def _watch(self, directory: str, identity: tuple[int, int]) -> None:
        if self._inotify is not None and not self._inotify.is_alive():
            self._close()  # the other directories are watched again from their next requests on
        self._forget(directory)
        if self._inotify is None:
            from kallsymsd.service.ahead.inotify import Inotify  # noqa: PLC0415  takes 60 ms to load

            self._inotify = Inotify(self._heard, self._overflowed)
        self._watches[directory] = self._inotify.add(directory), identity

    def _forget(self, directory: str) -> None:
        watch, _ = self._watches.pop(directory, (None, None))
        if watch is not None and self._inotify is not None:
            self._inotify.remove(watch)

    def _close(self) -> None:
        self._watches.clear()
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None


def _problem(directory: Path) -> str:
    """Why there is no use in watching ``directory``; "" if there is."""
    kind = filesystem_type(directory)
    if not kind or is_remote(kind):
        return f"lies on {kind or 'an unknown file system'}, which does not tell of all changes"
    # watchdog would say nothing.
    return "" if os.access(directory, os.R_OK) else "Permission denied"
