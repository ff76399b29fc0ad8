# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon does not answer is counted, for whoever reads it; and counting never disturbs a build."""

import os
import stat
import threading
from pathlib import Path

import pytest

from kallsymsd.protocol import notes
from tests.client.conftest import MAP, Kallsyms

ARGUMENTS = ("--dialect=v6.11", "--all-symbols", "in.map")


@pytest.fixture
def place(kallsyms: Kallsyms) -> Path:
    """The program's cache directory, which is not there yet."""
    return Path(kallsyms.environment["XDG_CACHE_HOME"]) / "kallsymsd"


def reasons(place: Path) -> list[str]:
    return [each.reason for each in notes.fallbacks(notes.read(bytes(place)))]


def test_a_run_without_a_daemon_is_counted(kallsyms: Kallsyms, place: Path) -> None:
    for _ in range(3):
        assert kallsyms(*ARGUMENTS).err == b""
    first, *_ = records = notes.fallbacks(notes.read(bytes(place)))
    assert [each.reason for each in records] == ["absent"] * 3
    here = kallsyms.here.stat()
    assert (first.waited, first.tree) == (0.0, (here.st_dev, here.st_ino))
    assert stat.S_IMODE((place / "fallbacks").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert list(place.iterdir()) == [place / "fallbacks"]


def test_what_was_asked_for_is_not_counted(kallsyms: Kallsyms, place: Path) -> None:
    kallsyms.environment["KALLSYMSD"] = "off"
    assert kallsyms(*ARGUMENTS).status == 0
    kallsyms.environment["KALLSYMSD"] = "require"
    assert kallsyms(*ARGUMENTS).status == 1
    assert not place.exists()


def test_a_map_from_a_pipe_is_counted_as_such(kallsyms: Kallsyms, place: Path) -> None:
    assert kallsyms("--dialect=v6.11", "--all-symbols", "/dev/stdin", stdin=MAP).status == 0
    assert reasons(place) == ["input"]


def test_home_is_used_where_the_environment_names_no_cache(kallsyms: Kallsyms, tmp_path: Path) -> None:
    kallsyms.environment |= {"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path)}
    assert kallsyms(*ARGUMENTS).status == 0
    assert reasons(tmp_path / ".cache" / "kallsymsd") == ["absent"]
    kallsyms.environment["HOME"] = str(tmp_path / "nonexistent")
    assert kallsyms(*ARGUMENTS).status == 0
    assert not (tmp_path / "nonexistent").exists()
    del kallsyms.environment["HOME"]
    assert kallsyms(*ARGUMENTS).status == 0


@pytest.mark.parametrize("what", ["open to others", "a link", "a file", "with a pipe", "with a link"])
def test_a_place_that_is_not_as_it_should_be_is_left_alone(
    kallsyms: Kallsyms, place: Path, tmp_path: Path, what: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    place.parent.mkdir()
    if what == "a link":
        place.symlink_to(elsewhere)
    elif what == "a file":
        place.touch()
    else:
        place.mkdir(mode=0o700)
    if what == "open to others":
        place.chmod(0o770)
    elif what == "with a pipe":
        os.mkfifo(place / "fallbacks")
    elif what == "with a link":
        (place / "fallbacks").symlink_to(elsewhere / "target")
    run = kallsyms(*ARGUMENTS)
    assert (run.status, run.err) == (0, b"")
    assert list(elsewhere.iterdir()) == []
    assert notes.fallbacks(notes.read(bytes(place))) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's directory")
def test_nothing_is_made_in_a_directory_of_somebody_else(kallsyms: Kallsyms, place: Path) -> None:
    place.parent.mkdir()
    os.chown(place.parent, 12345, 12345)
    assert kallsyms(*ARGUMENTS).status == 0
    assert not place.exists()


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    for _ in range(notes.MAX_SIZE // notes.SIZE + 10):
        notes.count(bytes(tmp_path), "silent", 0.4)
    assert (tmp_path / "fallbacks").stat().st_size == notes.MAX_SIZE
    records = notes.fallbacks(notes.take(bytes(tmp_path)))
    assert len(records) == notes.MAX_SIZE // notes.SIZE
    assert {(each.reason, each.waited) for each in records} == {("silent", 0.4)}


def test_what_is_taken_is_gone_and_counting_goes_on(tmp_path: Path) -> None:
    place = bytes(tmp_path)
    assert notes.fallbacks(notes.take(place)) == []
    for reason in notes.REASONS:
        notes.count(place, reason, 0.0)
    assert [each.reason for each in notes.fallbacks(notes.read(place))] == list(notes.REASONS)
    assert [each.reason for each in notes.fallbacks(notes.take(place))] == list(notes.REASONS)
    assert notes.fallbacks(notes.take(place)) == notes.fallbacks(notes.read(place)) == []
    notes.count(place, "full", 0.1)
    assert [each.reason for each in notes.fallbacks(notes.take(place))] == ["full"]
    assert list(tmp_path.iterdir()) == []


def test_many_clients_lose_nothing_of_each_others(tmp_path: Path) -> None:
    def work() -> None:
        for _ in range(50):
            notes.count(bytes(tmp_path), "absent", 0.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes.fallbacks(notes.read(bytes(tmp_path)))) == 400


def test_what_is_no_record_is_passed_over() -> None:
    one = notes.Fallback("closed", 0.25, 1_700_000_000, (5, 1 << 63)).encode()
    assert len(one) == notes.SIZE
    for damaged in (one[:20] + one, b"x" + one + b"KSF1", one[:4] + b"\xff" + one[5:] + one):
        (found,) = notes.fallbacks(notes.decode(damaged))
        assert (found.reason, found.waited, found.time) == ("closed", 0.25, 1_700_000_000)
        assert found.tree == (5, 1 << 63)
    assert notes.fallbacks(notes.decode(b"KSF1" * 100)) == []


def test_links_are_noted_beside_fallbacks(tmp_path: Path) -> None:
    place = bytes(tmp_path)
    notes.count(place, "absent", 0.0)
    for number, how in enumerate(notes.LINKED):
        notes.count_link(place, how, number % 4, 0.25 * number)
    notes.count(place, "closed", 0.5)
    first, *links, last = notes.read(place)
    assert isinstance(first, notes.Fallback)
    assert isinstance(last, notes.Fallback)
    assert (first.reason, last.reason, last.waited) == ("absent", "closed", 0.5)
    told = [(each.how, each.links, each.saved) for each in links if isinstance(each, notes.Linked)]
    assert told == [(how, number % 4, 0.25 * number) for number, how in enumerate(notes.LINKED)]
    assert notes.decode(notes.Linked("right", 4, 0.0, 0, (0, 0)).encode()) == []  # no script has so many
