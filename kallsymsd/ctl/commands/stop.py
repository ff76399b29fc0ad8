# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl stop: stops the daemon."""

import argparse

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import ask, is_running, wait_until_gone
from kallsymsd.ctl.terminal import complain

#: Seconds allowed for the daemon to stop: five to finish its work, the rest to save its counters.
LIMIT = 7.0

_TEXT = """\
Asks the daemon to stop and waits until it has ended. The daemon first answers
accepted requests, for at most five seconds, and saves counters and tree states.
The next build may start a new daemon.
"""
_EXAMPLES = """\
kallsymsctl stop
systemctl --user stop kallsymsd.socket; kallsymsctl stop  # also the socket
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    command.add(
        parsers,
        "stop",
        _run,
        summary="stop the daemon",
        text=_TEXT,
        examples=_EXAMPLES,
        status="0  the daemon has stopped, or none was running\n1  it does not answer, or takes too long",
    )


def _run(context: Context, _: argparse.Namespace) -> int:
    if not is_running(context.socket):
        complain(f"no daemon serves {context.socket}")
        return 0
    ask(context.socket, "stop")
    if not wait_until_gone(context.socket, LIMIT):
        raise CommandError(f"{context.socket}: the daemon did not stop within {LIMIT:.0f} s; try again")
    return 0
