# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl: asks and stops the daemon.

Exit status: 0 when what was asked for is there (a stop without a daemon too), 1 when it is not or the daemon
does not answer, 2 for wrong arguments.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kallsymsd import __version__
from kallsymsd.ctl.query import QueryError, ask, is_running, wait_until_gone
from kallsymsd.ctl.show import bytes_text, show_rows, stats_rows
from kallsymsd.service.kept import load
from kallsymsd.service.paths import BadPathError, cache_directory, check_socket_path, own_uid, socket_path

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds a daemon has to end: five to finish its work, and some to write down its counters.
_STOP_LIMIT = 7.0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[Path, argparse.Namespace], int] = options.command
    try:
        path = options.socket or socket_path(os.environ, own_uid())
        check_socket_path(path)
        return command(path, options)
    except (BadPathError, QueryError) as error:
        print(f"kallsymsctl: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kallsymsctl", description="Asks and stops the daemon kallsymsd.")
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="the daemon's socket (default: by XDG rules)"
    )
    parser.add_argument("--version", action="version", version=f"kallsymsctl {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    stats = commands.add_parser("stats", help="what the daemon has counted; without one, what was kept")
    stats.add_argument("--json", action="store_true", help="for programs: one JSON object")
    stats.add_argument("--cache-dir", type=Path, metavar="DIR", help="where counters are kept")
    stats.set_defaults(command=_stats)
    status = commands.add_parser("status", help="what the daemon is and does")
    status.set_defaults(command=_status)
    stop = commands.add_parser("stop", help="let the daemon finish its work and end")
    stop.set_defaults(command=_stop)
    return parser


def _stats(path: Path, options: argparse.Namespace) -> int:
    running = is_running(path)
    kept = None if running else load(options.cache_dir or cache_directory(os.environ))
    if not running and kept is None:
        raise QueryError(f"no daemon serves {path}, and no counters have been kept")
    values = ask(path, "stats") if kept is None else kept.message()
    if options.json:
        print(json.dumps({**values, "running": running}))
        return 0
    if not running:
        print(f"kallsymsctl: no daemon serves {path}; these are the counters it kept", file=sys.stderr)
    show_rows("kallsymsd", stats_rows(values))
    return 0


def _status(path: Path, _: argparse.Namespace) -> int:
    if not is_running(path):
        raise QueryError(f"no daemon serves {path}")
    answer = ask(path, "status")
    rows = [
        ("state", str(answer["state"]), ""),
        ("version", str(answer["version"]), ""),
        ("pid", str(answer["pid"]), "as the daemon says"),
        ("uptime", f"{answer['uptime']:.0f} s", ""),
        ("socket", str(answer["socket"]), ""),
        ("clients", str(answer["clients"]), "this one included"),
        ("cache", f"{answer['cache_dir']}, at most {bytes_text(answer['cache_limit'])}", ""),
    ]
    rows += [("busy", f"{work['what']}, {work['seconds']:.1f} s", "") for work in answer["busy"]]
    if answer["problem"]:
        rows.append(("problem", str(answer["problem"]), ""))
    show_rows("kallsymsd", rows)
    return 0


def _stop(path: Path, _: argparse.Namespace) -> int:
    if not is_running(path):
        print(f"kallsymsctl: no daemon serves {path}", file=sys.stderr)
        return 0
    ask(path, "stop")
    if not wait_until_gone(path, _STOP_LIMIT):
        raise QueryError(f"{path}: the daemon takes longer than {_STOP_LIMIT:.0f} s to stop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
