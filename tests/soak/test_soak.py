# SPDX-License-Identifier: GPL-2.0-only
"""Half a minute of the soak."""

import tempfile
from pathlib import Path

import pytest

from tests.soak.__main__ import soak


@pytest.mark.soak
def test_half_a_minute_of_kills(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:  # short enough for a socket
        failures = soak(Path(directory), 30, 1, symbols=2000, versions=20)
    assert failures == []
    figures = capsys.readouterr().out
    for happened in ("builds", "killed", "hit", "incremental", "in-process", "read nothing", "name anew"):
        assert f"{happened} " in figures
