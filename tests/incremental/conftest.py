# SPDX-License-Identifier: GPL-2.0-only
"""Tells at the end of a run which paths the random sequences took."""

import pytest

from tests.incremental.paths import STEPS, TAKEN, Path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if STEPS:
        terminalreporter.section("random sequences of rebuilds")
        for kind, count in sorted(STEPS.items()):
            terminalreporter.write_line(f"{count:8} {kind}")
        for path in Path:
            terminalreporter.write_line(f"{TAKEN[path]:8} {path}")
