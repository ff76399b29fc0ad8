# SPDX-License-Identifier: GPL-2.0-only
"""Settings come from the file, the environment and the flags; what is wrong is said with its place."""

import argparse
import os
import pwd
import socket
from pathlib import Path
from typing import Any

import pytest

from kallsymsd.service.config import (
    CACHE_DIR,
    CACHE_LIMIT,
    IDLE_EXIT,
    MEMORY_LIMIT,
    TABLE,
    WATCH,
    Configuration,
    ConfigurationError,
    Setting,
    add_flags,
    file_path,
    load,
)
from tests.service.peer import PATIENCE, Peer
from tests.service.test_process import Program, program  # noqa: F401  a fixture

# A value of each setting that is not its default: as TOML, as text, and what it means.
OTHERS: dict[str, tuple[str, str, Any]] = {
    "cache-dir": ('"/elsewhere"', "/elsewhere", Path("/elsewhere")),
    "cache-limit": ("7", "7", 7),
    "memory-limit": ("8", "8", 8),
    "idle-exit": ("0", "0", 0),
    "watch": ("false", "no", False),
}


def flags(*arguments: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser)
    return vars(parser.parse_args(arguments))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config" / "kallsymsd").mkdir(parents=True)
    return tmp_path


class Place:
    """A configuration file and an environment to find it by."""

    def __init__(self, home: Path) -> None:
        self.environment = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_CACHE_HOME": str(home / "cache")}
        self.file = home / "config" / "kallsymsd" / "config.toml"

    def load(self, *arguments: str) -> Configuration:
        return load(flags(*arguments), self.environment)

    def error(self, *arguments: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            self.load(*arguments)
        text = str(caught.value)
        assert "\n" not in text
        return text


@pytest.fixture
def place(home: Path) -> Place:
    return Place(home)


def test_without_anything_the_defaults_hold(place: Place, home: Path) -> None:
    configuration = place.load()
    assert configuration[CACHE_DIR] == home / "cache" / "kallsymsd"
    assert (configuration[CACHE_LIMIT], configuration[MEMORY_LIMIT]) == (512, 512)
    assert (configuration[IDLE_EXIT], configuration[WATCH]) == (3600, True)
    assert {configuration.origin(setting) for setting in TABLE} == {"default"}
    for setting in (CACHE_LIMIT, MEMORY_LIMIT, IDLE_EXIT):
        assert setting.shown == str(configuration[setting])


def test_each_setting_has_an_example_here() -> None:
    assert list(OTHERS) == [setting.name for setting in TABLE]


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_file_environment_and_flag_in_this_order(place: Place, setting: Setting[Any]) -> None:
    toml, text, meant = OTHERS[setting.name]
    default = place.load()[setting]
    assert meant != default
    place.file.write_text(f"# settings\n\n{setting.name} = {toml}\n")
    configuration = place.load()
    assert (configuration[setting], configuration.origin(setting)) == (meant, f"{place.file}:3")
    place.environment[setting.variable] = str(default) if setting is not WATCH else "on"
    configuration = place.load()
    assert (configuration[setting], configuration.origin(setting)) == (default, setting.variable)
    argument = f"{setting.flag}={text}" if setting.metavar else f"--no-{setting.name}"
    configuration = place.load(argument)
    assert (configuration[setting], configuration.origin(setting)) == (meant, setting.flag)
    others = [each for each in TABLE if each is not setting]
    assert {configuration.origin(each) for each in others} == {"default"}


def test_a_flag_may_name_a_directory_below_the_working_one(
    place: Place, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert place.load("--cache-dir=sub")[CACHE_DIR] == home / "sub"


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("cahe-limit = 3", 1, "no setting 'cahe-limit'; there are cache-dir, cache-limit"),
        ("# first\nwatch = true\n [limits]\ncache-limit = 3", 3, "no setting 'limits'"),
        ("\n'a.b' = 1", 2, "no setting 'a.b'"),
        ("socket = '/s'", 1, "set KALLSYMSD_SOCKET"),
        ("\ncache-limit = 0", 2, "cache-limit: must be a number of MiB from 1 to 1048576, not 0"),
        ("cache-limit = 1.5", 1, "must be a whole number, not 1.5"),
        ("cache-limit = true", 1, "must be a whole number, not True"),
        ("memory-limit = 'much'", 1, "must be a whole number, not 'much'"),
        ("idle-exit = -1", 1, "must be a number of seconds, 0 for never, not -1"),
        ("watch = 1", 1, "must be true or false, not 1"),
        ("cache-dir = 'relative'", 1, "must be an absolute path, not 'relative'"),
        ("cache-dir = ['/a']", 1, "must be an absolute path"),
    ],
)
def test_what_the_file_has_wrong_is_said_with_its_line(
    place: Place, content: str, line: int, said: str
) -> None:
    place.file.write_text(content)
    text = place.error()
    assert text.startswith(f"{place.file}:{line}: ")
    assert said in text


@pytest.mark.parametrize("content", [b"watch", b"watch = true\nwatch = true", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_toml_is_an_error(place: Place, content: bytes) -> None:
    place.file.write_bytes(content)
    assert place.error().startswith(f"{place.file}:")


# What a file may have in it that tomllib, Python or the kernel cannot take: the line at fault, and why.
HOSTILE: dict[str, tuple[bytes, int, str]] = {
    "digits": (b"\ncache-limit = " + b"9" * 4400, 2, "a number has too many digits"),
    "digits in a list": (b"# x\n\nwatch = [" + b"9" * 4350 + b"]", 3, "a number has too many digits"),
    "a long line": (b"cache-limit = " + b"9" * 10_000, 1, "has more than 5000 characters"),
    "hexadecimal digits": (b"cache-limit = 0x" + b"f" * 4000, 1, "must be a number of MiB"),
    "hexadecimal seconds": (b"\nidle-exit = 0x" + b"f" * 4000, 2, "must be a number of seconds up to"),
    "seconds for centuries": (b"idle-exit = 99999999999", 1, "must be a number of seconds up to"),
    "infinity": (b"idle-exit = inf", 1, "must be a whole number"),
    "NUL in a string": (b'cache-dir = "/tmp/a\\u0000b"', 1, "must be an absolute path, not '/tmp/a\\x00b'"),
    "NUL": (b"watch = true\n\0", 2, ""),
    "an escape sequence": (b"\n\x1b]0;x\x07 = 1", 2, ""),
    "an escape sequence in a key": (b'"\\u001b[2J" = 1', 1, "no setting '\\x1b[2J'"),
    "deep lists": (b"watch = " + b"[" * 4000 + b"]" * 900, 1, ""),
    "deep tables": (b"\nwatch = " + b"{a=" * 1500, 2, "values are nested too deeply"),
    "dots": (b"watch." + b".".join([b"a"] * 2400) + b" = 1", 1, "must be true or false"),
    "dots as headers": (
        b"\n".join(b"[" + b".".join([b"a"] * n) + b"]" for n in range(2, 200)),
        1,
        "no setting",
    ),
    "bytes": (b"watch = true\n# caf\xe9", 2, "is not UTF-8"),
    "another encoding": ("watch = true".encode("utf-16"), 1, "is not UTF-8"),
    "a date": (b"cache-limit = 2026-01-01", 1, "must be a whole number"),
    "a table": (b"[cache-dir]", 1, "must be an absolute path"),
}


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_content_is_one_line_with_its_place(place: Place, content: str) -> None:
    data, line, said = HOSTILE[content]
    place.file.write_bytes(data)
    text = place.error()
    assert text.startswith(f"{place.file}:{line}: ")
    assert said in text
    assert len(text) < len(str(place.file)) + 200


# What is there in the place of a file: why it is not used.
THINGS = {
    "a pipe": "not a regular file",
    "a device": "not a regular file",
    "a link to a device": "not a regular file",
    "a directory": "Is a directory",
    "a socket": "No such device or address",
    "a link to itself": "Too many levels of symbolic links",
    "enormous": "more than 65536 bytes",
    "enormous and full of lines": "more than 65536 bytes",
}


def put(path: Path, what: str) -> None:
    """Put something in the place of the configuration file."""
    match what:
        case "a pipe":
            os.mkfifo(path)
        case "a device":
            path.symlink_to("/dev/null")
        case "a link to a device":
            path.with_name("other").symlink_to("/dev/zero")
            path.symlink_to("other")
        case "a directory":
            path.mkdir()
        case "a socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        case "a link to itself":
            path.symlink_to(path.name)
        case "enormous":
            with path.open("wb") as file:
                file.truncate(1 << 40)
        case "enormous and full of lines":
            path.write_bytes(b"watch = true\n" * 10_000)


@pytest.mark.parametrize("what", THINGS)
def test_what_is_no_file_is_neither_waited_for_nor_read(place: Place, what: str) -> None:
    put(place.file, what)
    assert place.error() == f"{place.file}: {THINGS[what]}"


def test_a_link_to_a_file_is_as_good_as_one(place: Place, home: Path) -> None:
    (home / "dotfiles").write_text("idle-exit = 5")
    place.file.symlink_to(home / "dotfiles")
    assert place.load()[IDLE_EXIT] == 5


@pytest.mark.parametrize("home", ["/dev/null", "a file", "nothing"])
def test_a_home_that_is_no_directory_has_no_file(home: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    configuration = load(flags(), {"HOME": str(tmp_path / home)})
    assert {configuration.origin(setting) for setting in TABLE} == {"default"}


def test_without_a_home_the_cache_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(ConfigurationError, match=r"cache-dir: there is no home.* or KALLSYMSD_CACHE_DIR"):
        load(flags(), {"HOME": "relative"})
    for arguments, environment in (
        ((f"--cache-dir={tmp_path}",), {}),
        ((), {"KALLSYMSD_CACHE_DIR": str(tmp_path)}),
    ):
        assert load(flags(*arguments), environment)[CACHE_DIR] == tmp_path


@pytest.mark.parametrize("what", [*THINGS, "digits", "NUL in a string", "deep lists"])
def test_the_daemon_ends_before_it_has_a_lock(program: Program, what: str) -> None:  # noqa: F811  that fixture
    config = program.home / "config.toml"
    if what in THINGS:
        put(config, what)
    else:
        config.write_bytes(HOSTILE[what][0])
    program.environment["KALLSYMSD_CONFIG"] = str(config)
    process = program.start()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert error.startswith(f"kallsymsd: {config}:")
    assert len(error.splitlines()) == 1
    assert not program.socket.parent.exists()


def test_a_file_that_cannot_be_read_is_an_error(place: Place, home: Path) -> None:
    place.file.mkdir()
    assert place.error() == f"{place.file}: Is a directory"
    place.environment["KALLSYMSD_CONFIG"] = str(home / "missing")
    assert place.error().startswith(f"{home / 'missing'}: No such file or directory")


def test_the_file_may_be_anywhere(place: Place, home: Path) -> None:
    place.environment["KALLSYMSD_CONFIG"] = str(home / "mine")
    (home / "mine").write_text("idle-exit = 5")
    place.file.write_text("nonsense")
    assert place.load()[IDLE_EXIT] == 5
    relative = {"XDG_CONFIG_HOME": "relative", "HOME": "/h"}
    assert file_path(relative) == Path("/h/.config/kallsymsd/config.toml")


def test_wrong_flags_and_variables_are_named(place: Place) -> None:
    assert place.error("--cache-limit=many") == "--cache-limit: must be a whole number, not 'many'"
    place.environment["KALLSYMSD_WATCH"] = "perhaps"
    assert place.error() == "KALLSYMSD_WATCH: must be true or false, not 'perhaps'"


def test_status_shows_each_value_with_its_origin(program: Program) -> None:  # noqa: F811  it is that fixture
    config = program.home / "config.toml"
    config.write_text("memory-limit = 64\nidle-exit = 7\n")
    program.environment |= {"KALLSYMSD_CONFIG": str(config), "KALLSYMSD_IDLE_EXIT": "8"}
    program.serve("--cache-limit", "9", "--no-watch")
    with Peer(program.socket) as peer:
        peer.control({"command": "status"})
        rows = {row["name"]: (row["value"], row["origin"]) for row in peer.answer()["settings"]}
    assert rows == {
        "socket": (str(program.socket), "default"),
        "cache-dir": (str(program.cache), "default"),
        "cache-limit": (9, "--cache-limit"),
        "memory-limit": (64, f"{config}:1"),
        "idle-exit": (8, "KALLSYMSD_IDLE_EXIT"),
        "watch": (False, "--watch"),
    }


def test_a_wrong_file_is_told_in_one_line(program: Program) -> None:  # noqa: F811  it is that fixture
    config = program.home / "config.toml"
    config.write_text("memory = 64\n")
    program.environment["KALLSYMSD_CONFIG"] = str(config)
    process = program.start()
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert error.startswith(f"kallsymsd: {config}:1: no setting 'memory'; there are ")
    assert len(error.splitlines()) == 1
    assert not program.socket.exists()


def test_the_page_has_each_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
    for each in TABLE:
        row = f"| `{each.name}` | `{each.variable}` | `{each.flag}` | {each.shown} | {each.help} |"
        assert row in page
