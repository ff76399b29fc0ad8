# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl stop: lets the daemon end."""

import argparse

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import ask, is_running, wait_until_gone
from kallsymsd.ctl.terminal import complain

#: Seconds a daemon has to end: five to finish its work, and some to write down its counters.
LIMIT = 7.0

_TEXT = """\
Asks the daemon to end, and waits for that. Requests that it has accepted are
answered, for at most five seconds; what it has counted and knows of trees is
kept. Where the service manager holds the socket, the next build starts a new
daemon.
"""
_EXAMPLES = """\
systemctl --user stop kallsymsd.socket; kallsymsctl stop
kallsymsctl stop  # builds may start a new one
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    command.add(
        parsers,
        "stop",
        _run,
        summary="let the daemon finish its work and end",
        text=_TEXT,
        examples=_EXAMPLES,
        status="0  no daemon runs any more, or none did\n1  it does not answer, or takes too long",
    )


def _run(context: Context, _: argparse.Namespace) -> int:
    if not is_running(context.socket):
        complain(f"no daemon serves {context.socket}")
        return 0
    ask(context.socket, "stop")
    if not wait_until_gone(context.socket, LIMIT):
        raise CommandError(f"{context.socket}: the daemon takes longer than {LIMIT:.0f} s to stop")
    return 0
