# SPDX-License-Identifier: GPL-2.0-only
"""The daemon's settings: one table; from the configuration file, the environment and the command line.

Later ones override earlier ones. No setting affects a build's answer, which depends on the request alone.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kallsymsd.protocol.paths import BadPathError, base_directory, cache_directory
from kallsymsd.protocol.regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

_LARGEST = 1 << 20
_LONGEST = 1 << 31  # seconds
# Most bytes of the file, and characters of a line: a path has up to 4,096. tomllib's time grows with the
# square of a line's length.
_MAX_FILE = 1 << 16
_MAX_LINE = 5000
# More digits in a row than Python converts to a number.
_MAX_DIGITS = 4300
# More brackets than a line reasonably has.
_DEEP = 50
_TRUE = frozenset({"1", "on", "true", "yes"})
_FALSE = frozenset({"0", "off", "false", "no"})

#: Names the configuration file, instead of the XDG rules.
FILE_VARIABLE = "KALLSYMSD_CONFIG"


class ConfigurationError(Exception):
    """A setting cannot be used; the text is one line: where it is and what is wrong."""


class Setting(Generic[T]):
    """A setting.

    name     key in the configuration file, and with two leading dashes the flag
    parse    converts text or a TOML value; its ValueError says what is expected instead
    default  the value if it is set nowhere, given the environment
    shown    the default, for help texts
    metavar  stands for the value in help texts; "" for a switch
    help     what it is, for help texts
    """

    def __init__(
        self,
        name: str,
        parse: Callable[[object], T],
        default: Callable[[Mapping[str, str]], T],
        shown: str,
        metavar: str,
        help: str,  # noqa: A002  as argparse calls it
    ) -> None:
        self.name = name
        self.parse = parse
        self.default = default
        self.shown = shown
        self.metavar = metavar
        self.help = help

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "KALLSYMSD_" + self.name.upper().replace("-", "_")

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name


def _mebibytes(value: object) -> int:
    number = _integer(value)
    if not 1 <= number <= _LARGEST:
        raise ValueError(f"a number of MiB from 1 to {_LARGEST}")
    return number


def _seconds(value: object) -> int:
    number = _integer(value)
    if number < 0:
        raise ValueError("a number of seconds, 0 for never")
    if number > _LONGEST:
        raise ValueError(f"a number of seconds up to {_LONGEST}")
    return number


def _integer(value: object) -> int:
    if isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return int(value)
    raise ValueError("a whole number")


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("true or false")


def _directory(value: object) -> Path:
    if not isinstance(value, str) or not Path(value).is_absolute() or "\0" in value:
        raise ValueError("an absolute path")
    return Path(value)


CACHE_DIR = Setting(
    "cache-dir",
    _directory,
    cache_directory,
    "kallsymsd in $XDG_CACHE_HOME",
    "DIR",
    "where answers and counters are kept across restarts",
)
CACHE_LIMIT = Setting("cache-limit", _mebibytes, lambda _: 512, "512", "MIB", "size of the cache on disk")
MEMORY_LIMIT = Setting(
    "memory-limit", _mebibytes, lambda _: 512, "512", "MIB", "memory for the tables of trees in use"
)
IDLE_EXIT = Setting(
    "idle-exit",
    _seconds,
    lambda _: 3600,
    "3600",
    "SECONDS",
    "exit after that long without a client; 0: never",
)
WATCH = Setting("watch", _switch, lambda _: True, "on", "", "precompute answers when maps are written")

#: Every setting, in the order of display. The socket is not one: clients do not read the file.
TABLE: tuple[Setting[Any], ...] = (CACHE_DIR, CACHE_LIMIT, MEMORY_LIMIT, IDLE_EXIT, WATCH)

_BY_NAME = {setting.name: setting for setting in TABLE}


class Configuration:
    """The value of each setting, and where it comes from."""

    def __init__(self, values: Mapping[str, tuple[Any, str]]) -> None:
        """``values`` has value and origin by the setting's name."""
        self._values = values

    def __getitem__(self, setting: Setting[T]) -> T:
        value: T = self._values[setting.name][0]  # as its parse() returned it
        return value

    def origin(self, setting: Setting[Any]) -> str:
        """Where the value is set: a file and line, a variable, a flag, or ``default``."""
        return self._values[setting.name][1]

    def rows(self) -> list[dict[str, str | int | bool]]:
        """Name, value and origin of each setting, for status."""
        return [
            {"name": name, "value": value if isinstance(value, int) else str(value), "origin": origin}
            for name, (value, origin) in self._values.items()
        ]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` a flag for each setting. Flags that are not given become None."""
    for setting in TABLE:
        text = f"{setting.help} (default: {setting.shown})"
        if setting.metavar:
            parser.add_argument(setting.flag, metavar=setting.metavar, help=text, dest=setting.name)
        else:
            switch = argparse.BooleanOptionalAction
            parser.add_argument(setting.flag, action=switch, help=text, dest=setting.name)


def load(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Configuration:
    """The configuration for this environment and command line, parsed with add_flags().

    Raises ConfigurationError for an invalid value, and for a key in the file that is not a setting.
    """
    path = file_path(environment)
    in_file = _read(path, required=bool(environment.get(FILE_VARIABLE)))
    values: dict[str, tuple[object, str]] = {}
    for setting in TABLE:
        flag, variable = flags.get(setting.name), environment.get(setting.variable, "")
        if flag is not None:
            if setting is CACHE_DIR:
                flag = _absolute(flag)  # it may be relative on a command line
            values[setting.name] = _parsed(setting, flag, setting.flag), setting.flag
        elif variable:
            values[setting.name] = _parsed(setting, variable, setting.variable), setting.variable
        elif setting.name in in_file:
            value, origin = in_file[setting.name]
            values[setting.name] = _parsed(setting, value, f"{origin}: {setting.name}"), origin
        else:
            values[setting.name] = _default(setting, environment), "default"
    return Configuration(values)


def file_path(environment: Mapping[str, str]) -> Path | None:
    """The configuration file: $KALLSYMSD_CONFIG, else kallsymsd/config.toml by the XDG rules.

    None without a home directory that it could be in.
    """
    named = environment.get(FILE_VARIABLE, "")
    if named:
        return Path(named)
    try:
        return base_directory(environment, "XDG_CONFIG_HOME", ".config") / "kallsymsd" / "config.toml"
    except BadPathError:
        return None


def _absolute(path: str) -> str:
    try:
        return str(Path(path).absolute())
    except OSError as error:
        raise ConfigurationError(f"{CACHE_DIR.flag}: the working directory: {error.strerror}") from error


def _default(setting: Setting[Any], environment: Mapping[str, str]) -> object:
    try:
        value: object = setting.default(environment)
    except BadPathError as error:
        raise ConfigurationError(f"{setting.name}: {error} or {setting.variable}") from None
    return value


def _parsed(setting: Setting[Any], value: object, place: str) -> object:
    try:
        parsed: object = setting.parse(value)
    except ValueError as error:
        raise ConfigurationError(f"{place}: must be {error}, not {_shown(value)}") from None
    return parsed


def _shown(value: object) -> str:
    """The beginning of a value, for a message."""
    try:
        return f"{value!r:.60}"
    except (ValueError, RecursionError):  # thousands of digits, or tables nested thousands of times
        return f"so large a {type(value).__name__}"


def _read(path: Path | None, *, required: bool) -> dict[str, tuple[object, str]]:
    """Value of each key in the file, and its place."""
    if path is None:
        return {}
    try:
        data = read_regular(str(path), _MAX_FILE, follow=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        if required:
            raise ConfigurationError(f"{path}: {error.strerror}; see {FILE_VARIABLE}") from None
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    text = _decoded(path, data)
    content = _parse(path, text)
    places = {key: f"{path}:{_line(text, key)}" for key in content}
    for key in content:
        if key not in _BY_NAME:
            why = f"there are {', '.join(_BY_NAME)}"
            if key == "socket":
                why = "set KALLSYMSD_SOCKET, since clients do not read this file"
            raise ConfigurationError(f"{places[key]}: no setting {_shown(key)}; {why}")
    return {key: (value, places[key]) for key, value in content.items()}


def _decoded(path: Path, data: bytes) -> str:
    """The file's text; ConfigurationError unless its lines are UTF-8 and short enough."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) > _MAX_LINE:
            raise ConfigurationError(f"{path}:{number}: has more than {_MAX_LINE} characters")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{number}: is not UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    """What the file says, as TOML."""
    import tomllib  # noqa: PLC0415  few users have this file, and loading takes as long as starting Python

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*) \(at line ([0-9]+), column [0-9]+\)", str(error), re.DOTALL)
        place, what = (f"{path}:{said[2]}", said[1]) if said else (str(path), str(error))
        raise ConfigurationError(f"{place}: {what}") from None
    except ValueError:  # tomllib does not catch this one
        number = _first_line(text, lambda line: bool(re.search(rf"[0-9_]{{{_MAX_DIGITS}}}", line)))
        raise ConfigurationError(f"{path}:{number}: a number has too many digits") from None
    except RecursionError:
        number = _first_line(text, lambda line: line.count("[") + line.count("{") > _DEEP)
        raise ConfigurationError(f"{path}:{number}: values are nested too deeply") from None


def _first_line(text: str, is_meant: Callable[[str], bool]) -> int:
    """Number of the first line for which ``is_meant`` is true; 1 if there is none."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if is_meant(line)), 1)


def _line(text: str, key: str) -> int:
    """Number of the line that sets ``key`` at the top level, which tomllib does not report."""
    quoted = re.escape(key)
    pattern = re.compile(rf"""\s*\[*\s*["']?{quoted}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
