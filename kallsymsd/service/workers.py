# SPDX-License-Identifier: GPL-2.0-only
"""A few threads for jobs that may take time."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("kallsymsd")

Job = Callable[[], None]


class NoThreadsError(Exception):
    """No thread can be started; the text says why, in one line."""


#: Most stuck threads that are replaced: whatever holds them would hold any number.
MOST_STUCK = 16


class Workers:
    """Runs jobs on a fixed number of threads, in the order given, clients' jobs first.

    Jobs that no client waits for never occupy the last free thread, so a client's job finds one. All run at
    the same scheduling priority: a client may join a precomputation, and would then wait for a thread that
    yields to the client's own parallel build.

    Not concurrent.futures: the interpreter waits for its threads at exit, without a deadline. A thread that
    hangs in a read from a dead file server would hang the daemon.
    """

    def __init__(self, count: int) -> None:
        """Start ``count`` threads, at least 2.

        Starts fewer if the system allows no more; NoThreadsError if it allows none.
        """
        self._lock = threading.Lock()
        # Waiting threads, each until its own lock is released; the last one first, whose memory is still in
        # the CPU's caches. Not a Condition, which costs as much again in Python, nor a SimpleQueue, which
        # wakes two.
        self._idle: list[threading.Lock] = []
        self._urgent: deque[Job] = deque()
        self._ahead: deque[Job] = deque()
        # By thread: when its job began, and whether no client waits for it.
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
        """Run ``job`` soon; ``ahead`` if no client waits for it yet. Its exceptions are logged."""
        with self._lock:
            (self._ahead if ahead else self._urgent).append(job)
            if self._idle:
                self._idle.pop().release()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits, apart from stuck ones."""
        return bool(self._running or self._urgent or self._ahead)

    @property
    def stuck(self) -> int:
        """Threads that were replaced and have not come back."""
        return len(self._stuck)

    def replace_stuck(self, limit: float) -> None:
        """Start another thread for each that has run one job for ``limit`` seconds.

        Such a thread cannot be ended: it waits in the kernel, most likely for a file server. It ends by
        itself if its job ever does.
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
        """End the threads after the clients' jobs; False if that takes more than ``timeout`` seconds."""
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
        """Start another thread; whether that worked."""
        thread = threading.Thread(target=self._run, name=f"worker-{self._started + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._refusal:  # this is tried again and again
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
            except Exception:  # noqa: BLE001  a job must not end the thread
                _log.exception("a job failed")
            del job  # or it, and all it refers to, would live until the next one comes

    def _next(self, signal: threading.Lock) -> Job | None:
        """The calling thread's next job; None if it must end. Waits for ``signal``, which it holds."""
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
