# SPDX-License-Identifier: GPL-2.0-only
"""A developer and a daemon: maps that change, requests that change, and after each step the right answer."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path as FilePath

from kallsymsd.core import pipeline
from kallsymsd.core.dialects import BY_NAME, OPTION_BITS
from kallsymsd.core.errors import InputError
from kallsymsd.engine import cold
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.engine import Engine, Question
from kallsymsd.engine.keys import tree_key
from kallsymsd.engine.store import Store
from kallsymsd.engine.trees import DEFAULT_LIMIT, Trees
from kallsymsd.engine.treestate import TreeState
from kallsymsd.protocol.wire import ADDRESSES, ASM, COLD, HIT, INCBIN, INCREMENTAL, OK, BuildRequest, How
from tests.incremental import damage, judge
from tests.incremental.edits import Edit
from tests.incremental.judge import Judge
from tests.incremental.paths import Path
from tests.oracles import SERIES, scratch
from tests.strategies import NUMBERS, Line, written

DIALECTS = (*sorted(SERIES), *sorted(SERIES), *sorted(SERIES), *sorted(BY_NAME))


class Session:
    """One sequence of steps. Every method but close() is a step and ends in check().

    lines     the map now
    paths     how often each path was taken
    steps     how many answers were compared
    """

    def __init__(self, lines: list[Line], judged_by: Judge) -> None:
        """Begin with a map, a new cache directory, and requests as a kernel of today makes them."""
        self.lines = lines
        self.paths: Counter[Path] = Counter()
        self.steps = 0
        self._judged_by = judged_by
        self._directory = FilePath(tempfile.mkdtemp(prefix="session-", dir=scratch()))
        self._store = Store(self._directory)
        self._damaged = False  # on purpose, so far
        self._noticed = 0
        self._limit = DEFAULT_LIMIT
        self._engine = self._new_engine()
        self._past = [lines]
        self._number = NUMBERS[0]
        self._dialect = "v6.11"
        self._options: tuple[str, ...] = ("all-symbols",)
        self._form: tuple[int, int, bool, bool] = (ASM, 0, False, False)
        self._tree = b"/tree"
        self.check()

    # Steps of the developer.

    def edit(self, edit: Edit, rng: random.Random) -> None:
        """Change the map; an empty one is only a link's first pass, and what was before is edited."""
        before = next((lines for lines in reversed(self._past) if lines), [])
        self.become(edit(rng, self.lines or before))

    def become(self, lines: list[Line]) -> None:
        """Another map altogether."""
        self.lines = lines
        self._past.append(lines)
        self.check()

    def undo(self, rng: random.Random) -> None:
        """Back to a map that was there before, mostly a recent one."""
        self.become(rng.choice(self._past[-4:] if rng.random() < 0.8 else self._past))

    def switch_options(self, rng: random.Random) -> None:
        """Any options of the dialect; without --all-symbols little is left of a map."""
        chosen = [option for option in BY_NAME[self._dialect].options if rng.random() < 0.5]
        if "all-symbols" not in chosen and rng.random() < 0.7:
            chosen.append("all-symbols")
        self._options = tuple(chosen)
        self.check()

    def switch_dialect(self, rng: random.Random) -> None:
        """Another kernel version, with those of the options that it has."""
        self._dialect = rng.choice(DIALECTS)
        known = BY_NAME[self._dialect].options
        self._options = tuple(option for option in self._options if option in known)
        self.check()

    def switch_form(self, rng: random.Random) -> None:
        """Plain assembly or a .bin, for any target."""
        targets = [
            (INCBIN, bits, big, debug)
            for bits in (32, 64)
            for big in (False, True)
            for debug in (False, True)
        ]
        self._form = rng.choice([(ASM, 0, False, False)] * 6 + targets)
        self.check()

    def switch_tree(self, rng: random.Random) -> None:
        """Build in another directory, of which little or nothing is known."""
        self._tree = rng.choice((b"/tree", b"/other", b"/third"))
        self.check()

    def switch_spelling(self, rng: random.Random) -> None:
        """Addresses of eight digits, sixteen, or as many as needed in upper case."""
        self._number = rng.choice(NUMBERS)
        self.check()

    def repeat(self, _rng: random.Random) -> None:
        """The same again."""
        self.check()

    # What happens to the daemon.

    def save(self, _rng: random.Random) -> None:
        """The daemon's timer fires."""
        self._engine.save()
        self.check()

    def restart_after_a_save(self, _rng: random.Random) -> None:
        """The daemon ends in order, and another begins."""
        self._engine.save()
        self._reopen(lambda: None)
        self.check()

    def restart_after_a_kill(self, _rng: random.Random) -> None:
        """What was not saved yet is lost."""
        self._reopen(lambda: None)
        self.check()

    def drop_memory(self, rng: random.Random) -> None:
        """Nothing is in memory any more; from now on there may be room for one tree only."""
        self._limit = rng.choice((1, DEFAULT_LIMIT))
        self._forget()
        self.check()

    def harm(self, rng: random.Random, kind: damage.Damage) -> None:
        """Damage what is stored, so that the next request finds it."""
        self._engine.save()
        self._damaged = True
        paths = damage.values(self._directory)
        if paths:
            kind(rng, paths)
        self._forget()
        self.check()

    def harm_database(self, rng: random.Random) -> None:
        """Damage the file that knows all entries."""
        self._engine.save()
        self._damaged = True
        database = self._directory / "store" / "cache.db"

        def overwrite() -> None:
            content = bytearray(database.read_bytes())
            at = rng.randrange(len(content))
            content[at : at + 4096] = rng.randbytes(4096)
            database.write_bytes(content)

        self._reopen(overwrite)
        self.check()

    def plant_foreign(self, rng: random.Random) -> None:
        """The state of another dialect or of other options lies, whole and sound, under our key."""
        self._engine.save()
        self._damaged = True
        dialect = BY_NAME[rng.choice(DIALECTS)]
        options = sum(OPTION_BITS[option] for option in dialect.options if rng.random() < 0.5)
        state = rng.choice([*self._trees.states().values(), None])
        if state is not None:
            with suppress(InputError):  # these options may not be able to hold its addresses
                tables = pipeline.build(state.contents.text, dialect, options)
                self._store.put(tree_key(self._request()), *TreeState(state.contents, tables).encode())
        self._forget()
        self.check()

    def close(self) -> None:
        """The end of the sequence."""
        self._store.close()
        shutil.rmtree(self._directory)

    def _reopen(self, meanwhile: Callable[[], None]) -> None:
        self._count_damaged()
        self._store.close()
        meanwhile()
        self._store = Store(self._directory)
        self._noticed = 0
        self._forget()

    def _new_engine(self) -> Engine:
        self._trees = Trees(self._store, self._limit)
        return Engine(self._store, self._trees, least_front=1)  # these maps are small

    def _forget(self) -> None:
        self._engine = self._new_engine()

    # The proof.

    def check(self) -> None:
        """Ask the daemon, and compare its answer with a cold one and with that of the judge."""
        text = b"".join(line + b"\n" for line in written(self.lines, self._number))
        request = self._request()
        before = self._trees.states().get(tree_key(request))
        question = self._engine.identify(request, text)
        in_memory = question.form in question.map.answers
        answer, how = self._engine.build(question)
        self._engine.keep(question, answer, how)
        self.steps += 1
        made_text, made_binary = self._compare_with_cold(question, answer, how)
        self._compare_with_judge(answer, text, made_text, made_binary)
        if answer.ok:
            self._compare_state(text, how)
            self._classify(before, question, how, in_memory=in_memory)
        else:
            self.paths[Path.BAD_INPUT] += 1
        self._count_damaged()

    def _compare_with_cold(self, question: Question, answer: Answer, how: How) -> tuple[bytes, bytes]:
        right = cold.build(question.request, question.map.text)
        assert answer.reply.status == right.status
        assert answer.reply.message == right.message
        contents = b"".join(answer.parts()) if answer.ok else b""
        made_text, made_binary = contents[: answer.reply.text_length], contents[answer.reply.text_length :]
        assert made_text == right.text
        assert made_binary == right.binary
        assert (how.symbols, how.steps) == (right.how.symbols, right.how.steps)
        return made_text, made_binary

    def _compare_with_judge(self, answer: Answer, text: bytes, made_text: bytes, made_binary: bytes) -> None:
        outcome = self._judged_by(self._dialect, self._options, text)
        if outcome is None:
            return
        assert (answer.reply.status == OK) == (outcome.status == 0)
        if outcome.status != 0:
            assert answer.reply.message.startswith(outcome.stderr.removesuffix(b"\n"))
            return
        assert answer.reply.message == outcome.stderr
        form, _, big_endian, _ = self._form
        if form == ASM:
            assert (made_text, made_binary) == (outcome.stdout, outcome.binary)
        else:
            right = judge.assembled(outcome, big_endian=big_endian)
            for table, content in judge.included(made_text, made_binary).items():
                assert content == right[table]

    def _compare_state(self, text: bytes, how: How) -> None:
        """What the daemon remembers is what a cold run would have it remember: it decides later answers."""
        state = self._trees.states().get(tree_key(self._request()))
        if state is None or how.made == HIT:
            return
        assert how.symbols == 0 or state.contents.text == text
        right = pipeline.build(state.contents.text, state.tables.dialect, state.tables.options)
        assert state.tables.tokens.dump() == right.tokens.dump()
        assert state.tables.codes == right.codes
        assert state.tables.by_name == right.by_name
        assert state.tables.symbols.strings == right.symbols.strings
        assert state.tables.symbols.addresses == right.symbols.addresses

    def _classify(self, before: TreeState | None, question: Question, how: How, *, in_memory: bool) -> None:
        after = self._trees.states().get(tree_key(question.request))
        if how.symbols == 0:
            self.paths[Path.EMPTY] += 1
        if how.made == HIT:
            self.paths[Path.HIT_IN_MEMORY if in_memory else Path.HIT_ON_DISK] += 1
        elif how.made == COLD:
            self.paths[Path.UNKNOWN if before is None else Path.TOO_MUCH] += 1
        elif before is None:
            self.paths[Path.LOADED] += 1
        elif how.made == ADDRESSES:
            same = before.contents is question.map
            self.paths[Path.SAME_MAP if same else Path.ADDRESSES] += 1
        elif how.symbols and after is not None:
            assert how.made == INCREMENTAL
            self._classify_update(before, after, how)

    def _classify_update(self, before: TreeState, after: TreeState, how: How) -> None:
        """An update's own report must be true: count what it says by looking at both maps."""
        old, new = before.tables, after.tables
        gone, come = (Counter(tables.symbols.strings.split(b"\0")) for tables in (old, new))
        assert how.changed == (gone - come).total() + (come - gone).total()
        assert (
            how.kept == _common(old.tokens.pairs, new.tokens.pairs)
            or old.tokens.literals != new.tokens.literals
        )
        if old.tokens.literals != new.tokens.literals:
            path = Path.ALPHABET
        elif old.tokens.pairs == new.tokens.pairs:
            path = Path.STANDING
        elif sorted(old.expansions) == sorted(new.expansions):
            path = Path.REORDERED
        elif how.kept == 0:
            path = Path.FROM_START
        else:
            path = Path.LATE
        self.paths[path] += 1

    def _count_damaged(self) -> None:
        assert self._damaged or self._store.damaged == 0
        assert self._store.problem == "" or self._damaged
        self.paths[Path.DAMAGED] += self._store.damaged - self._noticed
        self._noticed = self._store.damaged

    def _request(self) -> BuildRequest:
        form, bits, big_endian, debug = self._form
        return BuildRequest(
            version="",
            dialect=self._dialect,
            options=sum(OPTION_BITS[option] for option in self._options),
            form=form,
            bits=bits,
            big_endian=big_endian,
            debug=debug,
            bin_name=b"out.bin" if form == INCBIN or BY_NAME[self._dialect].binary else b"",
            map_path=b"/in.map",
            tree=self._tree,
        )


def _common(old: Sequence[object], new: Sequence[object]) -> int:
    """How many items two sequences have in common at the front."""
    equal = 0
    while equal < min(len(old), len(new)) and old[equal] == new[equal]:
        equal += 1
    return equal
