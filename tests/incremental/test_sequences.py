# SPDX-License-Identifier: GPL-2.0-only
"""Whatever happened before, the answer is that of a cold run and of the kernel's own tool, byte for byte."""

import random
from collections import Counter
from collections.abc import Callable
from typing import ClassVar, NoReturn

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests import oracles, strategies
from tests.incremental import damage, edits, judge
from tests.incremental.edits import Edit
from tests.incremental.judge import Judge
from tests.incremental.paths import STEPS, TAKEN, Path
from tests.incremental.session import Session
from tests.strategies import Line

#: Chance is drawn as a seed: an edit needs many draws, and sequences shrink by leaving out steps anyway.
CHANCE = st.integers(0, 1 << 32).map(random.Random)

#: A step that needs nothing but chance.
Step = Callable[[Session, random.Random], None]

SWITCHES: tuple[Step, ...] = (
    Session.switch_options,
    Session.switch_options,
    Session.switch_dialect,
    Session.switch_form,
    Session.switch_tree,
    Session.switch_spelling,
)
EVENTS: tuple[Step, ...] = (
    Session.repeat,
    Session.save,
    Session.restart_after_a_save,
    Session.restart_after_a_kill,
    Session.drop_memory,
    Session.harm_database,
    Session.plant_foreign,
)

#: From this many steps on, every path must have been taken.
ENOUGH_STEPS = 5_000


class Rebuilds(RuleBasedStateMachine):
    """Steps in any order; the session checks after each."""

    judged_by: ClassVar[Judge]
    most: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.session: Session | None = None

    @property
    def now(self) -> Session:
        assert self.session is not None
        return self.session

    @initialize(rng=CHANCE, part=st.integers(1, 8))
    def begin(self, rng: random.Random, part: int) -> None:
        # Not self.judged_by: a function in a class is taken for a method.
        self.session = Session(edits.new_map(rng, self.most * part // 8), type(self).__dict__["judged_by"])

    # Rules are drawn alike often, and what users do most often is to change names and addresses.

    @rule(rng=CHANCE, edit=st.sampled_from(edits.NAME_EDITS))
    def change_names(self, rng: random.Random, edit: Edit) -> None:
        self.now.edit(edit, rng)

    @rule(rng=CHANCE, edit=st.sampled_from(edits.NAME_EDITS))
    def change_other_names(self, rng: random.Random, edit: Edit) -> None:
        self.now.edit(edit, rng)

    @rule(rng=CHANCE, edit=st.sampled_from(edits.ADDRESS_EDITS))
    def change_addresses(self, rng: random.Random, edit: Edit) -> None:
        self.now.edit(edit, rng)

    @rule(rng=CHANCE, edit=st.sampled_from(edits.RARE_EDITS))
    def change_much(self, rng: random.Random, edit: Edit) -> None:
        self.now.edit(edit, rng)

    @rule(lines=strategies.symbols(max_size=15))
    def become_a_nasty_map(self, lines: list[Line]) -> None:
        self.now.become(lines)

    @rule(rng=CHANCE)
    def become_another_map(self, rng: random.Random) -> None:
        self.now.become(edits.new_map(rng, rng.randint(1, self.most)))

    @rule(rng=CHANCE)
    def undo(self, rng: random.Random) -> None:
        self.now.undo(rng)

    @rule(rng=CHANCE, switch=st.sampled_from(SWITCHES))
    def ask_for_something_else(self, rng: random.Random, switch: Step) -> None:
        switch(self.now, rng)

    @rule(rng=CHANCE, event=st.sampled_from(EVENTS))
    def meet_the_daemon(self, rng: random.Random, event: Step) -> None:
        event(self.now, rng)

    @rule(rng=CHANCE, kind=st.sampled_from(damage.DAMAGES))
    def harm(self, rng: random.Random, kind: damage.Damage) -> None:
        self.now.harm(rng, kind)

    def teardown(self) -> None:
        if self.session is not None:
            STEPS[f"steps judged by {type(self).__name__}"] += self.session.steps
            TAKEN.update(self.session.paths)
            self.session.close()


def _run(machine: type[RuleBasedStateMachine]) -> None:
    """Sequences of 40 steps: 5 with hypothesis' profile dev, 20 with ci, 300 with thorough."""
    count = min(300, max(5, settings().max_examples // 20))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count, stateful_step_count=40, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.oracle
@pytest.mark.timeout(0)
def test_any_sequence_of_rebuilds_gives_what_a_cold_run_and_the_kernels_own_tool_give(
    unavailable: Callable[[str], NoReturn],
) -> None:
    for dialect in oracles.SERIES:
        if oracles.find(dialect) is None:
            unavailable(oracles.missing(dialect))

    class Oracles(Rebuilds):
        judged_by = judge.by_oracle
        most = 250

    _run(Oracles)
    if STEPS["steps judged by Oracles"] >= ENOUGH_STEPS:
        assert [path for path in Path if not TAKEN[path]] == []


@pytest.mark.timeout(0)
def test_any_sequence_of_rebuilds_of_small_maps_gives_what_the_reference_gives() -> None:
    class Reference(Rebuilds):
        judged_by = judge.by_reference
        most = 25

    _run(Reference)


def _walk(seed: int, steps: int) -> Counter[Path]:
    """The same steps by plain chance: the paths of a seed do not depend on hypothesis' version."""
    rng = random.Random(seed)
    session = Session(edits.new_map(rng, rng.randint(20, 250)), judge.by_reference)
    try:
        for _ in range(steps):
            kind = rng.random()
            if kind < 0.35:
                session.edit(rng.choice(edits.NAME_EDITS), rng)
            elif kind < 0.6:
                session.edit(rng.choice(edits.ADDRESS_EDITS), rng)
            elif kind < 0.7:
                session.edit(rng.choice(edits.RARE_EDITS), rng)
            elif kind < 0.75:
                session.harm(rng, rng.choice(damage.DAMAGES))
            else:
                rng.choice((*SWITCHES, *EVENTS, Session.undo))(session, rng)
    finally:
        session.close()
    return session.paths


def test_every_path_is_taken_by_random_sequences() -> None:
    taken: Counter[Path] = Counter()
    for seed in range(10):
        taken += _walk(seed, 60)
    assert [path for path in Path if not taken[path]] == []
