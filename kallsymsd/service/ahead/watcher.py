# SPDX-License-Identifier: GPL-2.0-only
"""Watches build directories for files that are written.

Events are only hints: they get lost, come late, and say nothing about contents.
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


# Seconds that closing waits for a thread that is starting a watch.
_LOCK_LIMIT = 1.0


class Watcher:
    """Watches directories. Any thread may call any method; methods may take long.

    refusal  why no directory at all is watched; "" if directories are
    """

    def __init__(self, heard: Heard, overflowed: Callable[[], None], *, enabled: bool = True) -> None:
        """Other threads call both, which must return at once; ``overflowed`` after events were lost."""
        self.refusal = "" if enabled else "watching is switched off"
        self._heard = heard
        self._overflowed = overflowed
        self._lock = threading.Lock()
        self._inotify: Inotify | None = None
        # By directory: the watch, and device and inode of what is watched.
        self._watches: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}

    def watch(self, directory: str) -> str:
        """Watch ``directory`` from now on; why that is not possible, or "".

        To be called again from time to time: another directory may have taken its place, or a thread of
        watchdog's may have failed.
        """
        if self.refusal:
            return self.refusal
        path = Path(directory)
        try:
            # Not under the lock: on a dead file server this may hang.
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
        """Stop watching ``directory``."""
        with self._lock:
            self._forget(directory)

    def close(self) -> None:
        """Stop watching, until watch() is called again."""
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
    """Why ``directory`` cannot be watched; "" if it can."""
    kind = filesystem_type(directory)
    if not kind or is_remote(kind):
        return f"lies on {kind or 'an unknown file system'}, which does not tell of all changes"
    # watchdog would not report this.
    return "" if os.access(directory, os.R_OK) else "Permission denied"
