# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl service: installs and removes the systemd user units."""

import argparse
import os
import subprocess

from kallsymsd.ctl import command, unitfiles
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.commands import stop
from kallsymsd.ctl.query import ask, is_running, wait_until_gone
from kallsymsd.ctl.terminal import tell
from kallsymsd.ctl.unitfiles import SERVICE, SOCKET

# Seconds allowed for one systemctl command, which waits until a unit has started.
_LIMIT = 30.0

_TEXT = """\
Lets the systemd user manager start the daemon when a build first needs it
(socket activation). "install" writes the units to ~/.config/systemd/user, stops
a daemon that was started otherwise, and enables the socket. "uninstall" undoes
that. If no user manager is running, only the files are written or removed.
"""
_EXAMPLES = """\
kallsymsctl service install             # takes effect with the next build
kallsymsctl service install --hardened  # in its own namespaces
kallsymsctl service status
kallsymsctl service uninstall
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "service",
        _run,
        summary="let systemd start the daemon when it is needed",
        text=_TEXT,
        examples=_EXAMPLES,
        status="0  success; status: the units are installed\n1  failure; status: they are not",
    )
    parser.add_argument(
        "action",
        choices=("install", "uninstall", "status"),
        metavar="ACTION",
        help="install, uninstall or status",
    )
    parser.add_argument(
        "--hardened",
        action="store_true",
        help="with install: add the drop-in that needs unprivileged user namespaces",
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    if options.hardened and options.action != "install":
        raise CommandError(f"--hardened: works with install, not with {options.action}")
    match options.action:
        case "install":
            return _install(context, hardened=options.hardened)
        case "uninstall":
            return _uninstall(context)
        case _:
            return _status(context)


def _install(context: Context, *, hardened: bool) -> int:
    where = unitfiles.directory(os.environ)
    unitfiles.write(where, unitfiles.texts(unitfiles.program(), hardened=hardened))
    tell(f"wrote {where / SERVICE} and {SOCKET}")
    if not _has_manager():
        print(
            "no systemd user manager is running; once one is, run:\n"
            f"  systemctl --user daemon-reload && systemctl --user enable --now {SOCKET}"
        )
        return 0
    _manager("daemon-reload")
    # A daemon that runs already, perhaps of an older unit, holds the socket's lock.
    _manager("stop", SOCKET, SERVICE)
    _stop(context)
    _manager("enable", "--now", SOCKET)
    print("the daemon starts with the next build")
    if os.environ.get("KALLSYMSD_SOCKET"):
        print("KALLSYMSD_SOCKET is set; builds with it do not use the unit's socket")
    return 0


def _uninstall(context: Context) -> int:
    where = unitfiles.directory(os.environ)
    managed = _has_manager()
    if managed and unitfiles.installed(where):
        _manager("disable", "--now", SOCKET)
        _manager("stop", SERVICE)
    _stop(context)
    for path in unitfiles.remove(where):
        tell(f"removed {path}")
    if managed:
        _manager("daemon-reload")
    return 0


def _status(context: Context) -> int:
    where = unitfiles.directory(os.environ)
    found = unitfiles.installed(where)
    tell(f"units    {', '.join(str(path) for path in found) or f'none in {where}'}")
    if found:
        starts, ours = unitfiles.started_by(where), unitfiles.exec_start(unitfiles.program())
        tell(f"starts   {starts}{'' if starts == ours else f' (this installation: {ours})'}")
    if _has_manager():
        for unit in (SOCKET, SERVICE):
            tell(f"{unit.partition('.')[2]:8} {_state('is-enabled', unit)}, {_state('is-active', unit)}")
    else:
        print("manager  no systemd user manager is running")
    tell(f"daemon   {'running' if is_running(context.socket) else 'not running'} at {context.socket}")
    return 0 if found else 1


def _stop(context: Context) -> None:
    if is_running(context.socket):
        ask(context.socket, "stop")
        if not wait_until_gone(context.socket, stop.LIMIT):
            raise CommandError(
                f"{context.socket}: the daemon did not stop within {stop.LIMIT:.0f} s; try again"
            )


def _has_manager() -> bool:
    return unitfiles.systemctl() is not None and _systemctl("show-environment").returncode == 0


def _manager(*arguments: str) -> None:
    done = _systemctl(*arguments)
    if done.returncode != 0:
        why = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise CommandError(f"systemctl --user {' '.join(arguments)}: {why}")


def _state(question: str, unit: str) -> str:
    return _systemctl(question, unit).stdout.strip() or "unknown"


def _systemctl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = unitfiles.systemctl()
    if program is None:
        raise CommandError("systemctl: not found")
    try:
        return subprocess.run(  # noqa: S603  systemctl of this machine's PATH, asked for by its user
            [program, "--user", "--no-pager", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(
            f"systemctl --user {' '.join(arguments)}: no exit within {_LIMIT:.0f} s"
        ) from error
