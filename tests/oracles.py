# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tools: where they are and how to run them; and the texts they come from.

Debian packages scripts/kallsyms in linux-kbuild-VERSION, and the texts in linux-source-VERSION.
tests/fetch-oracles unpacks two of each below .cache/oracles; KALLSYMSD_ORACLES names another directory.
Installed packages are found too.
"""

import functools
import os
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.reference.tool import Outcome

ROOT = Path(__file__).parent.parent

#: Which kernel series is the oracle of which dialect.
SERIES = {"v6.1.y": "6.1", "v6.11": "6.12"}


@dataclass(frozen=True)
class Oracle:
    """A scripts/kallsyms made by Debian.

    dialect  the row of the dialect table that it is the oracle of
    version  of its package's name: 6.1, 6.12.117+deb12
    tool     the program
    """

    dialect: str
    version: str
    tool: Path

    def run(self, options: Collection[str], map_text: bytes) -> Outcome:
        """Run the tool on a map with long options (without their dashes)."""
        with tempfile.TemporaryDirectory(prefix="oracle-", dir=scratch()) as directory:
            in_map = Path(directory, "in.map")
            in_map.write_bytes(map_text)
            return self.run_file(options, in_map)

    def run_file(self, options: Collection[str], in_map: Path) -> Outcome:
        """Run the tool on a map in a file."""
        return self.run_command([f"--{option}" for option in options] + [os.fspath(in_map)])

    def run_command(self, arguments: list[str]) -> Outcome:
        """Run the tool with arguments as they stand.

        posix_spawn and plain files: subprocess costs several times as much as a run of the tool on a small
        map, and a heavy proof makes tens of thousands of runs.
        """
        with tempfile.TemporaryFile(dir=scratch()) as out, tempfile.TemporaryFile(dir=scratch()) as err:
            child = os.posix_spawn(
                self.tool,
                [os.fspath(self.tool), *arguments],
                {"LC_ALL": "C"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, err.fileno(), 2),
                ],
            )
            _, wait_status = os.waitpid(child, 0)
            status = os.waitstatus_to_exitcode(wait_status)
            out.seek(0)
            err.seek(0)
            return Outcome(status, out.read() if status == 0 else b"", err.read())


@functools.cache
def scratch() -> str | None:
    """A directory in memory, if the machine has one."""
    shared = "/dev/shm"  # noqa: S108 - files there get unguessable names
    return shared if os.access(shared, os.W_OK) else None


@functools.cache
def find(dialect: str) -> Oracle | None:
    """The newest oracle of a dialect, None if there is none on this machine."""
    series = SERIES[dialect]
    found = []
    for pattern, base in (("*/usr/lib/linux-kbuild-*", directory()), ("linux-kbuild-*", Path("/usr/lib"))):
        for tool in base.glob(f"{pattern}/scripts/kallsyms"):
            version = tool.parent.parent.name.removeprefix("linux-kbuild-")
            if re.match(re.escape(series) + r"(?![0-9])", version) and os.access(tool, os.X_OK):
                found.append(Oracle(dialect, version, tool))
    return max(found, key=_version_key, default=None)


def _version_key(oracle: Oracle) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", oracle.version)]


def directory() -> Path:
    """Where tests/fetch-oracles puts what it fetches."""
    return Path(os.environ.get("KALLSYMSD_ORACLES") or ROOT / ".cache" / "oracles")


def source(dialect: str, name: str) -> bytes | None:
    """The text of scripts/NAME in the kernel that is a dialect's oracle; None where it was not fetched."""
    path = directory() / f"linux-source-{SERIES[dialect]}" / "scripts" / name
    return path.read_bytes() if path.exists() else None


def missing(dialect: str) -> str:
    """Why there is no oracle, and what to do about it."""
    return f"no scripts/kallsyms of kernel {SERIES[dialect]} (oracle of {dialect}): run tests/fetch-oracles"
