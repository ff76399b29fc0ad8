# SPDX-License-Identifier: GPL-2.0-only
"""Kernels in miniature, built for the tests of one case."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.core import pipeline
from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.core.tables import Tables
from kallsymsd.elf import nm
from kallsymsd.elf.elffile import ElfFile
from tests import oracles
from tests.onelink.kernel import Configuration, Kernel, Tree


@dataclass(frozen=True)
class Case:
    """A kernel of some machine and how it is built; ``kernel`` is its state after an edit."""

    kernel: Kernel
    configuration: Configuration

    def __str__(self) -> str:
        configuration = self.configuration
        words = [self.kernel.machine.name, configuration.dialect.name, *configuration.options]
        return " ".join([*words, configuration.linker, *configuration.flags])


@dataclass
class Built:
    """What became of a case.

    tree    object tree of a stock build
    stock   its vmlinux
    tables  object with right-sized tables of an older state of the sources
    once    vmlinux linked with these
    """

    tree: Tree
    stock: Path
    tables: Path
    once: Path

    def elf(self) -> ElfFile:
        """The file to be patched."""
        return ElfFile.read(self.once.read_bytes())

    def needed(self) -> Tables:
        """The tables that it needs."""
        return needed(self.elf(), self.tree.configuration)


def needed(elf: ElfFile, configuration: Configuration) -> Tables:
    """The tables of a file's own symbols."""
    options = sum(OPTION_BITS[option] for option in configuration.options)
    return pipeline.build(nm.system_map(elf, configuration.dialect), configuration.dialect, options)


Build = Callable[[Case], Built]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, unavailable: Callable[[str], NoReturn]) -> Build:
    """Builds a case, each once."""
    done: dict[str, Built] = {}

    def built(case: Case) -> Built:
        machine, configuration = case.kernel.machine, case.configuration
        if why_not := machine.why_not(configuration.linker):
            unavailable(why_not)
        if configuration.dialect.name in oracles.SERIES and not oracles.find(configuration.dialect.name):
            unavailable(oracles.missing(configuration.dialect.name))
        key = repr(case)
        if key not in done:
            directory = tmp_path_factory.mktemp("kernel")
            older = Kernel(machine, head=case.kernel.head, percpu0=case.kernel.percpu0)
            stale = Tree(older, configuration, directory / "older").first()
            tree = Tree(case.kernel, configuration, directory / "tree")
            stock, tables = tree.build()
            # Where an object has local symbols but no name for them, ld takes that of the object's file.
            tables.write_bytes(stale.read_bytes())
            done[key] = Built(tree, stock, tables, tree.link("once", tables))
        return done[key]

    return built
