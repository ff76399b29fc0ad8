# SPDX-License-Identifier: GPL-2.0-only
"""What a link leaves of itself for kallsymsctl explain, whole or damaged."""

import json
import math
from pathlib import Path

import pytest

from kallsymsd.kbuild.outcome import NAME, Outcome


def test_saved_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert vars(Outcome.load()) == {**vars(Outcome()), "when": pytest.approx(Outcome().when, abs=100)}
    saved = Outcome("why")
    vars(saved).update(links=2, predicted=True, removed=3, added=4, begun=1.5, seconds=2.5, when=7.0)
    saved.save()
    assert vars(Outcome.load(str(tmp_path))) == vars(saved)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "null", "{", "[" * 60000, '"' + "x" * 100000 + '"', "\xff", '{"other": 1, "save": 2}'],
    ids=lambda text: text[:9],
)
def test_no_outcome(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text, encoding="latin-1")
    assert Outcome.load(str(tmp_path)).describe() == ""


@pytest.mark.parametrize("value", [-1, 1 << 50, 1.5, "1", True, None, [1], math.inf, math.nan])
def test_a_value_that_makes_no_sense(tmp_path: Path, value: object) -> None:
    (tmp_path / NAME).write_text(json.dumps({"links": value, "when": value, "added": 5}))
    loaded = Outcome.load(str(tmp_path))
    assert (loaded.links, loaded.added) == (0, 5)
    assert loaded.when == 1.5 if value == 1.5 else loaded.when > 1e9
