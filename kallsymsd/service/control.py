# SPDX-License-Identifier: GPL-2.0-only
"""Answers kallsymsctl's commands, at once, whatever is being computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallsymsd.counters import costs
from kallsymsd.protocol.paths import path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kallsymsd.service.builds import Builds
    from kallsymsd.service.tally import Tally
    from kallsymsd.service.workers import Workers


class Control:
    """Answers control messages. Belongs to the loop's thread."""

    def __init__(
        self,
        builds: Builds,
        tally: Tally,
        workers: Workers,
        *,
        status: Callable[[], Mapping[str, Any]],
        stop: Callable[[], Mapping[str, Any]],
    ) -> None:
        """``status`` and ``stop`` give the loop's own answers."""
        self._builds = builds
        self._tally = tally
        self._workers = workers
        self._commands: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "stats": self._stats,
            "zero": self._zero,
            "stock": self._stock,
            "status": lambda _: {**status(), **self._engine_status()},
            "explain": self._explain,
            "clear": self._clear,
            "stop": lambda _: stop(),
        }

    def answer(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to ``message``; it has the key ``error`` if the command fails."""
        name = message.get("command")
        command = self._commands.get(name) if isinstance(name, str) else None
        return command(message) if command is not None else {"error": f"unknown command {name!r:.100}"}

    def _stats(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._tally.snapshot(self._builds.store).message()

    def _zero(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """The counters before they are reset."""
        before = self._tally.snapshot(self._builds.store).message()
        self._tally.zero()
        return before

    def _stock(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Use measured costs for answers from now on."""
        stock = costs.read(message)
        if stock is None:
            return {"error": "these costs are not valid"}
        self._tally.learn(stock)
        return {}

    def _explain(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        history = self._builds.history
        return {"requests": history.entries(str(message.get("tree", ""))), "fallbacks": history.fallbacks()}

    def _clear(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Clear memory before the answer, and the disk in a worker."""
        tree = message.get("tree")
        if tree is not None and not isinstance(tree, bytes):
            return {"error": "the name of a tree must be bytes"}
        engine = self._builds.engine
        if engine is None:
            return {"error": "the daemon is still starting; try again"}
        self._workers.submit(lambda: engine.clear_store(tree))
        return {"trees": engine.forget(tree)}

    def _engine_status(self) -> Mapping[str, Any]:
        engine = self._builds.engine
        if engine is None:
            return {"state": "starting", "trees": [], "problem": ""}
        trees = [
            {"tree": path_text(tree), "dialect": dialect, "symbols": symbols, "bytes": size}
            for tree, dialect, symbols, size in engine.summaries()
        ]
        return {"trees": trees, "problem": engine.problem}
