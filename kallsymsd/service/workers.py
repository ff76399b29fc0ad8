# SPDX-License-Identifier: GPL-2.0-only
"""A few threads for what may take time."""

import logging
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger("kallsymsd")


class Workers:
    """Runs jobs in the order they were given, on a fixed number of threads.

    Not concurrent.futures: its threads are waited for when the interpreter ends, without a deadline, and a
    thread that hangs in a read from a dead file server would hang the daemon with it.
    """

    def __init__(self, count: int, at_end: Callable[[], None]) -> None:
        """Start ``count`` threads; each calls ``at_end`` when it ends."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._at_end = at_end
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` soon. What it raises is logged and otherwise lost."""
        self._jobs.put(job)

    def stop(self, timeout: float) -> bool:
        """End the threads once the jobs given are done; False if that takes more than ``timeout`` seconds."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout / len(self._threads))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001  one job is not to end the thread
                _log.exception("a job failed")
            del job  # or it, and all it refers to, would live until the next one comes
        self._at_end()
