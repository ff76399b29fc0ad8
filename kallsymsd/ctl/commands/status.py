# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl status: shows the state of the daemon and of hooked trees."""

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
Shows the daemon's process, what it is computing, the trees in its memory, the
directories that it watches, and its settings. Then lists the trees with the
hook (see "kallsymsctl list") and the results of trials. The daemon answers at
once, even while it computes.
"""
_EXAMPLES = """\
kallsymsctl status
kallsymsctl status --json | jq .pid  # for programs
kallsymsctl --socket /tmp/s status   # another daemon
"""

# Units by the placeholder of a setting's value in help texts.
_UNITS = {"MIB": " MiB", "SECONDS": " s"}


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "status",
        _run,
        summary="show what the daemon is doing",
        text=_TEXT,
        examples=_EXAMPLES,
        status="0  a daemon runs and answered\n1  no daemon runs, or it does not answer",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run(context: Context, options: argparse.Namespace) -> int:
    if not is_running(context.socket):
        raise CommandError(absence.describe(context))
    answer = ask(context.socket, "status")
    if options.json:
        print(as_json(answer))
    else:
        with reading(answer):
            tables = sections(answer)
        show_tables(tables + hooked() + verdicts())
    return 0


def sections(answer: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Titles and rows."""
    tables: list[tuple[str, Rows]] = [
        ("kallsymsd", _process(answer)),
        ("Trees in memory", trees(answer)),
        ("Watched directories", _watches(answer)),
        ("Settings", settings(answer.get("settings", ()))),
    ]
    return [(title, rows) for title, rows in tables if rows]


def hooked() -> list[tuple[str, Rows]]:
    """The trees with the hook, as a table; no table if there are none."""
    found: list[tuple[Path, State]] = []
    with contextlib.suppress(BadPathError):  # no home directory: still show the daemon's state
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


def verdicts() -> list[tuple[str, Rows]]:
    """The verdicts of trials, as a table; no table if there are none."""
    from kallsymsd.ctl import trials  # noqa: PLC0415  as above

    rows = trials.rows(trials.read())
    return [("Trials (kallsymsctl explain TREE)", rows)] if rows else []


def _link(objects: "Path", state: "State") -> str:
    """How vmlinux was linked last, if one link is requested for the tree."""
    if not state.one_link:
        return ""
    from kallsymsd.kbuild.outcome import Outcome  # noqa: PLC0415  takes time to load

    described = Outcome.load(os.fspath(objects)).describe()
    return f"one link requested; last build: {described}" if described else "one link requested"


def settings(rows: Any) -> Rows:  # noqa: ANN401  from a message
    """Name, value and origin of each setting."""
    units = {setting.name: _UNITS.get(setting.metavar, "") for setting in TABLE}
    return [
        (row["name"], f"{_value(row['value'])}{units.get(row['name'], '')}  ({row['origin']})", "")
        for row in rows
    ]


def busy(answer: Mapping[str, Any]) -> Rows:
    """What the daemon is computing."""
    return [
        (
            "precomputing" if work.get("ahead") else "busy",
            f"{work['what']}, for {seconds_text(work['seconds'])}",
            "",
        )
        for work in answer["busy"]
    ]


def _process(answer: Mapping[str, Any]) -> Rows:
    version = str(answer["version"])
    rows = [
        ("state", str(answer["state"]), ""),
        ("version", version, "" if version == __version__ else f"kallsymsctl is {__version__}"),
        ("pid", str(answer["pid"]), "as reported by the daemon"),
        ("uptime", _age(answer["uptime"]), ""),
        ("socket", str(answer["socket"]), ""),
        ("clients", str(answer["clients"]), "including this one"),
    ]
    rows += busy(answer) or [("busy", "no", "")]
    if answer["problem"]:
        rows.append(("problem", str(answer["problem"]), ""))
    if answer.get("stuck"):
        rows.append(("stuck", str(answer["stuck"]), "threads that were replaced"))
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
        rows.append(("paused", f"for {seconds_text(watch['paused'])}, because events were lost", ""))
    return rows


def _age(seconds: float) -> str:
    return long_text(seconds) if seconds >= 7200 else seconds_text(seconds)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
