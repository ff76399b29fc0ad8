# SPDX-License-Identifier: GPL-2.0-only
"""Writes and removes the systemd user units."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from kallsymsd.ctl.command import CommandError
from kallsymsd.protocol.paths import base_directory
from kallsymsd.protocol.regular import read_regular, write_new

#: In the order of writing; the drop-in is optional.
SERVICE, SOCKET, HARDENING = "kallsymsd.service", "kallsymsd.socket", "kallsymsd.service.d/hardening.conf"

_SOURCE = Path(__file__).parent / "units"
# Size limit of a unit file in bytes.
_MOST = 1 << 20
_PACKAGED = "ExecStart=/usr/bin/kallsymsd\n"


def directory(environment: Mapping[str, str]) -> Path:
    """The directory of the user's own units. BadPathError if there is no home directory."""
    return base_directory(environment, "XDG_CONFIG_HOME", ".config") / "systemd" / "user"


def program() -> list[str]:
    """The command that starts the daemon of this installation."""
    script = Path(sys.argv[0]).absolute().with_name("kallsymsd")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "kallsymsd"]


def exec_start(command: list[str]) -> str:
    """``command`` as the value of ExecStart=.

    Percent signs are doubled everywhere, dollar signs in all words but the first, where systemd expands no
    variables. CommandError for a path that systemd does not accept.
    """
    refused = any(not character.isprintable() or character in "\"'\\" for character in command[0])
    if refused or not all(word.isprintable() for word in command):
        raise CommandError(f"{command[0]!r}: systemd does not accept this path; install kallsymsd elsewhere")
    first, *others = (word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") for word in command)
    return " ".join(f'"{word}"' for word in (first, *(word.replace("$", "$$") for word in others)))


def texts(command: list[str], *, hardened: bool) -> dict[str, str]:
    """The text of each unit file by name."""
    service = (_SOURCE / SERVICE).read_text()
    if _PACKAGED not in service:
        raise CommandError(
            f"{_SOURCE / SERVICE}: is not the unit shipped with kallsymsctl; install kallsymsd again"
        )
    made = {
        SERVICE: service.replace(_PACKAGED, f"ExecStart={exec_start(command)}\n"),
        SOCKET: (_SOURCE / SOCKET).read_text(),
    }
    if hardened:
        made[HARDENING] = (_SOURCE / Path(HARDENING).name).read_text()
    return made


def write(where: Path, files: Mapping[str, str]) -> None:
    """Write the files below ``where``, each atomically."""
    try:
        for name, text in files.items():
            path = where / name
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(path.name + ".new")
            write_new(str(temporary), text.encode(), mode=0o666)
            temporary.replace(path)
        if HARDENING not in files:
            (where / HARDENING).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error


def remove(where: Path) -> list[Path]:
    """Remove the files and the link that enabling made; returns those that existed."""
    links = where / "sockets.target.wants" / SOCKET
    found = [
        path for path in (*(where / name for name in (SERVICE, SOCKET, HARDENING)), links) if _is_there(path)
    ]
    try:
        for path in found:
            path.unlink()
        drop_ins = (where / HARDENING).parent
        if drop_ins.is_dir() and not any(drop_ins.iterdir()):
            drop_ins.rmdir()
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    return found


def installed(where: Path) -> list[Path]:
    """The unit files that exist below ``where``."""
    return [where / name for name in (SERVICE, SOCKET, HARDENING) if _is_there(where / name)]


def started_by(where: Path) -> str:
    """The command that the installed service starts; "" if there is none."""
    try:
        text = read_regular(str(where / SERVICE), _MOST, follow=True)
    except OSError:
        return ""
    lines = text.decode("utf-8", "replace").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("ExecStart=")), "")


def systemctl() -> str | None:
    """The path of systemctl, if this machine has it."""
    return shutil.which("systemctl")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()
