# SPDX-License-Identifier: GPL-2.0-only
"""What nm will make of a linked kernel is computed when the linker is done, and found ready, or not used."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.elf.elffile import ElfFile
from kallsymsd.protocol.wire import COLD, ELF, HIT, How
from kallsymsd.service.ahead.buildfiles import Kind, kind_of, map_of
from kallsymsd.service.ahead.predictedmaps import PredictedMaps
from kallsymsd.service.ticket import Outcome
from tests import elfs
from tests.elfs import Image, Symbol
from tests.service.ahead.test_precompute import FakeAnswer, build, counted, idle, status, watched
from tests.service.peer import Daemon, FakeCore
from tests.service.test_server import wait_for


def kernel(*names: bytes) -> bytes:
    """A linked kernel with these symbols."""
    return Image(
        symbols=[Symbol(name, 16 * (at + 1), 1, elfs.GLOBAL) for at, name in enumerate(names)]
    ).encode()


def listed(*names: bytes) -> bytes:
    """Its map."""
    return b"".join(b"%016x T %b\n" % (16 * (at + 1), name) for at, name in enumerate(names))


@pytest.fixture
def linked(tmp_path: Path, daemon: Daemon) -> Path:
    """A linked kernel whose map was asked about, in a tree that is watched by now."""
    path = tmp_path / "tree" / ".tmp_vmlinux1"
    path.parent.mkdir()
    path.write_bytes(kernel(b"_text"))
    in_map = path.with_name(".tmp_vmlinux1.syms")
    in_map.write_bytes(listed(b"_text"))
    build(daemon, in_map)
    wait_for(lambda: [each["watched"] for each in watched(daemon)] == [True])
    return path


@pytest.mark.parametrize(
    ("linked", "in_map"),
    [
        (".tmp_vmlinux1", ".tmp_vmlinux1.syms"),
        (".tmp_vmlinux.kallsyms2", ".tmp_vmlinux.kallsyms2.syms"),
        ("vmlinux", "System.map"),
    ],
)
def test_each_linked_kernel_has_its_map(linked: str, in_map: str) -> None:
    assert kind_of(linked) is Kind.LINKED
    assert map_of(linked) == in_map
    assert kind_of(in_map) is Kind.MAP


def test_the_map_of_a_kernel_that_was_linked_is_ready(daemon: Daemon, linked: Path, core: FakeCore) -> None:
    linked.write_bytes(kernel(b"_text", b"more"))
    wait_for(lambda: counted(daemon, "ahead") == 1)
    assert core.calls == 2
    in_map = linked.with_name(".tmp_vmlinux1.syms")
    in_map.write_bytes(listed(b"_text", b"more"))
    reply, content = build(daemon, in_map)
    assert (reply.how.made, reply.precomputed) == (COLD, True)
    assert content == listed(b"_text", b"more")[::-1]
    wait_for(lambda: idle(daemon) and not status(daemon)["busy"])
    assert core.calls == 2
    assert build(daemon, in_map)[0].how.made == HIT
    assert (counted(daemon, "ahead_used"), counted(daemon, "ahead_wasted")) == (1, 0)


def test_a_kernel_that_is_renamed_into_place_is_predicted(daemon: Daemon, linked: Path) -> None:
    new = linked.with_name("new")
    new.write_bytes(kernel(b"_text", b"more"))
    new.replace(linked)
    wait_for(lambda: counted(daemon, "ahead") == 1)


def test_a_prediction_that_is_wrong_is_not_used(daemon: Daemon, linked: Path) -> None:
    linked.write_bytes(kernel(b"_text", b"predicted"))
    wait_for(lambda: counted(daemon, "ahead") == 1)
    in_map = linked.with_name(".tmp_vmlinux1.syms")
    in_map.write_bytes(listed(b"_text", b"PREDICTED"))
    _, content = build(daemon, in_map)
    assert content == listed(b"_text", b"PREDICTED")[::-1]
    # Whichever comes first, the request or the event that tells of the map.
    wait_for(lambda: counted(daemon, "ahead_wasted") == 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", b"no ELF file at all", kernel(b"_text")[:-100], kernel(b"_text")[:200] + bytes(600)],
)
def test_what_is_no_linked_kernel_yet_is_left_alone(
    daemon: Daemon, linked: Path, core: FakeCore, content: bytes
) -> None:
    linked.write_bytes(content)
    linked.write_bytes(kernel(b"_text", b"whole"))
    wait_for(lambda: counted(daemon, "ahead") == 1)
    wait_for(lambda: idle(daemon) and not status(daemon)["busy"])
    assert core.calls == 2
    assert counted(daemon, "ahead_wasted") == 0


def test_a_kernel_cut_short_while_it_is_read_harms_nobody(daemon: Daemon, linked: Path) -> None:
    whole = kernel(*(b"symbol_%d" % number for number in range(5000)))
    for _ in range(10):
        linked.write_bytes(whole)
        os.truncate(linked, 1000)
    wait_for(lambda: idle(daemon) and not status(daemon)["busy"])
    assert build(daemon, linked.with_name(".tmp_vmlinux1.syms"))[0].how.made == HIT


def test_where_clients_ask_about_the_kernel_itself_its_answer_is_ready(
    daemon: Daemon, linked: Path, core: FakeCore
) -> None:
    asked = {"source": ELF, "dialect": "v7.4", "options": 1}
    reply, content = build(daemon, linked, **asked)
    assert (reply.how.made, content) == (COLD, listed(b"_text")[::-1])
    linked.with_name(".tmp_vmlinux1.syms").unlink()
    before = counted(daemon, "ahead")
    linked.write_bytes(kernel(b"_text", b"more"))
    wait_for(lambda: counted(daemon, "ahead") == before + 1)
    calls = core.calls
    reply, content = build(daemon, linked, **asked)
    assert (reply.precomputed, content) == (True, listed(b"_text", b"more")[::-1])
    assert core.calls == calls


def test_a_bad_kernel_is_told_of_to_its_client(daemon: Daemon, linked: Path) -> None:
    linked.write_bytes(b"no kernel")
    reply, content = build(daemon, linked, source=ELF, dialect="v7.4", options=1)
    assert (reply.status, content) == (1, b"")
    assert reply.message.startswith(b"not an ELF file (%b: " % os.fsencode(linked))


def test_both_nms_are_tried_in_turns_and_then_none() -> None:
    maps = PredictedMaps()
    wrong = Outcome(FakeAnswer(), How(COLD))  # type: ignore[arg-type]  # a stand-in
    right = Outcome(FakeAnswer(), How(HIT))  # type: ignore[arg-type]  # a stand-in
    tried = []
    for outcome in (wrong, right, *[wrong] * 5):
        nm = maps.nm("a.syms")
        tried.append(nm)
        if nm is not None:
            maps.predicted("a.syms")
            maps.compare("a.syms", outcome)
            maps.compare("a.syms", wrong)  # the same map once more says nothing
    assert tried == [0, 1, 0, 1, 0, 1, None]
    assert maps.nm("b.syms") == 0
    maps.forget("a.syms")
    assert maps.nm("a.syms") == 0


@pytest.mark.parametrize("linker", ["ld.bfd", "ld.lld"])
def test_linkers_raise_the_events_that_are_waited_for(
    daemon: Daemon, linked: Path, linker: str, unavailable: Callable[[str], NoReturn]
) -> None:
    for program in (linker, "gcc", "nm"):
        if not shutil.which(program):
            unavailable(f"no {program} (Debian: apt install gcc lld)")
    tree = linked.parent
    (tree / "a.c").write_text("int _text(void) { return 0; }\nint another(void) { return 1; }\n")
    subprocess.run(["gcc", "-c", "-fno-asynchronous-unwind-tables", "a.c"], cwd=tree, check=True)
    command = [linker, "-e", "_text", "-o", linked.name, "a.o"]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    assert ElfFile.read(linked.read_bytes()).type in ("ET_EXEC", "ET_DYN")
    wait_for(lambda: counted(daemon, "ahead") == 1)
    made = subprocess.run(
        ["nm", "-n", linked.name], cwd=tree, check=True, capture_output=True, env={"LC_ALL": "C"} | os.environ
    )
    in_map = tree / ".tmp_vmlinux1.syms"
    in_map.write_bytes(made.stdout)
    assert build(daemon, in_map)[0].precomputed
