# SPDX-License-Identifier: GPL-2.0-only
"""The program under test, run as a process with an environment of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

import kallsyms_client
import kallsymsd

#: Where the packages under test are imported from.
PYTHONPATH = os.pathsep.join(
    str(Path(package.__path__[0]).parent) for package in (kallsyms_client, kallsymsd)
)

MAP = b"""\
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000010 t do_one_initcall
ffffffff81000020 W arch_cpu_idle
ffffffff81001000 T _etext
"""


@dataclass
class Run:
    """How a run ended; ``out`` is empty unless standard output was a pipe."""

    status: int
    out: bytes
    err: bytes


@dataclass
class Kallsyms:
    """The program, in a directory of its own and with nothing else's environment.

    here         its working directory
    environment  a test may change it; KALLSYMSD_SOCKET names a place where nobody listens, and no daemon
                 is started there
    """

    here: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        *arguments: str | bytes | Path,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stdin: bytes | None = None,
        name: str | None = None,
    ) -> Run:
        """Run it; ``name`` is its argv[0], by default that of python -m."""
        start: list[str] = ["-m", "kallsyms_client"]
        if name is not None:
            code = "import sys; from kallsyms_client.main import main; del sys.argv[0]; sys.exit(main())"
            start = ["-c", code, name]
        done = subprocess.run(
            [sys.executable, *start, *arguments],
            cwd=self.here,
            env=self.environment,
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        return Run(done.returncode, done.stdout or b"", done.stderr)

    def write(self, name: str, content: bytes) -> Path:
        """A file in the working directory, with its directories."""
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def left_over(self) -> list[str]:
        """Temporary files in the working directory."""
        return [path.name for path in self.here.iterdir() if path.name.startswith(".tmp_")]


@pytest.fixture
def kallsyms(tmp_path: Path) -> Kallsyms:
    """The program; its working directory has MAP as in.map."""
    here = tmp_path / "tree"
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": PYTHONPATH,
        "PYTHONDONTWRITEBYTECODE": "1",
        "KALLSYMSD_SOCKET": str(tmp_path / "nobody" / "s"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "CI": "true",  # start no daemon
    }
    program = Kallsyms(here, environment)
    program.write("in.map", MAP)
    return program


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A place for a socket that is short enough for one, wherever pytest keeps its own."""
    with tempfile.TemporaryDirectory(prefix="kallsyms-", dir="/tmp") as directory:
        yield Path(directory) / "s"


def elf(bits: int = 64, *, big_endian: bool = False) -> bytes:
    """What a vmlinux begins with (elf(5))."""
    return b"\x7fELF" + bytes((bits // 32, 2 if big_endian else 1, 1)) + bytes(57)
