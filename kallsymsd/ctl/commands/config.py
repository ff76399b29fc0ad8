# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl config: shows the settings and where each comes from."""

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
Shows the value of each setting and where it comes from: the default, the
configuration file, the environment, or the command line of kallsymsd, in order
of increasing precedence. If a daemon runs, these are its values; otherwise
those of a daemon started from this environment.

The configuration file is $KALLSYMSD_CONFIG, or kallsymsd/config.toml in
$XDG_CONFIG_HOME (default: ~/.config). Unknown keys are errors. The daemon reads
the file when it starts. Settings:
"""
_EXAMPLES = """\
kallsymsctl config                             # present values
KALLSYMSD_CACHE_LIMIT=2048 kallsymsctl config  # with this limit, if none runs
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
        summary="show the daemon's settings and where each comes from",
        text=_TEXT + "".join(lines),
        examples=_EXAMPLES,
        status="0  success\n1  the configuration has an error; one line says where",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")


def _run(context: Context, options: argparse.Namespace) -> int:
    if is_running(context.socket):
        title = f"Settings of the daemon at {context.socket}"
        answer = ask(context.socket, "status")
        with reading(answer):
            rows = list(answer["settings"])
    else:
        title = f"Settings for a new daemon ({file_path(os.environ) or 'no configuration file'})"
        try:
            rows = load({}, os.environ).rows()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
    if options.json:
        print(as_json(rows))
    else:
        show_tables([(title, status.settings(rows))])
    return 0
