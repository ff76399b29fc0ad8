# SPDX-License-Identifier: GPL-2.0-only
"""One client's life: edit the map, run kallsyms, compare; sometimes be killed half-way."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter

from tests.soak.trees import Tree

# Seconds after which a client hangs, which is a failure.
_PATIENCE = 60.0
_KILLED = 0.08


_Outputs = tuple[bytes | None, bytes | None]


class Builder:
    """Runs clients in a tree, one after the other.

    counted   what happened, and how often
    failures  what must not happen, in words
    """

    def __init__(self, tree: Tree, slot: int, environment: dict[str, str], seed: int) -> None:
        self.counted: Counter[str] = Counter()
        self.failures: list[str] = []
        self._tree = tree
        self._map = f".tmp_vmlinux{slot}.syms"
        self._outputs = tree.path / f"{slot}.S", tree.path / f"{slot}.bin"
        self._environment = environment
        self._rng = random.Random(seed)
        self._version = 0
        # What may be in the outputs (None: they are not there): one answer, after a killed client several.
        self._possible: list[_Outputs] = [(None, None)]

    def run(self, end: threading.Event) -> None:
        """Build until ``end``."""
        while not end.is_set() and not self.failures:
            try:
                self._build()
            except (OSError, subprocess.SubprocessError) as error:
                self.failures.append(f"{self._outputs[0]}: {error}")

    def _build(self) -> None:
        rng, last = self._rng, len(self._tree.maps) - 1
        step = rng.choice([-1, 0, 1, 1, rng.randrange(-last, last + 1)])
        self._version = min(max(self._version + step, 0), last)
        self._tree.write(self._map, self._version, rename=rng.random() < 0.5)
        text, binary = self._tree.right(self._version)
        right = text.replace(b"OUT.bin", self._outputs[1].name.encode()), binary
        if rng.random() < 0.3:  # time to compute ahead
            time.sleep(rng.uniform(0, 0.3))
        names = "vmlinux", self._map, self._outputs[0].name, self._outputs[1].name
        client = subprocess.Popen(
            [sys.executable, "-m", "kallsyms_client", "-v", "--dialect=v6.11", "--all-symbols", *names],
            cwd=self._tree.path,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if rng.random() < _KILLED:
            time.sleep(rng.uniform(0, 0.15))
            client.kill()
        _, said = client.communicate(timeout=_PATIENCE)
        if client.returncode < 0:
            self.counted["killed"] += 1
            # Killed between the two: no .S is better than one with another's .bin.
            self._possible += [right, (None, right[1])]
            self._compare(self._possible)
            return
        self._possible = [right]
        self._compare(self._possible)
        if client.returncode != 0:
            self.failures.append(f"{self._outputs[0]}: exit status {client.returncode}: {said!r}")
        lines = said.decode("utf-8", "backslashreplace").splitlines()
        self.counted["builds"] += 1
        self.counted["warnings"] += sum("warning" in line for line in lines)
        self.counted[_maker(lines)] += 1

    def _compare(self, possible: list[_Outputs]) -> None:
        for path, answers in zip(self._outputs, zip(*possible, strict=True), strict=True):
            content = path.read_bytes() if path.exists() else None
            if content not in answers:
                self.failures.append(f"{path}: wrong bytes for version {self._version}")


def _maker(lines: list[str]) -> str:
    """Who made the tables, and how, as the client says."""
    for line in lines:
        how, colon, _ = line.removeprefix("kallsyms: ").partition(":")
        if colon and how.split(" ")[0] in {"cold", "incremental", "addresses", "hit"}:
            return "in-process" if "in-process" in line else how
    return "unsaid"
