# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures and settings of all tests."""

import json
import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from . import oracles
from .oracles import Oracle

DATA = Path(__file__).parent / "data"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text())

# No deadlines: this proves bytes, not speed, and may share its machine.
settings.register_profile("dev", max_examples=40, deadline=None)
settings.register_profile("ci", max_examples=400, deadline=None, print_blob=True)
settings.register_profile(
    "thorough", max_examples=20_000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@dataclass(frozen=True)
class RealMap:
    """A System.map of a Debian kernel, and what that kernel holds.

    name      as in expected.json
    dialect   the dialect of the kernel's tool
    options   what its build passed to the tool, without dashes
    path      the map, decompressed
    expected  its entry in expected.json
    """

    name: str
    dialect: str
    options: tuple[str, ...]
    path: Path
    expected: dict[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-oracles",
        action="store_true",
        help="fail, do not skip, where a kernel's own tool or a foreign assembler is missing",
    )


@pytest.fixture(scope="session")
def unavailable(pytestconfig: pytest.Config) -> Callable[[str], NoReturn]:
    """End a test that cannot run on this machine: a skip, but a failure where the proof must be complete."""

    def end(reason: str) -> NoReturn:
        if pytestconfig.getoption("--require-oracles"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return end


@pytest.fixture(scope="session", params=sorted(oracles.SERIES))
def oracle(request: pytest.FixtureRequest, unavailable: Callable[[str], NoReturn]) -> Oracle:
    """Each of the kernel's own tools in turn."""
    found = oracles.find(request.param)
    return found or unavailable(oracles.missing(request.param))


@pytest.fixture(scope="session", params=sorted(EXPECTED))
def real_map(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RealMap:
    """Each of the real maps in turn, decompressed once."""
    name: str = request.param
    path = tmp_path_factory.mktemp("maps") / f"{name}.map"
    path.write_bytes(lzma.decompress((DATA / f"{name}.map.xz").read_bytes()))
    expected = EXPECTED[name]
    return RealMap(
        name=name,
        dialect="v6.1.y" if "-6.1." in name else "v6.11",
        options=tuple(option.removeprefix("--") for option in expected["options"]),
        path=path,
        expected=expected,
    )


@pytest.fixture(scope="session")
def real_oracle(real_map: RealMap, unavailable: Callable[[str], NoReturn]) -> Oracle:
    """The kernel's own tool for ``real_map``."""
    found = oracles.find(real_map.dialect)
    return found or unavailable(oracles.missing(real_map.dialect))
