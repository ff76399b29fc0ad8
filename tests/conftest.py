# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures and settings of all tests."""

import os
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from kallsymsd.core.native import simd
from tests import maps, oracles
from tests.maps import RealMap
from tests.oracles import Oracle

# No deadlines: this proves bytes, not speed, and may share its machine.
settings.register_profile("dev", max_examples=40, deadline=None)
settings.register_profile("ci", max_examples=400, deadline=None, print_blob=True)
settings.register_profile(
    "thorough", max_examples=20_000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


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


@pytest.fixture(scope="session")
def source(unavailable: Callable[[str], NoReturn]) -> Callable[..., bytes]:
    """The text of scripts/kallsyms.c, or of the file named, of the kernel that is a dialect's oracle."""

    def text(dialect: str, name: str = "kallsyms.c") -> bytes:
        return oracles.source(dialect, name) or unavailable(oracles.missing(dialect))

    return text


@pytest.fixture(scope="session", params=sorted(maps.EXPECTED))
def real_map(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RealMap:
    """Each of the real maps in turn, decompressed once."""
    name: str = request.param
    return maps.unpack(name, tmp_path_factory.mktemp("maps") / f"{name}.map")


@pytest.fixture(scope="session")
def real_oracle(real_map: RealMap, unavailable: Callable[[str], NoReturn]) -> Oracle:
    """The kernel's own tool for ``real_map``."""
    found = oracles.find(real_map.dialect)
    return found or unavailable(oracles.missing(real_map.dialect))


@pytest.fixture(scope="module", params=["portable", "sse2", "avx2"])
def variant(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set in turn."""
    name: str = request.param
    chosen = simd.variant()
    if not simd.choose_variant(name.encode()):
        pytest.skip(f"this machine has no {name}")
    yield name
    simd.choose_variant(chosen.encode())
