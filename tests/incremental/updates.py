# SPDX-License-Identifier: GPL-2.0-only
"""One map after another in one tree: what an update makes of it, and what is right."""

from collections.abc import Callable

from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import BY_NAME, OPTION_BITS
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.engine.recentmaps import MapText
from kallsymsd.engine.stopwatch import Stopwatch
from kallsymsd.engine.treestate import TreeState
from kallsymsd.protocol.wire import How
from tests.reference.tool import Outcome

MAP_PATH = b"in.map"


class Tree:
    """What is remembered of a tree.

    state    the state of the last map that was no bad input
    how      how the last tables were made
    """

    def __init__(self, dialect: str, options: tuple[str, ...], first: bytes) -> None:
        self.dialect = BY_NAME[dialect]
        self.bits = sum(OPTION_BITS[option] for option in options)
        self.state, self.how = TreeState.cold(MapText(first), self.dialect, self.bits, Stopwatch())

    @classmethod
    def of(cls, other: "Tree") -> "Tree":
        """A tree in the same state, which is never changed, so nothing is copied."""
        tree = cls.__new__(cls)
        tree.__dict__.update(other.__dict__)
        return tree

    def update(self, text: bytes) -> Outcome:
        """What a run of the tool would leave behind after the map became ``text``."""
        self.how = How()

        def tables() -> Tables:
            self.state, self.how = self.state.update(MapText(text), Stopwatch())
            return self.state.tables

        return _outcome(tables)

    def cold(self, text: bytes) -> Outcome:
        """The same without memory."""
        return _outcome(lambda: pipeline.build(text, self.dialect, self.bits))

    def tables_as_text(self) -> Outcome:
        """What the tool would have left behind for the last map."""
        return _outcome(lambda: self.state.tables)

    def check_history(self) -> None:
        """What is remembered is what a cold run would remember."""
        right = pipeline.build(self.state.contents.text, self.dialect, self.bits)
        assert self.state.tables.tokens.dump() == right.tokens.dump()
        assert self.state.tables.codes == right.codes
        assert self.state.tables.symbols.addresses == right.symbols.addresses


def _outcome(tables: Callable[[], Tables]) -> Outcome:
    try:
        made = tables()
        in_form = assembly.drop_in(made, b"out.bin")
        return Outcome(0, in_form.text, made.warnings, in_form.binary)
    except InputError as error:
        return Outcome(1, b"", error.render(MAP_PATH))
