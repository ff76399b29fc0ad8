# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl status: what the daemon is and does."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import ask, is_running
from kallsymsd.ctl.show import Rows, bytes_text, seconds_text, show_tables

_TEXT = """\
What the daemon is and does: its process, as it says itself; what it is busy
with, and for how long; the trees whose tables it remembers, and the memory
they take; what it watches; and each setting with where it comes from. It
answers at once, whatever it computes. Where no daemon runs, none is started.
"""
_EXAMPLES = """\
kallsymsctl status                   # for a person
kallsymsctl status --json | jq .pid  # for programs
kallsymsctl --socket /tmp/s status   # of another daemon
"""


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
        raise CommandError(f"no daemon serves {context.socket}")
    answer = ask(context.socket, "status")
    if options.json:
        print(json.dumps(answer, indent=2))
    else:
        show_tables(sections(answer))
    return 0


def sections(answer: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Titles and rows."""
    tables: list[tuple[str, Rows]] = [("kallsymsd", _process(answer)), ("Trees in memory", _trees(answer))]
    return [(title, rows) for title, rows in tables if rows]


def _process(answer: Mapping[str, Any]) -> Rows:
    rows = [
        ("state", str(answer["state"]), ""),
        ("version", str(answer["version"]), ""),
        ("pid", str(answer["pid"]), "as the daemon says"),
        ("uptime", seconds_text(answer["uptime"]), ""),
        ("socket", str(answer["socket"]), ""),
        ("clients", str(answer["clients"]), "this one included"),
        ("cache", f"{answer['cache_dir']}, at most {bytes_text(answer['cache_limit'])}", ""),
    ]
    rows += [("busy", f"{work['what']}, {work['seconds']:.1f} s", "") for work in answer["busy"]]
    if answer["problem"]:
        rows.append(("problem", str(answer["problem"]), ""))
    return rows


def _trees(answer: Mapping[str, Any]) -> Rows:
    return [
        (tree["tree"], bytes_text(tree["bytes"]), f"{tree['symbols']:,} symbols, {tree['dialect']}")
        for tree in answer.get("trees", ())
    ]
