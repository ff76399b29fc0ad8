# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl explain: the last requests, and what differs between two passes of a link."""

import gc
import os
import re
from pathlib import Path

import pytest

from kallsymsd.ctl import main, passes
from kallsymsd.ctl.command import CommandError
from kallsymsd.ctl.commands import explain as explained
from kallsymsd.engine.answer import Answer
from kallsymsd.engine.engine import Engine
from kallsymsd.engine.result import BuildResult
from kallsymsd.kbuild.outcome import Outcome as Link
from kallsymsd.protocol import notes
from kallsymsd.protocol.notes import Fallback
from kallsymsd.protocol.wire import STAGES, How
from kallsymsd.service.ticket import Outcome, Ticket
from tests.service.peer import Daemon, request, serving

OLD = "1000 T a\n1010 t b\n1020 t b\n2000 D c\n"
# One "b" less, "c" moved, "d" is new.
NEW = "1000 T a\n1010 t b\n1ff0 D c\n3000 B d\n"


def explain(*arguments: object) -> int:
    return main.main(["explain", *map(str, arguments)])


def build(daemon: Daemon, path: Path, tree: Path) -> None:
    with daemon.peer() as peer:
        peer.build(path, tree=os.fsencode(tree))
        peer.reply()


def linked(**values: object) -> Link:
    """The outcome of a link with these attributes."""
    made = Link()
    vars(made).update(values)
    return made


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (
            linked(links=1, predicted=True, removed=2, added=3),
            "one link, predicted with 2 symbols removed and 3 added",
        ),
        (linked(links=2, reason="nothing is known"), "2 links, no prediction: nothing is known"),
        (linked(links=2, predicted=True, reason="so large"), "2 links, wrong prediction: so large"),
        (Link(reason="KALLSYMSD=off"), "fell back to the kernel's own links: KALLSYMSD=off"),
        (
            linked(links=1, predicted=True, begun=2.5),
            "fell back to the kernel's own links: interrupted",
        ),
    ],
)
def test_how_vmlinux_was_linked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Link,
    told: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("KALLSYMSD_SOCKET", str(tmp_path / "s"))
    monkeypatch.chdir(tmp_path)
    outcome.save()
    for tree in ((), (tmp_path,)):
        assert explain(*tree) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        assert lines[0].endswith(f"  vmlinux: {told}")


# Requests.


def test_requests_are_told_with_what_made_them_and_why(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.syms"
    path.write_text(OLD)
    for _ in range(2):
        build(daemon, path, tmp_path)
    assert explain(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert "m.syms: cold run, 36 symbols" in heads[0]
    assert "m.syms: hit" in heads[1]
    assert "    nothing was known of this tree with these options" in lines
    assert any(line.startswith("    read ") for line in lines)


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({20: "t new_name", 60: "t later"}, ["first removed: T name_20", "first added: t new_name"]),
        ({20: "T name_20\n00000001000001c0 d more"}, ["first added: d more"]),
        ({20: "T name_20", 30: None, 40: None}, ["first removed: T name_30"]),
    ],
)
def test_the_first_symbols_that_differ_are_named_without_the_maps(
    socket_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edits: dict[int, str | None],
    told: list[str],
) -> None:
    names: dict[int, str | None] = {number: f"T name_{number}" for number in range(200)}
    path = tmp_path / "m.syms"
    with serving(socket_path, lambda: Engine(None)) as daemon:
        for each in (names, {**names, **edits}):
            lines = [f"{0x1000000 + 16 * number:016x} {name}\n" for number, name in each.items() if name]
            path.write_text("".join(lines))
            build(daemon, path, tmp_path)
        engine = daemon.server.builds.engine
        assert engine is not None
        engine.forget(None)
        gc.collect()
        assert explain(tmp_path) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in out if line.startswith("    first")] == told


def test_bad_input_is_told_in_lines_that_fit(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / ("m" * 55 + ".syms")
    for name in (long, tmp_path / "m.syms"):
        name.write_text("bad")
        build(daemon, name, tmp_path)
    message = "relative symbol value 0xffffffff81000000 out of range in relative mode " * 2
    answer = Answer.of(BuildResult.bad_input(message.encode()))
    ticket = Ticket(request(tmp_path / "m.syms", tree=os.fsencode(tmp_path)), -1, 0.0)
    daemon.server.builds.history.add(ticket, Outcome(answer, How()))
    assert explain(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("m.syms: bad input, the map is not valid" in line for line in lines) == 2
    assert lines[0].endswith("m.syms:")
    assert lines[1] == "    bad input, the map is not valid"
    assert "    No valid symbol." in lines
    assert max(len(line) for line in lines) < 80


def test_another_trees_requests_are_not_told(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "m").write_text(OLD)
    build(daemon, tmp_path / "m", tmp_path)
    assert explain(tmp_path / "tree") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no requests from" in captured.err


def test_requests_that_the_daemon_did_not_answer_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "kallsymsd"
    cache.mkdir(mode=0o700, parents=True)
    monkeypatch.chdir(tmp_path)
    notes.count(os.fsencode(cache), "silent", 0.4)
    assert explain() == 0
    assert explain(tmp_path) == 0
    assert capsys.readouterr().out.count("fallback, the client computed") == 2
    assert explain(tmp_path / "cache") == 1
    assert "no requests from" in capsys.readouterr().err


def test_so_are_those_that_the_daemon_has_counted_by_now(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = tmp_path.stat()
    daemon.server.builds.history.fall_back([Fallback("full", 0.1, 5, (status.st_dev, status.st_ino))])
    assert explain() == 0
    assert explain(tmp_path) == 0
    assert capsys.readouterr().out.count("did not accept the connection in time") == 2
    (tmp_path / "other").mkdir()
    assert explain(tmp_path / "other") == 1


# Passes.


def test_a_difference_names_what_is_added_removed_and_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1").write_text(OLD)
    (tmp_path / "2").write_text(NEW)
    assert explain("--maps", tmp_path / "1", tmp_path / "2") == 1
    out = capsys.readouterr().out
    assert "  1 added:\n    3000 B d\n" in out
    assert "  1 removed:\n    1020 t b\n" in out
    assert "  1 moved:\n    2000 -> 1ff0 (-0x10) D c\n" in out
    assert "KALLSYMS_EXTRA_PASS=1" in out


def test_of_a_long_difference_the_begin_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1").write_text("")
    (tmp_path / "2").write_text("".join(f"{1000 + i:x} T f{i}\n" for i in range(2000)))
    explain("--maps", tmp_path / "1", tmp_path / "2")
    out = capsys.readouterr().out
    assert "  2,000 added:\n" in out
    assert "    ... and 1,990 more\n" in out
    assert "f10" not in out


@pytest.mark.parametrize("number", ["", ".kallsyms"])
def test_the_last_pass_in_a_tree_is_compared_with_the_finished_kernel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    link(tmp_path, NEW)
    for index, text in ((1, OLD), (2, NEW)):
        path = tmp_path / f".tmp_vmlinux{number}{index}.syms"
        path.write_text(text)
        os.utime(path, (index, index))
    assert explain(tmp_path) == 0
    assert f"{index}.syms" in (out := capsys.readouterr().out)
    assert "are equal" in out
    os.utime(tmp_path / f".tmp_vmlinux{number}1.syms", (9, 9))
    assert explain(tmp_path) == 1
    assert "Inconsistent kallsyms data" in capsys.readouterr().out


def test_files_of_other_names_are_no_passes(tmp_path: Path) -> None:
    (tmp_path / "System.map").write_text(OLD)
    for name in (".tmp_vmlinux.syms", ".tmp_vmlinux1.symbols", "tmp_vmlinux1.syms", ".tmp_vmlinux1.syms.d"):
        (tmp_path / name).write_text(NEW)
    assert passes.find(tmp_path) is None
    (tmp_path / ".tmp_vmlinux1.syms").write_text(NEW)
    found = passes.find(tmp_path)
    assert found is not None
    assert (found.last, found.final) == (tmp_path / ".tmp_vmlinux1.syms", tmp_path / "System.map")


# Links that did not come to their end.


def link(tree: Path, final: str, name: str = "vmlinux") -> None:
    """A finished kernel."""
    (tree / name).touch()
    (tree / "System.map").write_text(final)


def leave(tree: Path, name: str, text: str, *, at: float) -> None:
    """A map of a pass, so many seconds after the kernel's."""
    path = tree / name
    path.write_text(text)
    moment = (tree / "System.map").stat().st_mtime + at if (tree / "System.map").exists() else 1.0
    os.utime(path, (moment, moment))


def remains(tree: Path, what: str) -> None:
    """What a link that has failed or was interrupted leaves behind."""
    if what != "no map":
        link(tree, NEW)
    match what:
        case "an older map":  # and vmlinux of the link before
            leave(tree, ".tmp_vmlinux1.syms", OLD, at=5)
        case "the map of pass 0 only is newer":
            leave(tree, ".tmp_vmlinux2.syms", OLD, at=-5)
            leave(tree, ".tmp_vmlinux0.syms", "", at=5)
        case "no vmlinux":  # make has removed it
            leave(tree, ".tmp_vmlinux.kallsyms2.syms", OLD, at=-5)
            (tree / "vmlinux").unlink()
        case "an older map and no vmlinux":
            leave(tree, ".tmp_vmlinux2.syms", OLD, at=5)
            (tree / "vmlinux").unlink()
        case "no map":
            leave(tree, ".tmp_vmlinux2.syms", OLD, at=0)
        case "a map cut short":
            leave(tree, ".tmp_vmlinux2.syms", NEW + "4000 T e\n", at=-5)
        case "an empty map":
            (tree / "System.map").write_text("")
            leave(tree, ".tmp_vmlinux2.syms", NEW, at=-5)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("an older map", "System.map is older than .tmp_vmlinux1.syms"),
        ("the map of pass 0 only is newer", "System.map is older than .tmp_vmlinux0.syms"),
        ("no vmlinux", "there is no vmlinux"),
        ("an older map and no vmlinux", "System.map is older than .tmp_vmlinux2.syms"),
        ("no map", "there is no System.map"),
        ("a map cut short", "System.map is truncated"),
        ("an empty map", "System.map is truncated"),
    ],
)
def test_of_a_link_that_did_not_end_no_table_is_called_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, told: str
) -> None:
    remains(tmp_path, what)
    assert explain(tmp_path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"link failed or was interrupted: {told}." in out
    assert "kallsymsctl explain --maps" in out
    for word in ("Inconsistent", "wrong", "differ", "added", "removed", "moved"):
        assert word not in out


@pytest.mark.parametrize("name", ["vmlinux", "vmlinux.unstripped"])
def test_of_one_that_did_end_the_difference_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    link(tmp_path, NEW, name)
    leave(tmp_path, ".tmp_vmlinux0.syms", "", at=-7)
    leave(tmp_path, ".tmp_vmlinux2.syms", OLD, at=-5)
    assert explain(tmp_path) == 1
    assert "do not fit the second" in capsys.readouterr().out


@pytest.mark.parametrize("name", [".tmp_vmlinux0.syms", ".tmp_vmlinux.kallsyms0.syms"])
def test_the_map_of_pass_0_is_compared_with_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    link(tmp_path, NEW)
    leave(tmp_path, name, "", at=-5)
    assert explain(tmp_path) == 1  # there is nothing to tell
    assert explain("--maps", tmp_path / name, tmp_path / "System.map") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is the empty map of pass 0" in captured.err


def test_a_request_about_an_empty_map_is_not_compared_with_the_last_one(
    socket_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.syms"
    with serving(socket_path, lambda: Engine(None)) as daemon:
        for text in (OLD, ""):
            path.write_text(text)
            build(daemon, path, tmp_path)
        assert explain(tmp_path) == 0
    out = capsys.readouterr().out
    assert "    the map is empty: a link begins with that, before there are symbols" in out
    assert "first in line" not in out


@pytest.mark.parametrize(
    ("content", "line"),
    [("no map\n", "1: not a line of a map: 'no map'"), ("\n", "1: "), ("1 T a\nx", "2: ")],
)
def test_what_is_no_map_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, line: str
) -> None:
    (tmp_path / "1").write_text(content)
    assert explain("--maps", tmp_path / "1", tmp_path / "1") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"kallsymsctl: {tmp_path / '1'}:{line}")
    assert len(error.splitlines()) == 1


def test_a_map_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        passes.read(tmp_path / "none")


def test_a_time_and_its_unit_stand_in_one_line() -> None:
    for microseconds in (1, 41, 410, 4100, 41000):
        stages = [microseconds] * len(STAGES)
        request = {"time": 0.0, "tree": "/t", "map": "/t/m", "made": "hit", "ready": False, "shared": False}
        rest = {"symbols": 1, "changed": 0, "kept": 0, "steps": 0, "why": "", "first": [], "difference": []}
        lines = explained._request_lines({**request, **rest, "stages": stages}, with_tree=True)
        assert len(lines) > 1
        for line in lines[1:]:
            assert re.fullmatch(r"    ([a-z]+ [0-9.]+ (us|ms|s),? ?)+", line), line
