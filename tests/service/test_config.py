# SPDX-License-Identifier: GPL-2.0-only
"""Settings come from the file, the environment and the flags; what is wrong is said with its place."""

import argparse
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

from .peer import PATIENCE, Peer
from .test_process import Program, program  # noqa: F401  a fixture

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
    assert place.error().startswith(f"{place.file}: ")


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
    assert file_path({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}).parts[-2:] == ("kallsymsd", "config.toml")


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
