# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl status: what the daemon is and does."""

import argparse
import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kallsymsd import __version__
from kallsymsd.ctl import absence, command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.commands.list import installed
from kallsymsd.ctl.query import ask, is_running, reading
from kallsymsd.ctl.show import Rows, bytes_text, counted_text, long_text, seconds_text, show_tables
from kallsymsd.ctl.terminal import as_json
from kallsymsd.protocol.paths import BadPathError, path_text
from kallsymsd.service.config import TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from kallsymsd.kbuild.hook.hookedtrees import State

_TEXT = """\
What the daemon is and does: its process, as it says itself; what it is busy
with, and for how long; the trees whose tables it has in memory, and how much
they take; what it watches; each setting with where it comes from; the kernel
trees with the hook (see kallsymsctl list); and how many of their tools, maps
and links were tried, and what is refused since. It answers at once, whatever
it computes. Where no daemon runs, none is started.
"""
_EXAMPLES = """\
kallsymsctl status                   # for a person
kallsymsctl status --json | jq .pid  # for programs
kallsymsctl --socket /tmp/s status   # of another daemon
"""

# What stands for the value of a setting in help texts, as a unit.
_UNITS = {"MIB": " MiB", "SECONDS": " s"}


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "status",
        _run,
        summary="what the daemon is and does",
        text=_TEXT,
        examples=_EXAMPLES,
        status="0  a daemon runs and has answered\n1  none runs, or it does not answer",
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")


def _run(context: Context, options: argparse.Namespace) -> int:
    if not is_running(context.socket):
        raise CommandError(absence.told(context))
    answer = ask(context.socket, "status")
    if options.json:
        print(as_json(answer))
    else:
        with reading(answer):
            tables = sections(answer)
        show_tables(tables + hooked() + tried())
    return 0


def sections(answer: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Titles and rows."""
    tables: list[tuple[str, Rows]] = [
        ("kallsymsd", _process(answer)),
        ("Trees in memory", trees(answer)),
        ("Directories", _watches(answer)),
        ("Settings", settings(answer.get("settings", ()))),
    ]
    return [(title, rows) for title, rows in tables if rows]


def hooked() -> list[tuple[str, Rows]]:
    """The trees with the hook, as a table; no table where there are none."""
    found: list[tuple[Path, State]] = []
    with contextlib.suppress(
        BadPathError
    ):  # no home: no tree was installed; the daemon is told of all the same
        found = installed()
    rows = [
        (
            "hook" if state.works else "no hook",
            ": ".join(
                path_text(os.fsencode(text))
                for text in (objects, _link(objects, state), state.remark)
                if text
            ),
            "",
        )
        for objects, state in found
    ]
    return [("Trees with the hook (kallsymsctl list)", rows)] if rows else []


def tried() -> list[tuple[str, Rows]]:
    """What trials have found, as a table; no table where nothing was tried."""
    from kallsymsd.ctl import trials  # noqa: PLC0415  as above

    rows = trials.rows(trials.read())
    return [("Trials (kallsymsctl explain TREE)", rows)] if rows else []


def _link(objects: "Path", state: "State") -> str:
    """How a tree that is to be linked once was linked last."""
    if not state.one_link:
        return ""
    from kallsymsd.kbuild.outcome import Outcome  # noqa: PLC0415  takes time to load

    described = Outcome.load(os.fspath(objects)).describe()
    return f"one link wanted; the last time {described}" if described else "one link wanted"


def settings(rows: Any) -> Rows:  # noqa: ANN401  from a message
    """Name, value and origin of each setting."""
    units = {setting.name: _UNITS.get(setting.metavar, "") for setting in TABLE}
    return [
        (row["name"], f"{_value(row['value'])}{units.get(row['name'], '')}  ({row['origin']})", "")
        for row in rows
    ]


def busy(answer: Mapping[str, Any]) -> Rows:
    """What the daemon computes just now."""
    return [
        (
            "busy",
            f"{work['what']}, for {seconds_text(work['seconds'])}{', ahead' if work.get('ahead') else ''}",
            "",
        )
        for work in answer["busy"]
    ]


def _process(answer: Mapping[str, Any]) -> Rows:
    version = str(answer["version"])
    rows = [
        ("state", str(answer["state"]), ""),
        ("version", version, "" if version == __version__ else f"kallsymsctl is {__version__}"),
        ("pid", str(answer["pid"]), "as the daemon says"),
        ("uptime", _age(answer["uptime"]), ""),
        ("socket", str(answer["socket"]), ""),
        ("clients", str(answer["clients"]), "this one included"),
    ]
    rows += busy(answer) or [("busy", "no", "")]
    if answer["problem"]:
        rows.append(("problem", str(answer["problem"]), ""))
    if answer.get("stuck"):
        rows.append(("stuck", str(answer["stuck"]), "threads lost in their work"))
    return rows


def trees(answer: Mapping[str, Any]) -> Rows:
    """The trees in the daemon's memory."""
    return [
        (
            bytes_text(tree["bytes"]),
            tree["tree"],
            f"{counted_text(tree['symbols'], 'symbol')}, {tree['dialect']}",
        )
        for tree in answer.get("trees", ())
    ]


def _watches(answer: Mapping[str, Any]) -> Rows:
    watch = answer.get("watch", {})
    rows = [
        (
            "watched" if tree["watched"] else "not watched",
            tree["directory"] + (f": {tree['problem']}" if tree["problem"] else ""),
            f"used {_age(tree['unused'])} ago",
        )
        for tree in watch.get("trees", ())
    ]
    if watch.get("paused"):
        rows.append(("paused", f"for {seconds_text(watch['paused'])}: events had been lost", ""))
    return rows


def _age(seconds: float) -> str:
    return long_text(seconds) if seconds >= 7200 else seconds_text(seconds)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
