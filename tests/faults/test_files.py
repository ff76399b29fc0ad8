# SPDX-License-Identifier: GPL-2.0-only
"""Files that are not what they seem, a cache that others hold: builds do not notice, nothing waits."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from tests.client.conftest import Kallsyms
from tests.faults.conftest import Build
from tests.odd import ODD, is_untouched, put

ENDLESS = "with recursive r(n) as (select 1 union all select n + 1 from r) select n"


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["counters.json", "counters.json.new", "fallbacks", "fallbacks.taken"])
def test_odd_files_in_the_cache(build: Build, tmp_path: Path, name: str, kind: str) -> None:
    build.cache.mkdir(mode=0o700, parents=True)
    put(kind, build.cache / name, tmp_path / "outside")
    process = build.start()
    for _ in range(2):
        build.judge(build.run())
    build.stop(process)
    assert is_untouched(tmp_path / "outside")


@pytest.mark.parametrize("kind", ODD)
def test_odd_values_in_the_cache(build: Build, tmp_path: Path, kind: str) -> None:
    build.stop(stored(build))
    for path in build.cache.glob("store/*/*/*.val"):
        put(kind, path, tmp_path / "outside")
    process = build.start()
    for _ in range(2):
        build.judge(build.run())
    build.stop(process)
    assert is_untouched(tmp_path / "outside")


def stored(build: Build) -> Popen[bytes]:
    """A daemon that has answered."""
    process = build.start()
    build.judge(build.run())
    return process


@pytest.fixture
def holder(build: Build) -> Iterator[sqlite3.Connection]:
    """Somebody else's connection to the cache's database."""
    build.stop(stored(build))
    connection = sqlite3.connect(build.cache / "store" / "cache.db", isolation_level=None, timeout=0)
    yield connection
    connection.close()


@pytest.mark.parametrize("how", ["begin exclusive", "begin immediate"])
def test_a_database_that_is_locked_from_start_to_stop(
    build: Build, holder: sqlite3.Connection, how: str
) -> None:
    holder.execute(how)
    process = build.start()
    for _ in range(3):
        build.judge(build.run())
    build.stop(process)  # which takes seconds, and the lock lasts
    holder.execute("rollback")
    build.stop(stored(build))


def test_a_database_that_is_locked_for_a_while(build: Build, holder: sqlite3.Connection) -> None:
    holder.execute("begin exclusive")
    process = build.start()
    build.judge(build.run())
    holder.execute("rollback")
    build.judge(build.run())
    build.stop(process)
    build.start()
    build.judge(build.run())


def test_somebody_who_locks_the_database_under_way(build: Build, holder: sqlite3.Connection) -> None:
    process = stored(build)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        holder.execute("begin exclusive")
    build.judge(build.run())
    build.stop(process)


@pytest.mark.parametrize(
    "script",
    [
        f"drop table Cache; create view Cache(filename) as {ENDLESS} from r",
        f"create trigger t after insert on Cache begin insert into Settings {ENDLESS}, n from r; end",
    ],
)
def test_a_hostile_database(build: Build, holder: sqlite3.Connection, script: str) -> None:
    holder.executescript(script)
    holder.close()
    process = build.start()
    for _ in range(2):
        build.judge(build.run())
    build.stop(process)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["source/scripts/kallsyms.c", "include/config/auto.conf", "vmlinux"])
def test_odd_files_in_a_tree(kallsyms: Kallsyms, tmp_path: Path, name: str, kind: str) -> None:
    put(kind, kallsyms.here / name, tmp_path / "outside")
    run = kallsyms("--all-symbols", "in.map")  # or TimeoutExpired
    assert run.status == 0
    assert b"kallsyms_names" in run.out
    run = kallsyms("--dialect=v6.11", "--all-symbols", "vmlinux", "in.map", "out.S", "out.bin")
    if name == "vmlinux":
        assert run.status == 1
        assert run.err.startswith(b"kallsyms: vmlinux: ")
    assert is_untouched(tmp_path / "outside")


def test_a_map_may_come_through_a_pipe(kallsyms: Kallsyms) -> None:
    whole = kallsyms("--dialect=v6.11", "--all-symbols", "in.map")
    piped = kallsyms(
        "--dialect=v6.11", "--all-symbols", "/dev/stdin", stdin=(kallsyms.here / "in.map").read_bytes()
    )
    assert (piped.status, piped.out) == (0, whole.out)
