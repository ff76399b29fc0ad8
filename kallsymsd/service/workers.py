# SPDX-License-Identifier: GPL-2.0-only
"""A few threads for what may take time."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("kallsymsd")

Job = Callable[[], None]


class NoThreadsError(Exception):
    """The system lets this process have no thread; the text says why, in one line."""


#: Threads lost in their jobs above which no more are replaced: whatever holds them would hold all.
MOST_STUCK = 16


class Workers:
    """Runs jobs on a fixed number of threads, in the order they were given, those for clients first.

    Jobs that nobody waits for yet never occupy the last free thread, so a client's job finds one. They run
    at the same priority of the system's scheduler: a client may join them, and would then wait for a thread
    that yields to all of its own parallel build.

    Not concurrent.futures: its threads are waited for when the interpreter ends, without a deadline, and a
    thread that hangs in a read from a dead file server would hang the daemon with it.
    """

    def __init__(self, count: int) -> None:
        """Start ``count`` threads, at least 2.

        There may be fewer where the system allows no more; NoThreadsError if it allows none.
        """
        self._lock = threading.Lock()
        # Threads that wait, each until its own lock is released; the last one first, whose memory is still in
        # the caches. Not a Condition, which is as much again in Python, nor a SimpleQueue, which wakes two.
        self._idle: list[threading.Lock] = []
        self._urgent: deque[Job] = deque()
        self._ahead: deque[Job] = deque()
        # By thread: when its job began, and whether that is one that nobody waits for.
        self._running: dict[threading.Thread, tuple[float, bool]] = {}
        self._stuck: set[threading.Thread] = set()
        self._threads: set[threading.Thread] = set()
        self._started = 0
        self._stopping = False
        self._refusal = ""  # why the last thread could not be started
        self._most_ahead = max(0, sum([self._start() for _ in range(count)]) - 1)
        if not self._threads:
            raise NoThreadsError(f"no thread can be started ({self._refusal}); see ulimit -u")

    def submit(self, job: Job, *, ahead: bool = False) -> None:
        """Run ``job`` soon; ``ahead`` when nobody waits for it yet. What it raises is logged, and lost."""
        with self._lock:
            (self._ahead if ahead else self._urgent).append(job)
            if self._idle:
                self._idle.pop().release()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits, but for those that are lost."""
        return bool(self._running or self._urgent or self._ahead)

    @property
    def stuck(self) -> int:
        """Threads that were replaced and have not come back."""
        return len(self._stuck)

    def replace_stuck(self, limit: float) -> None:
        """Start another thread for each that has been at one job for ``limit`` seconds.

        Such a thread cannot be ended: it waits within the kernel, most likely for a file server. It ends by
        itself should that job ever be done.
        """
        if not self._running:
            return
        before = time.monotonic() - limit
        if all(began > before for began, _ in list(self._running.values())):
            return
        with self._lock:
            for thread, (began, _) in list(self._running.items()):
                if began <= before and len(self._stuck) < MOST_STUCK and self._start():
                    _log.warning("%s has been stuck for %.0f s and is replaced", thread.name, limit)
                    del self._running[thread]
                    self._threads.discard(thread)
                    self._stuck.add(thread)

    def stop(self, timeout: float) -> bool:
        """End the threads once the clients' jobs are done; False if that takes over ``timeout`` seconds."""
        end = time.monotonic() + timeout
        with self._lock:
            self._stopping = True
            self._ahead.clear()
            threads = list(self._threads)
            while self._idle:
                self._idle.pop().release()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _start(self) -> bool:
        """Start another thread; whether there is one."""
        thread = threading.Thread(target=self._run, name=f"worker-{self._started + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._refusal:  # it is tried again and again
                _log.warning("%s: %s", thread.name, error)
            self._refusal = str(error)
            return False
        self._refusal = ""
        self._started += 1
        self._threads.add(thread)
        return True

    def _run(self) -> None:
        signal = threading.Lock()
        signal.acquire()
        while (job := self._next(signal)) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001  one job is not to end the thread
                _log.exception("a job failed")
            del job  # or it, and all it refers to, would live until the next one comes

    def _next(self, signal: threading.Lock) -> Job | None:
        """The calling thread's next job; None when it is to end. It waits for ``signal``, which it holds."""
        me = threading.current_thread()
        with self._lock:
            self._running.pop(me, None)
            if me in self._stuck:  # another has taken its place
                self._stuck.discard(me)
                return None
        while True:
            with self._lock:
                job = self._take()
                if job is not None:
                    self._running[me] = time.monotonic(), job[1]
                    return job[0]
                if self._stopping:
                    return None
                self._idle.append(signal)
            signal.acquire()

    def _take(self) -> tuple[Job, bool] | None:
        if self._urgent:
            return self._urgent.popleft(), False
        if self._ahead and sum(ahead for _, ahead in self._running.values()) < self._most_ahead:
            return self._ahead.popleft(), True
        return None
