# SPDX-License-Identifier: GPL-2.0-only
"""Socket and cache lie where the XDG rules say, and where the client looks."""

import os
import pwd
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from kallsymsd.protocol.paths import (
    BadPathError,
    cache_directory,
    check_socket_path,
    lock_path,
    notes_directory,
    socket_path,
)
from kallsymsd.protocol.users import own_uid, peer_uid

# A user that has no /run/user directory on any machine that runs these tests.
NOBODY_HERE = 3_999_999_999


def test_the_socket_named_by_the_environment_comes_first(tmp_path: Path) -> None:
    environment = {"KALLSYMSD_SOCKET": "/somewhere/s", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert socket_path(environment, NOBODY_HERE) == Path("/somewhere/s")


def test_the_runtime_directory_comes_next(tmp_path: Path) -> None:
    assert socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}, NOBODY_HERE) == tmp_path / "kallsymsd" / "s"


@pytest.mark.parametrize("runtime", ["", "relative", "/does/not/exist"])
def test_without_a_runtime_directory_it_is_a_private_one_below_tmp(runtime: str) -> None:
    expected = Path(f"/tmp/kallsymsd-{NOBODY_HERE}/s")  # noqa: S108  it is only named
    assert socket_path({"XDG_RUNTIME_DIR": runtime}, NOBODY_HERE) == expected
    assert socket_path({}, NOBODY_HERE) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that belongs to another")
def test_the_runtime_directory_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    path = socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}, NOBODY_HERE)
    os.chown(tmp_path, 0, 0)
    assert path.parent.parent == Path("/tmp")  # noqa: S108  it is only named


def test_a_path_of_107_bytes_is_the_longest() -> None:
    base = "/" + "d" * 50 + "/"
    check_socket_path(Path(base + "s" * (107 - len(base))))
    too_long = base + "s" * (108 - len(base))
    with pytest.raises(BadPathError, match=rf"{too_long}: 108 bytes.* at most 107"):
        check_socket_path(Path(too_long))
    with pytest.raises(BadPathError):
        socket_path({"KALLSYMSD_SOCKET": "/" + "ü" * 54}, NOBODY_HERE)


def test_a_relative_socket_is_refused() -> None:
    with pytest.raises(BadPathError, match="not absolute"):
        socket_path({"KALLSYMSD_SOCKET": "run/s"}, NOBODY_HERE)


def test_the_cache_is_in_the_cache_home() -> None:
    home = {"HOME": "/home/me"}
    assert cache_directory({"XDG_CACHE_HOME": "/cache"}) == Path("/cache/kallsymsd")
    assert cache_directory({**home, "XDG_CACHE_HOME": "relative"}) == Path("/home/me/.cache/kallsymsd")
    assert cache_directory({**home, "XDG_CACHE_HOME": ""}) == Path("/home/me/.cache/kallsymsd")
    assert cache_directory(home) == Path("/home/me/.cache/kallsymsd")


@pytest.mark.parametrize("home", [None, "", "relative", "./x"])
def test_where_home_is_no_absolute_path_the_passwd_database_is_asked(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    environment = {"HOME": home} if home is not None else {}
    entry = SimpleNamespace(pw_dir="/home/of/passwd")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    assert cache_directory(environment) == Path("/home/of/passwd/.cache/kallsymsd")
    entry.pw_dir = "nowhere"
    with pytest.raises(BadPathError, match=r"no home directory.*set HOME or XDG_CACHE_HOME"):
        cache_directory(environment)
    assert notes_directory(environment) is None


def test_the_lock_is_beside_the_socket() -> None:
    assert lock_path(Path("/run/x/s")) == Path("/run/x/s.lock")


def test_both_ends_of_a_pair_are_ours() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert peer_uid(left) == peer_uid(right) == own_uid()
