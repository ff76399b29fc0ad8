# SPDX-License-Identifier: GPL-2.0-only
"""Object trees: configured, built, and what was linked set aside."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.sources import CACHE

CONFIG = Path(__file__).with_name("tiny.config")
#: What else would differ from build to build.
REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01",
    "KBUILD_BUILD_USER": "user",
    "KBUILD_BUILD_HOST": "host",
    "KBUILD_BUILD_VERSION": "1",
}
#: Seconds; a whole build takes four minutes on two cores.
COLD_LIMIT = 3600.0
RELINK_LIMIT = 600.0


def clean_environment() -> dict[str, str]:
    """The environment without what would change a build, or was left by a make around us."""
    prefixes = ("MAKE", "MFLAGS", "KBUILD", "KALLSYMS", "ARCH", "CROSS_COMPILE", "LLVM", "CC", "LD", "NM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {**kept, **REPRODUCIBLE, "LC_ALL": "C", "CCACHE_DIR": os.fspath(CACHE / "ccache")}


def compiler() -> list[str]:
    """Arguments of make: through ccache, where it is installed.

    It spares compiling what an earlier build has compiled; the link and the tables, which it never keeps, are
    what is tested.
    """
    return ["CC=ccache gcc"] if shutil.which("ccache") else []


@dataclass(frozen=True)
class Linked:
    """What a build has made, set aside in a directory."""

    directory: Path

    @property
    def vmlinux(self) -> Path:
        return self.directory / "vmlinux"

    @property
    def system_map(self) -> Path:
        return self.directory / "System.map"

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file."""
        return {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in (self.vmlinux, self.system_map)
        }


class ObjectTree:
    """A directory that kernels of one source tree are built in.

    say  told what is being done, for these builds take minutes
    """

    def __init__(
        self, source: Path, directory: Path, say: Callable[[str], None], arguments: Sequence[str] = ()
    ) -> None:
        self.source = source
        self.directory = directory
        self.log = directory.with_name(f"{directory.name}.log")
        self._say = say
        self._arguments = [*compiler(), *arguments]

    def configure(self, config: str = "") -> None:
        """Start anew, with the tiny configuration or another."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        wanted = self.directory / "wanted.config"
        wanted.write_text(config or CONFIG.read_text())
        self.make("allnoconfig", f"KCONFIG_ALLCONFIG={wanted}")

    def setting(self, name: str) -> str | None:
        """The value of a configuration option, None where it is not set."""
        for line in (self.directory / ".config").read_text().splitlines():
            if line.startswith(f"CONFIG_{name}="):
                return line.partition("=")[2]
        return None

    def make(
        self,
        *arguments: str,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        limit: float = COLD_LIMIT,
    ) -> float:
        """Run make as a developer would, in the object tree; wall seconds.

        before       a program that is given the command of make: kallsymsctl run --
        environment  beside the clean one

        Raises AssertionError with the end of the log if it fails or takes longer than ``limit`` seconds.
        """
        entry = [] if (self.directory / "Makefile").exists() else ["-C", os.fspath(self.source)]
        output = [f"O={self.directory}"] if entry else []
        jobs = f"-j{os.cpu_count()}"
        command = [*before, "make", jobs, *entry, *output, *self._arguments, *arguments]
        self._say(f"{self.directory.parent.name}: {' '.join(command)}")
        start = time.monotonic()
        with self.log.open("wb") as log:
            child = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**clean_environment(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = child.wait(limit)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"not done in {limit:.0f} s: {command}\n{self._end()}") from None
            finally:
                if child.returncode is None:  # too late, or interrupted
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
        if status:
            raise AssertionError(f"exit status {status}: {command}\n{self._end()}")
        return time.monotonic() - start

    def _end(self) -> str:
        return "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-40:])

    def set_aside(self, directory: Path) -> Linked:
        """Copy what was linked."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("vmlinux", "System.map"):
            shutil.copyfile(self.directory / name, directory / name)
        return Linked(directory)

    def linked(self) -> Linked:
        """What stands in the object tree now."""
        return Linked(self.directory)

    def scripts(self) -> dict[str, int]:
        """Every file below scripts/, which bindeb-pkg ships, with its size."""
        base = self.directory / "scripts"
        return {os.fspath(file.relative_to(base)): file.stat().st_size for file in base.rglob("*")}
