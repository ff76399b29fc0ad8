# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the states of the trees in use, in memory and in the store, and computes answers from them."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from kallsymsd.core.dialects import exact
from kallsymsd.core.errors import InputError
from kallsymsd.engine.encode import encode
from kallsymsd.engine.keys import tree_key
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.result import BuildResult
from kallsymsd.engine.stopwatch import Stopwatch
from kallsymsd.engine.store import Store
from kallsymsd.engine.treestate import TreeState
from kallsymsd.protocol.wire import INCREMENTAL, BuildRequest


class TreeSummary(NamedTuple):
    """A state in memory, as shown to the user.

    tree     the object tree
    dialect  name of the dialect
    symbols  entries in the tables
    size     approximate bytes
    """

    tree: bytes
    dialect: str
    symbols: int
    size: int


#: Most bytes of states in memory. A kernel with 163,000 symbols takes about 24 MB.
DEFAULT_LIMIT = 512 << 20


class Trees:
    """States by tree, dialect and options; the least recently used ones are dropped first.

    Threads may build at the same time, also for the same tree: states never change, they are replaced.
    """

    def __init__(
        self,
        store: Store | None,
        limit: int = DEFAULT_LIMIT,
        *,
        fit: Callable[[int], None] = lambda _map_size: None,
    ) -> None:
        """``store`` keeps states across restarts; ``limit`` is in bytes.

        ``fit`` is called with the bytes of the largest map in use when they change much: before a larger map
        is computed, and in settle() when no map as large is in use any more.
        """
        self._store = store
        self._limit = limit
        self._states: OrderedDict[bytes, TreeState] = OrderedDict()
        self._trees: dict[bytes, bytes] = {}  # the trees of the states, by the same keys
        self._unsaved: set[bytes] = set()
        self._size = 0
        self._fit = fit
        self._largest = 0
        self._building: list[int] = []  # bytes of the maps that are being computed
        self._lock = threading.Lock()

    def knows(self, request: BuildRequest) -> bool:
        """Whether the state of the request's tree is in memory."""
        with self._lock:
            return tree_key(request) in self._states

    def build(self, request: BuildRequest, contents: MapText) -> BuildResult:
        """Compute the answer to ``request`` for ``contents``, from the state of its tree if there is one."""
        watch = Stopwatch()
        key = tree_key(request)
        size = len(contents.text)
        with self._lock:
            self._building.append(size)
            if size > self._largest:
                self._largest = size
                self._fit(size)
        try:
            return self._build(request, contents, key, watch)
        finally:
            with self._lock:
                self._building.remove(size)

    def _build(self, request: BuildRequest, contents: MapText, key: bytes, watch: Stopwatch) -> BuildResult:
        state = self._get(key) or self._load(key, request)
        watch.lap("diff")
        try:
            if state is None:
                state, how = TreeState.cold(contents, exact(request.dialect), request.options, watch)
            else:
                state, how = state.update(contents, watch)
            # Links since v6.11 begin with an empty map, which says nothing about the tree.
            if state.tables.num_syms:
                self._put(key, state, request.tree)
            made = encode(request, state.tables)
        except InputError as error:
            return BuildResult.bad_input(error.render(request.map_path))
        watch.lap("write")
        return BuildResult(
            how.plus("write", watch.spent("write")),
            made,
            sysmap=contents.text if request.sysmap else b"",
            message=state.tables.warnings,
            changed=state.changed if how.made == INCREMENTAL else (),  # the state may be an earlier request's
        )

    def save(self) -> None:
        """Write changed states to the store."""
        with self._lock:
            unsaved = [(key, self._states[key]) for key in self._unsaved if key in self._states]
            self._unsaved.clear()
        if self._store is not None:
            for key, state in unsaved:
                self._store.put(key, *state.encode())

    def states(self) -> dict[bytes, TreeState]:
        """The states in memory by tree_key(), the one used last at the end."""
        with self._lock:
            return dict(self._states)

    def summaries(self) -> list[TreeSummary]:
        """The states in memory, the one used last first."""
        with self._lock:
            return [
                TreeSummary(self._trees[key], state.tables.dialect.name, state.tables.num_syms, state.size)
                for key, state in reversed(self._states.items())
            ]

    def forget(self, tree: bytes | None) -> int:
        """Remove the states of ``tree`` (None: of all trees) from memory; their number."""
        with self._lock:
            dropped = [key for key, its_tree in self._trees.items() if tree in (None, its_tree)]
            for key in dropped:
                self._drop(key)
        return len(dropped)

    def settle(self) -> int:
        """Fit memory to the states; bytes of the map that needed more, 0 if none did."""
        with self._lock:
            before = self._largest
            largest = max((len(state.contents.text) for state in self._states.values()), default=0)
            largest = max(largest, *self._building, 0)
            if largest >= before // 2:
                return 0
            self._largest = largest
            self._fit(largest)
        return before

    def _get(self, key: bytes) -> TreeState | None:
        with self._lock:
            if key in self._states:
                self._states.move_to_end(key)
            return self._states.get(key)

    def _put(self, key: bytes, state: TreeState, tree: bytes) -> None:
        with self._lock:
            old = self._states.pop(key, None)
            if old is not state:
                self._unsaved.add(key)
            self._size += state.size - (old.size if old is not None else 0)
            self._states[key] = state
            self._trees[key] = tree
            while self._size > self._limit and len(self._states) > 1:
                self._drop(next(iter(self._states)))

    def _drop(self, key: bytes) -> None:
        """Remove a state from memory. The caller holds the lock."""
        self._size -= self._states.pop(key).size
        self._unsaved.discard(key)
        del self._trees[key]

    def _load(self, key: bytes, request: BuildRequest) -> TreeState | None:
        """The state that save() wrote; None if there is none, or none that this daemon would write."""
        stored = self._store.get(key) if self._store is not None else None
        if self._store is None or stored is None:
            return None
        try:
            return TreeState.decode(stored, exact(request.dialect), request.options)
        except (ValueError, InputError):
            self._store.reject(key)
            return None
