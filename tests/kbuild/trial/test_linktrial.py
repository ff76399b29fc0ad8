# SPDX-License-Identifier: GPL-2.0-only
"""What is made of one link that was tried beside the script's own."""

from pathlib import Path

import pytest

from kallsymsd.kbuild.outcome import Outcome
from kallsymsd.kbuild.trial import linktrial, verdicts

_NAME = "0123"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The kernel that was linked once, and the script's, with equal maps; all verdicts are ours."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("linked", "vmlinux"):
        Path(name).write_bytes(b"kernel" * 1000)
    for name in (linktrial.MAP, "System.map"):
        Path(name).write_bytes(b"0000000000001000 T _text\n")
    return Path("linked"), Path("vmlinux")


def _verdict() -> verdicts.Verdict:
    place = verdicts.place({b"HOME": bytes(Path("home").absolute())})
    found = verdicts.find(place, _NAME)
    assert found is not None
    return found


def test_the_same(files: tuple[Path, Path]) -> None:
    assert linktrial.decide(_NAME, *files, is_linked=True, outcome=Outcome())
    assert (_verdict().result, _verdict().reason) == ("same", "")


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("linked", b"kernel" * 999 + b"colone", "vmlinux differs from byte 5994 on"),
        ("linked", b"kernel" * 1001, "vmlinux differs from byte 6000 on"),
        (linktrial.MAP, b"0000000000001000 t _text\n", "System.map differs from byte 17 on"),
        (linktrial.MAP, b"", "System.map differs from byte 0 on"),
    ],
)
def test_another(files: tuple[Path, Path], name: str, contents: bytes, reason: str) -> None:
    Path(name).write_bytes(contents)
    outcome = Outcome()
    assert not linktrial.decide(_NAME, *files, is_linked=True, outcome=outcome)
    assert (_verdict().result, _verdict().reason) == ("different", reason)
    assert outcome.reason.endswith(reason)


def test_one_that_could_not_be_linked_is_tried_three_times(files: tuple[Path, Path]) -> None:
    for result in ("begun", "begun", "different"):
        assert not linktrial.decide(_NAME, *files, is_linked=False, outcome=Outcome(reason="ld failed"))
        assert (_verdict().result, _verdict().reason) == (result, "ld failed")
