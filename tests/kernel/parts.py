# SPDX-License-Identifier: GPL-2.0-only
"""Where the CPU time of a build goes: every program of it tells what it used (usage.c)."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NM = "nm, sed or grep"
TOOL = "scripts/kallsyms"
OURS = "client, stand-in, driver"
ASSEMBLING = "assembling of the tables"
SCRIPT = "link-vmlinux.sh itself"
LINKS = "links"
REST = "all else"

#: What the command of a program must match to count for a part; the first that does.
_PARTS = (
    (
        OURS,
        re.compile(r"\S*python\S* -I -S \S*(kallsyms_client|kallsymsd/kbuild)|\S*sh \S*/hook-[0-9a-f]{12}/"),
    ),
    (SCRIPT, re.compile(r".*(scripts/link-vmlinux\.sh|vmlinux_link)", re.DOTALL)),
    (NM, re.compile(r"\S*nm -n |.*scripts/mksysmap|grep -v ")),
    (TOOL, re.compile(r"scripts/kallsyms ")),
    (LINKS, re.compile(r"\S*ld(\.lld|\.bfd)? .*-o (\.tmp_vmlinux|vmlinux )")),
    (ASSEMBLING, re.compile(r".*kallsyms\d?\.[oS]\b")),
)
#: The kallsyms part of link-vmlinux.sh.
KALLSYMS = (NM, TOOL, OURS, ASSEMBLING, SCRIPT)
_SOURCE = Path(__file__).with_name("usage.c")


@dataclass(frozen=True)
class Program:
    """One that has ended; seconds. ``begin`` and ``end`` are times of one clock."""

    part: str
    cpu: float
    begin: float
    end: float


def preload(directory: Path) -> Path:
    """Compile what is to be preloaded."""
    library = directory / "usage.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
    return library


def read(log: Path) -> list[Program]:
    """What programs have told."""
    return [_program(line) for line in log.read_text(errors="replace").splitlines()]


def _program(line: str) -> Program:
    *numbers, arguments = line.split("\t")
    cpu, begin, end = (int(number) / 1e9 for number in numbers)
    part = next((part for part, pattern in _PARTS if pattern.match(arguments)), REST)
    return Program(part, cpu, begin, end)


def cpu(programs: Iterable[Program]) -> dict[str, float]:
    """CPU seconds by part."""
    sums: defaultdict[str, float] = defaultdict(float)
    for program in programs:
        sums[program.part] += program.cpu
    return sums


def wall(programs: Iterable[Program], parts: Iterable[str]) -> float:
    """Seconds in which a program of these parts ran, or several did."""
    wanted = set(parts)
    spans = sorted((program.begin, program.end) for program in programs if program.part in wanted)
    return sum(end - begin for begin, end in _union(spans))


def _union(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans in the order of their begin, as spans that do not overlap."""
    current: tuple[float, float] | None = None
    for begin, end in spans:
        if current is None:
            current = begin, end
        elif begin > current[1]:
            yield current
            current = begin, end
        else:
            current = current[0], max(current[1], end)
    if current is not None:
        yield current
