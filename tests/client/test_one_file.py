# SPDX-License-Identifier: GPL-2.0-only
"""Two outputs that are one file, or an output that is read: refused, whatever their names."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.conftest import MAP, Kallsyms, Run, elf
from tests.client.test_from_elf import VMLINUX


def _shown(path: Path) -> str:
    return path.name


def _symbolic(path: Path) -> str:
    link = path.with_name("symbolic")
    link.symlink_to(path.name)
    return link.name


def _dangling(path: Path) -> str:
    (path.parent / "sub").mkdir(exist_ok=True)
    link = path.parent / "sub" / "dangling"
    link.symlink_to(f"../{path.name}")
    return "sub/dangling"


def _hard(path: Path) -> str:
    os.link(path, path.with_name("hard"))
    return "hard"


def _directory(path: Path) -> str:
    (path.parent / "elsewhere").symlink_to(".")
    return f"elsewhere/{path.name}"


def _descriptor(path: Path) -> str:
    descriptor = os.open(path, os.O_RDWR)
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no keyword
    return f"/proc/self/fd/{descriptor}"


Alias = Callable[[Path], str]
#: Names for a file that is there.
NAMES: dict[str, Alias] = {
    "its own": _shown,
    "with a dot": lambda path: f"./{path.name}",
    "absolute": str,
    "symbolic link": _symbolic,
    "hard link": _hard,
    "link to the directory": _directory,
    "descriptor": _descriptor,
}
#: Names for one that is not.
NEW_NAMES = {
    **{name: NAMES[name] for name in ("its own", "with a dot", "absolute", "link to the directory")},
    "link that leads nowhere": _dangling,
}


@pytest.fixture
def tree(kallsyms: Kallsyms) -> Kallsyms:
    """The program, with inputs of each kind and older outputs."""
    kallsyms.write("vmlinux", elf())
    kallsyms.write("linked", VMLINUX)
    for name in ("out.S", "out.bin", "out.map"):
        kallsyms.write(name, b"old " + name.encode())
    return kallsyms


def _contents(tree: Kallsyms) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tree.here.iterdir() if path.is_file()}


def _run(tree: Kallsyms, arguments: list[str], stdout: int = subprocess.PIPE) -> Run:
    done = subprocess.run(
        [sys.executable, "-m", "kallsyms_client", *arguments],
        cwd=tree.here,
        env=tree.environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        close_fds=False,
        check=False,
    )
    return Run(done.returncode, done.stdout or b"", done.stderr)


def _refused(tree: Kallsyms, run: Run, before: dict[str, bytes]) -> None:
    assert (run.status, run.out) == (1, b"")
    assert b": given both as " in run.err
    assert run.err.startswith(b"kallsyms: ")
    assert run.err.count(b"\n") == 1
    assert _contents(tree) == before


#: {} is the other name of the file that comes first.
FORMS = [
    ("out.S", "--dialect=v6.11 vmlinux in.map out.S {}"),
    ("vmlinux", "--dialect=v6.11 vmlinux in.map {} out.bin"),
    ("vmlinux", "--dialect=v6.11 --format=asm vmlinux in.map out.S {}"),
    ("in.map", "--dialect=v6.11 vmlinux in.map out.S {}"),
    ("in.map", "--dialect=v6.11 vmlinux in.map {} out.bin"),
    ("linked", "--dialect=v6.11 --from-elf linked out.S {}"),
    ("out.bin", "--dialect=v6.11 --from-elf linked out.S out.bin --sysmap={}"),
    ("linked", "--dialect=v7.4 --sysmap={} linked"),
    ("linked", "--dialect=v7.4 linked {}"),
    ("out.bin", "--dialect=v7.4 linked out.bin --sysmap={}"),
    ("linked", "--dialect=v6.11 --patch linked --sysmap={}"),
    ("linked", "--dialect=v6.11 --patch linked out.S {}"),
    ("out.S", "--dialect=v6.11 --patch linked out.S {}"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("file", "form"), FORMS)
def test_a_file_that_is_there(tree: Kallsyms, file: str, form: str, name: str) -> None:
    other = NAMES[name](tree.here / file)
    before = _contents(tree)
    try:
        _refused(tree, _run(tree, form.format(other).split()), before)
    finally:
        if name == "descriptor":
            os.close(int(other.rpartition("/")[2]))


@pytest.mark.parametrize("name", NEW_NAMES)
@pytest.mark.parametrize(("file", "form"), [each for each in FORMS if each[0].startswith("out")])
def test_a_file_that_is_still_to_be_made(tree: Kallsyms, file: str, form: str, name: str) -> None:
    (tree.here / file).unlink()
    other = NEW_NAMES[name](tree.here / file)
    before = _contents(tree)
    _refused(tree, _run(tree, form.format(other).split()), before)


@pytest.mark.parametrize(
    ("file", "form"),
    [
        ("in.map", "--dialect=v6.11 in.map"),
        ("in.map", "--dialect=v6.11 --format=asm {}"),
        ("linked", "--dialect=v7.4 linked out.bin"),
        ("out.S", "--dialect=v7.4 linked {}"),
        ("out.S", "--dialect=v7.4 linked /dev/stdout"),
        ("out.S", "--dialect=v7.4 linked out.bin --sysmap={}"),
        ("out.S", "--dialect=v6.11 vmlinux in.map {} /dev/stdout"),
        ("in.map", "--dialect=v6.11 vmlinux in.map out.S /dev/stdout"),
    ],
)
@pytest.mark.parametrize("name", ["its own", "with a dot", "symbolic link", "hard link"])
def test_standard_output(tree: Kallsyms, file: str, form: str, name: str) -> None:
    other = NAMES[name](tree.here / file)
    before = _contents(tree)
    descriptor = os.open(tree.here / file, os.O_RDWR)
    try:
        _refused(tree, _run(tree, form.format(other).split(), descriptor), before)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("is_directory", [True, False])
def test_a_bind_mount(tree: Kallsyms, *, is_directory: bool) -> None:
    (tree.here / "mounted").mkdir()
    (tree.here / "mounted.bin").touch()
    mount = "mount --bind . mounted" if is_directory else "mount --bind vmlinux mounted.bin"
    name = "mounted/out.S" if is_directory else "mounted.bin"
    (tree.here / "out.S").unlink()
    before = _contents(tree)
    command = f'{mount} || exit 77; exec "$@"'
    arguments = ["--dialect=v6.11", "vmlinux", "in.map", "out.S", name]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, "sh", sys.executable, "-m", "kallsyms_client", *arguments],
        cwd=tree.here,
        env={**tree.environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    if done.returncode == 77 or done.stderr.startswith(b"unshare: "):
        pytest.skip("no mounts here")
    _refused(tree, Run(done.returncode, done.stdout, done.stderr), before)


@pytest.mark.parametrize(
    "form",
    [
        "--format=asm /dev/null in.map /dev/null /dev/null",
        "--from-elf linked /dev/null /dev/null --sysmap=/dev/null",
        "vmlinux in.map out.S sub/out.S",
        "vmlinux in.map out.S out.s",
    ],
)
def test_different_files_and_devices_are_taken(tree: Kallsyms, form: str) -> None:
    (tree.here / "sub").mkdir()
    run = _run(tree, ["--dialect=v6.11", *form.split()])
    assert (run.status, run.err) == (0, b"")


@pytest.mark.parametrize("name", ["out.bin", "./out.bin"])
def test_a_map_called_like_the_bin_gets_plain_assembly(tree: Kallsyms, name: str) -> None:
    # The kernel's own tool needs no other file: nobody asked for this one.
    tree.write("out.bin", MAP)
    _plain(tree, name)
    assert (tree.here / "out.bin").read_bytes() == MAP


def test_so_does_the_map_of_a_linked_kernel_called_like_the_bin(tree: Kallsyms) -> None:
    tree.write("out.bin", elf())
    tree.write("out.bin.syms", MAP)
    _plain(tree, "out.bin.syms")
    assert (tree.here / "out.bin").read_bytes() == elf()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_so_does_a_bin_that_is_standard_output(
    tree: Kallsyms, link: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree.here)
    Path("out.bin").unlink()
    Path("out.S").write_bytes(b"")
    link("out.S", "out.bin")
    _plain(tree, "in.map")


def _plain(tree: Kallsyms, in_map: str) -> None:
    with (tree.here / "out.S").open("wb") as out:
        run = tree("--dialect=v6.11", "--64bit", in_map, stdout=out)
    assert (run.status, run.err) == (0, b"")
    text = (tree.here / "out.S").read_bytes()
    assert text.startswith(b"#include <asm/bitsperlong.h>\n")
    assert b".incbin" not in text
