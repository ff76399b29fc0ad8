# SPDX-License-Identifier: GPL-2.0-only
"""Whether a tree's scripts/kallsyms is one of ours: by its text, and by what it makes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kallsymsd.kbuild.trial import tooltrial, verdicts
from kallsymsd.kbuild.trial.tool import Trust, UntrustedError, trust
from kallsymsd.kbuild.trial.verdicts import BEGUN, DIFFERENT, SAME, Verdict
from tests.kbuild.trial.conftest import Compile
from tests.oracles import Oracle

pytestmark = pytest.mark.oracle

Source = Callable[..., bytes]
User = dict[bytes, bytes]

_WRAPPER = """\
#!/bin/bash
echo ran >>"$0.log"
tool={tool}
for map; do :; done
{change}
"""
_RUN = 'exec "$tool" "$@"'


def wrapped(oracle: Oracle, directory: Path, change: str = _RUN) -> Path:
    """A tool that notes its runs, and does ``change`` with the kernel's own, $tool, and $map."""
    path = directory / "wrapper"
    path.write_text(_WRAPPER.format(tool=oracle.tool.absolute(), change=change))
    path.chmod(0o755)
    return path


def runs(tool: Path) -> int:
    """How often it has run; that is forgotten then."""
    log = Path(f"{tool}.log")
    count = len(log.read_text().splitlines()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def only(user: User) -> Verdict:
    """The one verdict there is."""
    (verdict,) = verdicts.everything(verdicts.place(user))
    return verdict


def ask(text: bytes, tool: Path, user: User) -> Trust:
    return trust(text, os.fsencode(tool), user)


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
def test_a_known_text_and_its_tool(
    source: Source, oracle: Oracle, tmp_path: Path, user: User, dialect: str
) -> None:
    tool = wrapped(oracle, tmp_path)
    if oracle.dialect == dialect:
        for expected in (True, False):  # tried once
            assert (ask(source(dialect), tool, user).dialect, ask(source(dialect), tool, user).trial) == (
                dialect,
                "",
            )
            assert bool(runs(tool)) == expected
        assert only(user).result == SAME
    else:
        with pytest.raises(
            UntrustedError, match=f"its text is that of {dialect}, but its output differs for no options"
        ):
            ask(source(dialect), tool, user)
        assert only(user).result == DIFFERENT


def test_an_unknown_text_is_tried(oracle: Oracle, tmp_path: Path, user: User) -> None:
    tool = wrapped(oracle, tmp_path)
    found = ask(b"a vendor's", tool, user)
    assert found.dialect == oracle.dialect
    assert found.trial
    assert only(user).result == BEGUN
    assert runs(tool) > 20
    assert ask(b"a vendor's", tool, user).trial == found.trial
    assert runs(tool) == 0
    # Another text, or another program, is another tool.
    assert ask(b"another vendor's", tool, user).trial != found.trial
    tool.write_text(tool.read_text() + "# changed\n")
    assert ask(b"a vendor's", tool, user).trial != found.trial


@pytest.mark.parametrize(
    "change",
    {
        "a label": '"$tool" "$@" | sed s/kallsyms_markers/kallsyms_marks/',
        "an option that is always there": 'exec "$tool" --all-symbols "$@"',
        "a message": 'echo >&2 hello; exec "$tool" "$@"',
        "an empty map": '[ -s "$map" ] && exec "$tool" "$@"',
        "fewer symbols": 'grep -v cold "$map" >"$0.map"; exec "$tool" "${@:1:$#-1}" "$0.map"',
        "longer names": '"$tool" "$@" 2>/dev/null',
        "shorter names": 'grep -Ev " [^ ]{256}" "$map" >"$0.map"; "$tool" "${@:1:$#-1}" "$0.map"',
        "bad lines": 'grep -aE "^[0-9a-f]+ . [^ ]*$" "$map" >"$0.map"; exec "$tool" "${@:1:$#-1}" "$0.map"',
        "another order": '"$tool" "$@" | sed "/_weak/{h;d};/_lock/{G}"',
        "nothing": "exit 0",
        "failure": "exit 1",
        "death": "kill -9 $$",
    }.items(),
    ids=lambda change: change[0],
)
def test_a_tool_that_differs_is_not_trusted(
    source: Source, oracle_6_12: Oracle, tmp_path: Path, user: User, change: tuple[str, str]
) -> None:
    tool = wrapped(oracle_6_12, tmp_path, change[1])
    for text in (source("v6.11"), b"unknown"):
        for expected in (True, False):
            with pytest.raises(UntrustedError, match="its text is "):
                ask(text, tool, user)
            assert bool(runs(tool)) == expected


def test_an_option_without_effect(source: Source, oracle_6_12: Oracle, tmp_path: Path, user: User) -> None:
    """It is left to the tool: of the dialect that lacks it, all is the same."""
    tool = wrapped(oracle_6_12, tmp_path, 'exec "$tool" "${@/--absolute-percpu/--all-symbols}"')
    assert ask(b"unknown", tool, user).dialect == "v6.15"
    with pytest.raises(UntrustedError, match="its output differs for --absolute-percpu"):
        ask(source("v6.11"), tool, user)


@pytest.mark.parametrize(
    ("old", "new", "dialect"),
    [
        (b"(i & 0xFF) == 0", b"(i & 0x7F) == 0", ""),
        (b"KSYM_NAME_LEN\t\t512", b"KSYM_NAME_LEN\t\t1024", "v6.11+KSYM_NAME_LEN=1024"),
        (b"KSYM_NAME_LEN\t\t512", b"KSYM_NAME_LEN\t\t256", "v6.11+KSYM_NAME_LEN=256"),
        (b"len >= KSYM_NAME_LEN", b"len > KSYM_NAME_LEN", ""),
        (b'"absolute-percpu"', b'"absolute-per-cpu"', "v6.15"),  # the option is the tool's own then
        (b'{"all-symbols"', b'{"uncompressed", no_argument, NULL, 2}, {"all-symbols"', "v6.11"),
    ],
)
def test_a_tool_of_a_changed_text(
    source: Source, compiled: Compile, user: User, old: bytes, new: bytes, dialect: str
) -> None:
    text = source("v6.11").replace(old, new)
    assert text != source("v6.11")
    tool = compiled(text)
    assert tool is not None
    if dialect:
        assert ask(text, tool, user).dialect == dialect
    else:
        with pytest.raises(UntrustedError):
            ask(text, tool, user)


def test_a_tool_that_does_not_end(
    oracle_6_12: Oracle, tmp_path: Path, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tooltrial, "_PATIENCE", 0.1)
    with pytest.raises(UntrustedError):
        ask(b"unknown", wrapped(oracle_6_12, tmp_path, "exec sleep 60"), user)


@pytest.mark.parametrize("home", [b"", b"relative", b"/dev/null", b"/proc/1"])
def test_where_no_verdict_can_be_kept_only_a_known_text_is_believed(
    source: Source, oracle_6_12: Oracle, tmp_path: Path, home: bytes
) -> None:
    tool = wrapped(oracle_6_12, tmp_path)
    assert ask(source("v6.11"), tool, {b"HOME": home}).dialect == "v6.11"
    with pytest.raises(
        UntrustedError, match="its text is not recognized, and the verdict of a trial cannot be saved"
    ):
        ask(b"unknown", tool, {b"HOME": home})
    assert runs(tool) == 0


def test_a_verdict_that_cannot_be_kept_is_none(
    source: Source, oracle_6_12: Oracle, tmp_path: Path, user: User
) -> None:
    tool, directory = wrapped(oracle_6_12, tmp_path), Path(os.fsdecode(verdicts.place(user)))
    for text in (source("v6.11"), b"unknown"):
        key = verdicts.key(verdicts.TOOL, text, tool.read_bytes())
        (directory / key / "in the way").mkdir(parents=True)
    assert ask(source("v6.11"), tool, user).dialect == "v6.11"
    with pytest.raises(
        UntrustedError, match="its text is not recognized, and the verdict of a trial cannot be saved"
    ):
        ask(b"unknown", tool, user)
    assert sorted(each.is_dir() for each in directory.iterdir()) == [True, True]


def test_no_tool(source: Source, tmp_path: Path, user: User) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UntrustedError, match=str(path)):
            ask(source("v6.11"), path, user)
    (tmp_path / "text").write_text("")
    with pytest.raises(UntrustedError, match="is not executable"):
        ask(source("v6.11"), tmp_path / "text", user)


def test_a_verdict_is_of_this_version(
    source: Source, oracle_6_12: Oracle, tmp_path: Path, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = wrapped(oracle_6_12, tmp_path)
    ask(source("v6.11"), tool, user)
    assert runs(tool)
    monkeypatch.setattr(verdicts, "__version__", "0.0.0")
    ask(source("v6.11"), tool, user)
    assert runs(tool)


@pytest.mark.parametrize("damage", [b"", b"kind: tool\n", b"\xff" * 100, b"kind: tool\nresult: perhaps\n"])
def test_a_damaged_verdict_is_none(
    source: Source, oracle_6_12: Oracle, tmp_path: Path, user: User, damage: bytes
) -> None:
    tool = wrapped(oracle_6_12, tmp_path)
    ask(source("v6.11"), tool, user)
    runs(tool)
    (path,) = Path(os.fsdecode(verdicts.place(user))).iterdir()
    for other in (damage, path.read_bytes()[:-1]):
        path.write_bytes(other)
        assert ask(source("v6.11"), tool, user).dialect == "v6.11"
        assert runs(tool)
    path.unlink()
    os.mkfifo(path)
    assert ask(source("v6.11"), tool, user).dialect == "v6.11"


def test_verdicts_are_not_kept_for_ever(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "_MOST", 10)
    place = verdicts.place(user)
    for number in range(25):
        assert verdicts.keep(place, f"{number:032x}", Verdict(verdicts.MAP, SAME, when=number))
    kept = [verdict.time for verdict in verdicts.everything(place)]
    assert 5 <= len(kept) <= 10
    assert kept[-1] == 24
