# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures: a stock build of each release, made once and kept, that every other build must equal."""

import functools
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.capture import CaptureManager

from tests.kernel import sources
from tests.kernel.sources import CACHE, SERIES
from tests.kernel.trees import CONFIG, Linked, ObjectTree
from tests.measure import Daemon

#: Seconds for one test, with the stock build that it may have to wait for.
LIMIT = 4 * 3600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each of these builds kernels, and may wait for whole builds."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kernel)
            item.add_marker(pytest.mark.timeout(LIMIT))


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Show a line while the tests run: a build takes minutes."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert isinstance(capture, CaptureManager)

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{time.strftime('%H:%M:%S')} {line}", end="", flush=True)

    return write


@dataclass(frozen=True)
class Stock:
    """What kbuild makes of one release without us.

    source    a source tree that may be edited
    cold      the kernel of the source as it stands
    edited    the kernel with a function more (``sources.add_function``)
    scripts   what the object tree has below scripts/ (``ObjectTree.scripts``)
    """

    series: str
    source: Path
    cold: Linked
    edited: Linked
    scripts: dict[str, int]

    def tree(self, say: Callable[[str], None]) -> ObjectTree:
        """The one object tree of this release: its path may be in what it makes."""
        return ObjectTree(self.source, CACHE / self.series / "object", say)

    def built(self, say: Callable[[str], None]) -> ObjectTree:
        """The object tree with the stock kernel of ``cold`` in it."""
        tree = self.tree(say)
        if not (tree.directory / "System.map").exists():
            tree.configure()
        tree.make("vmlinux")
        return tree


@pytest.fixture(scope="session")
def make_stock(say: Callable[[str], None], unavailable: Callable[[str], NoReturn]) -> Callable[[str], Stock]:
    """The stock builds of a release: made when first asked for, unless an earlier run has left them."""

    @functools.cache
    def make(series: str) -> Stock:
        if reason := sources.why_not(series):
            unavailable(reason)
        source = sources.editable(series)
        kept = CACHE / series / f"stock-{_inputs(source)}"
        made = Stock(series, source, Linked(kept / "cold"), Linked(kept / "edited"), {})
        if not (kept / "scripts").exists():
            tree = made.tree(say)
            tree.configure()
            tree.make("vmlinux")
            tree.set_aside(made.cold.directory)
            scripts = tree.scripts()
            sources.add_function(source)
            tree.make("vmlinux")
            tree.set_aside(made.edited.directory)
            sources.restore(source, series)
            (kept / "scripts").write_text(json.dumps(scripts))  # last: now all is there
        made.scripts.update(json.loads((kept / "scripts").read_text()))
        return made

    return make


@pytest.fixture(scope="session", params=SERIES)
def stock(request: pytest.FixtureRequest, make_stock: Callable[[str], Stock]) -> Stock:
    """Each release in turn."""
    return make_stock(request.param)


@pytest.fixture(scope="session")
def stocks(make_stock: Callable[[str], Stock]) -> list[Stock]:
    """All releases."""
    return [make_stock(series) for series in SERIES]


def _inputs(source: Path) -> str:
    """A digest of what a stock build depends on, so that a kept one is not taken for another's."""
    digest = hashlib.sha256()
    for part in (CONFIG.read_bytes(), (source / "Makefile").read_bytes(), sources.FUNCTION.encode()):
        digest.update(part)
    for program in ("gcc", "ld", "as"):
        digest.update(subprocess.run([program, "--version"], capture_output=True, check=True).stdout)
    return digest.hexdigest()[:16]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon of the test's own, which every client must use: KALLSYMSD=require in its environment."""
    with tempfile.TemporaryDirectory(prefix="kd-") as directory, Daemon(Path(directory)) as running:
        running.environment["XDG_DATA_HOME"] = os.fspath(Path(directory, "data"))
        yield running
