# SPDX-License-Identifier: GPL-2.0-only
"""Files in trees that are not what they seem: each reader refuses them, at once and in its own way."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kallsyms_client.failures import ClientError
from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.counters import jsonfile
from kallsymsd.ctl import passes, unitfiles
from kallsymsd.ctl.command import CommandError
from kallsymsd.ctl.verification import subject
from kallsymsd.kbuild import linkedmap as maps
from kallsymsd.kbuild.hook import hookedtrees, scriptpatch
from kallsymsd.kbuild.hook.hookedtrees import TreeError
from kallsymsd.kbuild.hook.hookfiles import _write, program_of
from kallsymsd.kbuild.hook.scriptpatch import PatchError
from kallsymsd.kbuild.linkonce import _copy
from kallsymsd.kbuild.outcome import NAME, Outcome
from kallsymsd.kbuild.script import recipe
from kallsymsd.kbuild.standin import DEFERRED
from kallsymsd.onelink import btf, lastlink
from kallsymsd.onelink.configuration import Configuration
from kallsymsd.onelink.inputs import Classes, Inputs
from kallsymsd.onelink.lastlink import LinkInputs
from kallsymsd.service.config import ConfigurationError, load
from tests.odd import ODD, PRECIOUS, is_untouched, not_waiting, put

_NOTHING = LinkInputs(Inputs((), Classes()), ())


@pytest.fixture(params=ODD)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return tmp_path / "outside"


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty object tree, the working directory; nothing outside changes, and nothing waits."""
    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.chdir(tree)
    with not_waiting():
        yield tree
    assert is_untouched(outside)


#: What reads a file whose name is the last argument. Those may follow a link to a regular file.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "configuration": ("include/config/auto.conf", lambda _: Configuration()),
    "script": ("scripts/link-vmlinux.sh", lambda path: recipe.read(bytes(path))),
    "pass": (".tmp_vmlinux2.syms", passes.read),
    "width": ("System.map", subject._bits),
    "object with BTF": (".btf.vmlinux.bin.o", btf.read),
    "input": ("vmlinux.o", lambda _: lastlink.predict_link(Path(), BY_NAME["v6.11"])),
    "kernel": ("scripts/kallsyms.c", lambda _: scriptpatch.make(Path())),
}
ERRORS = (OSError, ClientError, CommandError, InputError, PatchError)


@pytest.mark.parametrize("reader", READERS)
def test_readers(tree: Path, outside: Path, kind: str, reader: str) -> None:
    name, read = READERS[reader]
    put(kind, tree / name, outside)
    if kind == "link to a file":
        with contextlib.suppress(*ERRORS):
            read(tree / name)
    else:
        with pytest.raises(ERRORS):
            read(tree / name)


def test_the_map_of_an_odd_kernel_is_the_scripts_own_affair(tree: Path, outside: Path, kind: str) -> None:
    put(kind, tree / "vmlinux", outside)
    assert maps.main(["vmlinux", "System.map"]) == DEFERRED
    assert not (tree / "System.map").exists()


def test_how_a_link_went(tree: Path, outside: Path, kind: str) -> None:
    put(kind, tree / NAME, outside)
    assert Outcome.load().describe() == ""
    Outcome(reason="a test").save()
    assert Outcome.load().describe() == ""
    assert not (tree / NAME).is_file() or (tree / NAME).is_symlink()


@pytest.mark.parametrize("name", [".tmp_vmlinux.inputs", ".tmp_vmlinux2.syms"])
def test_what_is_known_of_the_last_link(tree: Path, outside: Path, kind: str, name: str) -> None:
    put(kind, tree / name, outside)
    assert lastlink.recall(tree) is None


@pytest.mark.parametrize("name", [".tmp_vmlinux.inputs.new", ".tmp_vmlinux2.syms.new"])
def test_what_is_noted_of_a_link_takes_the_place_of_anything(
    tree: Path, outside: Path, kind: str, name: str
) -> None:
    put(kind, tree / name, outside)
    if kind == "directory":
        with pytest.raises(IsADirectoryError):
            learned(tree)
    else:
        assert learned(tree)


def learned(tree: Path) -> bool:
    lastlink.note(tree, _NOTHING)
    lastlink.learn(tree, b"0 T a\n")
    return lastlink.recall(tree) is not None


def test_a_copy_for_pahole(tree: Path, outside: Path, kind: str) -> None:
    content = os.urandom(3_000_000)
    (tree / "linked").write_bytes(content)
    _copy("linked", "copy")
    assert (tree / "copy").read_bytes() == content
    put(kind, tree / "odd", outside)
    with pytest.raises(OSError):  # noqa: PT011  each kind has its own
        _copy("linked", "odd")
    if kind != "link to a file":
        with pytest.raises(OSError):  # noqa: PT011  as above
            _copy("odd", "copy")


@pytest.mark.parametrize("name", ["value", "value.new"])
def test_a_small_file(tree: Path, outside: Path, kind: str, name: str) -> None:
    put(kind, tree / name, outside)
    assert jsonfile.load(tree / "value", 100) is None
    if kind == "directory":
        with pytest.raises(OSError):  # noqa: PT011  "Is a directory", or "not empty"
            jsonfile.save(tree / "value", 7)
    else:
        jsonfile.save(tree / "value", 7)
        assert jsonfile.load(tree / "value", 100) == 7
    assert not outside.exists() or outside.read_bytes() == PRECIOUS


def test_the_configuration_file(tree: Path, outside: Path, kind: str) -> None:
    put(kind, tree / "config.toml", outside)
    with pytest.raises(ConfigurationError, match=r"config\.toml"):
        load({}, {"KALLSYMSD_CONFIG": str(tree / "config.toml"), "HOME": str(tree)})


@pytest.mark.parametrize("name", [unitfiles.SERVICE, f"{unitfiles.SERVICE}.new"])
def test_unit_files(tree: Path, outside: Path, kind: str, name: str) -> None:
    put(kind, tree / name, outside)
    assert unitfiles.started_by(tree) == ""
    if kind == "directory":
        with pytest.raises(CommandError):
            unitfiles.write(tree, {unitfiles.SERVICE: "ExecStart=kallsymsd\n"})
    else:
        unitfiles.write(tree, {unitfiles.SERVICE: "ExecStart=kallsymsd\n"})
        assert unitfiles.started_by(tree) == "kallsymsd"


def test_files_of_the_hook(tree: Path, outside: Path, kind: str) -> None:
    put(kind, tree / "sh", outside)
    assert program_of(tree / "hook.mk") is None
    if kind == "directory":
        with pytest.raises(OSError):  # noqa: PT011  "Is a directory", or "not empty"
            _write(tree / "sh", b"#!/bin/sh\n")
    else:
        _write(tree / "sh", b"#!/bin/sh\n")
        assert (tree / "sh").read_bytes() == b"#!/bin/sh\n"


@pytest.mark.parametrize("name", [hookedtrees.MAKEFILE, hookedtrees.SWITCH])
def test_files_of_a_tree_with_the_hook(tree: Path, outside: Path, kind: str, name: str) -> None:
    for source in ("scripts/link-vmlinux.sh", "scripts/kallsyms.c", "Kbuild"):
        (tree / source).parent.mkdir(exist_ok=True)
        (tree / source).touch()
    put(kind, tree / name, outside)
    assert not hookedtrees.is_ours(tree / name)
    assert hookedtrees.hook_of(tree) is None
    assert not hookedtrees.has_one_link(tree)
    with pytest.raises(TreeError, match="was not written by kallsymsctl"):
        hookedtrees.install(hookedtrees.find(tree), tree / "sh", one_link=False)
