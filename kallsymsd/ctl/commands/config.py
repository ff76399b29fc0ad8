# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl config: the settings, and where each comes from."""

import argparse
import os

from kallsymsd.ctl import command
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.commands import status
from kallsymsd.ctl.query import ask, is_running, reading
from kallsymsd.ctl.show import show_tables
from kallsymsd.ctl.terminal import as_json
from kallsymsd.service.config import TABLE, ConfigurationError, file_path, load

_TEXT = """\
Shows each setting of the daemon, its value, and what has set it. Later ones
win: the default, the configuration file, the environment, the command line of
kallsymsd. While a daemon runs, these are its own values; otherwise those that
one started from here would have.

The configuration file is kallsymsd/config.toml in $XDG_CONFIG_HOME (or
~/.config), or what $KALLSYMSD_CONFIG names. Unknown keys in it are errors. A
daemon reads it when it starts. Settings:
"""
_EXAMPLES = """\
kallsymsctl config                             # what holds, and why
KALLSYMSD_CACHE_LIMIT=2048 kallsymsctl config  # what would hold
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    width = max(len(setting.name) for setting in TABLE)
    lines = [
        f"  {setting.name:{width}}  {setting.help}\n"
        f"  {'':{width}}  default: {setting.shown}\n"
        f"  {'':{width}}  environment: {setting.variable}\n"
        for setting in TABLE
    ]
    parser = command.add(
        parsers,
        "config",
        _run,
        summary="the daemon's settings, and where each comes from",
        text=_TEXT + "".join(lines),
        examples=_EXAMPLES,
        status="0  the settings are shown\n1  the configuration has an error; one line says where",
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON list")


def _run(context: Context, options: argparse.Namespace) -> int:
    if is_running(context.socket):
        title = f"Settings of the daemon at {context.socket}"
        answer = ask(context.socket, "status")
        with reading(answer):
            rows = list(answer["settings"])
    else:
        title = f"Settings of a daemon started from here ({file_path(os.environ) or 'no file'})"
        try:
            rows = load({}, os.environ).rows()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
    if options.json:
        print(as_json(rows))
    else:
        show_tables([(title, status.settings(rows))])
    return 0
