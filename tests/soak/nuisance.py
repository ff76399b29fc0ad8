# SPDX-License-Identifier: GPL-2.0-only
"""Clients that ask too much: they read no answers, never use a name twice, or bring what is no map.

And what happens to the cache meanwhile: its database is locked, a pipe takes the place of a file.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from kallsymsd.protocol import wire
from tests.service.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.trees import Tree

# Seconds after which a client hangs, which is a failure.
_PATIENCE = 60.0
_BURST = 200
_DEAF = 20
# Bytes of what is no map.
_LARGE = 100 << 20
# Seconds for which the cache's database is locked at most.
_LOCKED = 5.0
_LINE = b"ffffffff81000000 t x\n"
# What is asked for beyond what peers ask for by themselves: what the trees' answers are.
_INCBIN: dict[str, Any] = {"form": wire.INCBIN, "bits": 64}


class Nuisance:
    """Does such things, one after the other.

    counted   what was done, and how often
    failures  what must not happen, in words
    pause     held while it does something
    """

    def __init__(self, trees: list[Tree], environment: dict[str, str], seed: int) -> None:
        self.counted: Counter[str] = Counter()
        self.failures: list[str] = []
        self.pause = threading.Lock()
        self._trees = trees
        self._environment = environment
        self._cache = Path(environment["XDG_CACHE_HOME"]) / "kallsymsd"
        self._socket = Path(environment["XDG_RUNTIME_DIR"]) / "kallsymsd" / "s"
        self._rng = random.Random(seed)
        self._name = 0

    def run(self, end: threading.Event) -> None:
        """Be one until ``end``."""
        acts: list[Callable[[], None]] = [
            self._read_nothing,
            self._name_anew,
            self._bring_no_map,
            self._lock_database,
            self._put_pipe,
        ]
        while not end.wait(self._rng.uniform(0.2, 1.5)) and not self.failures:
            act = self._rng.choice(acts)
            # The daemon may be away, or end: then there is nothing to be proved.
            with self.pause, contextlib.suppress(OSError, EOFError):
                try:
                    act()
                except subprocess.SubprocessError as error:
                    self.failures.append(str(error))
                self.counted[act.__name__.strip("_").replace("_", " ")] += 1

    def _map(self, tree: Tree, version: int) -> Path:
        path = tree.path / "nuisance.map"
        path.write_bytes(tree.maps[version])
        return path

    def _read_nothing(self) -> None:
        tree = self._rng.choice(self._trees)
        path = self._map(tree, 0)
        flood = wire.frame(wire.CONTROL, msgpack.packb({"command": "explain"})) * 500
        with contextlib.ExitStack() as stack:
            for number in range(_DEAF):
                peer = stack.enter_context(Peer(self._socket))
                peer.sock.settimeout(1)
                if number % 2:
                    peer.send(wire.preamble() + flood)
                else:
                    peer.build(path, bin_name=b"%d" % number, **_INCBIN)

    def _name_anew(self) -> None:
        tree = self._rng.choice(self._trees)
        version = self._rng.randrange(len(tree.maps))
        path = self._map(tree, version)
        text, binary = tree.right(version)
        for _ in range(_BURST):
            self._name += 1
            name = b"name%d.bin" % self._name
            with Peer(self._socket) as peer:
                peer.build(path, tree=os.fsencode(tree.path), bin_name=name, **_INCBIN)
                received = peer.receive()
            # A failure is for the client to deal with; the daemon may be about to end.
            if received.kind == wire.REPLY and received.content != text.replace(b"OUT.bin", name) + binary:
                self.failures.append(f"{name!r}: wrong bytes for version {version}")

    def _lock_database(self) -> None:
        database = self._cache / "store" / "cache.db"
        if not database.exists():
            return
        with contextlib.closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(self._rng.uniform(0.5, _LOCKED))
                connection.execute("ROLLBACK")
            except sqlite3.Error:  # it is in use, or replaced
                return

    def _put_pipe(self) -> None:
        files = [*self._cache.rglob("*.val"), self._cache / "counters.json", self._cache / "fallbacks"]
        victim = self._rng.choice(files)
        pipe = victim.with_name("pipe.new")
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe, 0o600)
        pipe.replace(victim)

    def _bring_no_map(self) -> None:
        path = self._rng.choice(self._trees).path / "no.map"
        with path.open("wb") as file:
            if self._rng.random() < 0.5:
                file.truncate(_LARGE)
            else:
                file.write(_LINE * (_LARGE // 2 // len(_LINE)) + b"bad\n")
        command = [sys.executable, "-m", "kallsyms_client", "--dialect=v6.11", "--all-symbols", path.name]
        done = subprocess.run(
            command,
            cwd=path.parent,
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
        )
        path.unlink()
        if done.returncode != 1 or done.stdout or b"line format error" not in done.stderr:
            self.failures.append(f"{path}: exit status {done.returncode}: {done.stderr[:500]!r}")
