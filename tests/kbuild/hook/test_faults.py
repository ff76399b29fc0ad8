# SPDX-License-Identifier: GPL-2.0-only
"""Whatever fails of ours in a hooked build: the tree's own tool does the work, the kernel is the same."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from kallsymsd.kbuild.hook.hookfiles import value
from tests.kbuild.hook.miniature import Miniature, trust

pytestmark = pytest.mark.parametrize("tree", [("v6.11", "O=")], ids=" ".join, indirect=True)

# The interpreter is called as: python -I -S .../kbuild/__main__.py VERB ...
_WRAPPER = """\
#!/bin/sh
case $4 in
{verb}) {fault} ;;
esac
exec {python} "$@"
"""


@pytest.fixture
def hook(tree: Miniature) -> Path:
    """Directory of a hook that was made, for a test to damage."""
    assert tree.ctl("run", "true").returncode == 0
    shell = next(Path(tree.environment["HOME"]).rglob("hook-*/sh"))
    tree.environment["GPATH"] = value(shell)
    return shell.parent


def replace_interpreter(hook: Path, by: Path | str) -> None:
    """Have the hook's scripts start another one."""
    for name in ("sh", "kallsyms"):
        script = hook / name
        text = script.read_text()
        line = f"python={shlex.quote(sys.executable)}\n"
        assert line in text
        script.write_text(text.replace(line, f"python={shlex.quote(str(by))}\n"))


def fail(hook: Path, verb: str, fault: str) -> None:
    """Have the interpreter fail when it is to do ``verb``."""
    wrapper = hook / "interpreter"
    wrapper.write_text(_WRAPPER.format(verb=verb, fault=fault, python=shlex.quote(sys.executable)))
    wrapper.chmod(0o755)
    replace_interpreter(hook, wrapper)


def test_nothing_damaged(tree: Miniature, stock: dict[str, bytes], hook: Path) -> None:
    fail(hook, "none", "exit 1")
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 0)
    assert tree.results() == stock


@pytest.mark.parametrize(
    ("verb", "fault", "said"),
    [
        ("recipe", "exit 1", ""),
        ("recipe", "kill -9 $$", ""),
        ("recipe", "exit 0", ""),
        ("recipe", "echo 'echo half of it'; exit 3", ""),
        ("tool", "exit 1", "kallsymsd: kallsyms ended with status 1; scripts/kallsyms runs instead\n"),
        ("tool", "exit 101", ""),
        ("tool", "echo garbage; exit 101", ""),
        ("tool", "yes | head -c 100000; kill -9 $$", "status 137; scripts/kallsyms runs instead\n"),
        ("tool", "kill -SEGV $$", "status 139; scripts/kallsyms runs instead\n"),
    ],
)
def test_a_failing_client(
    tree: Miniature, stock: dict[str, bytes], hook: Path, verb: str, fault: str, said: str
) -> None:
    fail(hook, verb, fault)
    done = tree.make()
    assert (done.returncode, tree.tool_runs()) == (0, 1), done.stderr
    assert tree.results() == stock
    # A shell may name the signal before.
    assert done.stderr.endswith(said)
    assert len(done.stderr.splitlines()) <= (2 if "kill" in fault else 1 if said else 0)


@pytest.mark.parametrize(
    ("status", "fault"), [(1, "exit 100"), (130, "kill -INT $$"), (143, "kill -TERM $$")]
)
def test_ends_that_are_final(tree: Miniature, hook: Path, status: int, fault: str) -> None:
    assert tree.make().returncode == 0
    tree.edit()
    assert tree.tool_runs() == 0
    fail(hook, "tool", fault)
    done = tree.make()
    assert (done.returncode, tree.tool_runs()) == (2, 0)
    stand_in = tree.run(str(hook / "kallsyms"), "--all-symbols", "kernel.map")
    assert (stand_in.returncode, tree.tool_runs()) == (status, 0)


@pytest.mark.parametrize("interpreter", ["/no/python", "/bin/false"])
def test_without_an_interpreter(
    tree: Miniature, stock: dict[str, bytes], hook: Path, interpreter: str
) -> None:
    replace_interpreter(hook, interpreter)
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 1)
    assert tree.results() == stock


def test_without_the_package(tree: Miniature, stock: dict[str, bytes], hook: Path) -> None:
    for name in ("sh", "kallsyms"):
        script = hook / name
        script.write_text(script.read_text().replace("kbuild/__main__.py", "kbuild/gone.py"))
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 1)
    assert tree.results() == stock


def test_with_half_of_the_package(tree: Miniature, stock: dict[str, bytes], hook: Path) -> None:
    package = hook / "kallsymsd"
    real = Path(__file__).parents[3] / "kallsymsd"
    for name in ("__init__.py", "kbuild/__init__.py", "kbuild/__main__.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes((real / name).read_bytes())
    for name in ("sh", "kallsyms"):
        script = hook / name
        script.write_text(script.read_text().replace(str(real), str(package)))
    done = tree.make()
    assert (done.returncode, tree.tool_runs()) == (0, 1)
    assert "ModuleNotFoundError" in done.stderr
    assert tree.results() == stock


def test_without_the_hook(tree: Miniature, stock: dict[str, bytes], hook: Path) -> None:
    (hook / "sh").unlink()
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 1)
    assert tree.results() == stock


# Root without the capability to ignore modes is stopped by them as everybody is.
_BY_MODES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")


@pytest.mark.parametrize(
    "damage",
    [
        "chmod a-x sh",
        "chmod a-x sh kallsyms",
        "chmod 0 sh",
        "chmod 0 sh kallsyms",
        "chmod 0111 sh",
        "chmod 0 .",
        "chmod a-x .",
        "chmod 0 ..",
        "rm sh",
        "rm -r $PWD",
        ": > sh",
        "sed -i /recipe/,\\$d sh",
        "rm sh; mkdir sh",
        "rm sh; ln -s sh sh",
        "rm sh; mkfifo sh; chmod 700 sh",
    ],
)
@pytest.mark.parametrize("way", ["run", "install"])
def test_files_of_the_hook_that_cannot_be_used(
    tree: Miniature, stock: dict[str, bytes], hook: Path, damage: str, way: str
) -> None:
    """The stock flow, and not a word: no shell says that permission is denied."""
    if way == "install":
        del tree.environment["GPATH"]
        assert tree.ctl("install").returncode == 0
    assert tree.run("sh", "-c", damage, where=hook).returncode == 0
    try:
        for makes in (["make"], ["make", "SHELL=/bin/bash"]):
            (tree.objects / "vmlinux").unlink(missing_ok=True)
            done = tree.run(*_BY_MODES, *makes)
            assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 1)
            assert tree.results() == stock
    finally:
        hook.parent.chmod(0o700)


def test_a_file_system_on_which_nothing_runs(
    tree: Miniature, stock: dict[str, bytes], hook: Path, unavailable: Callable[[str], NoReturn]
) -> None:
    mount = f"mount --bind {hook} {hook} && mount -o remount,bind,noexec {hook}"
    if tree.run("unshare", "-m", "sh", "-c", mount).returncode:
        unavailable("only root can mount a file system noexec")
    for command in ("make", "make SHELL=/bin/bash"):
        done = tree.run("unshare", "-m", "sh", "-c", f"{mount} && exec {command}")
        assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 1)
        assert tree.results() == stock
        (tree.objects / "vmlinux").unlink()


@pytest.mark.parametrize(
    "fault",
    [
        "rm -r {}",
        "chmod a-x {}/kallsyms",
        "chmod 0 {}",
        "rm {}/kallsyms; mkdir {}/kallsyms",
        "chmod 0111 {}/kallsyms",
    ],
)
@pytest.mark.parametrize("verbose", ["V=0", "V=1"])
def test_a_hook_that_vanishes_while_the_script_runs(
    tree: Miniature, stock: dict[str, bytes], hook: Path, fault: str, verbose: str
) -> None:
    script = tree.source / "scripts/link-vmlinux.sh"
    text = script.read_text()
    script.write_text(text.replace("cp kernel.map", '[ -z "$FAULT" ] || eval "$FAULT"\ncp kernel.map'))
    assert tree.make().returncode == 0
    assert tree.tool_runs() == 0
    (tree.objects / "vmlinux").unlink()
    done = tree.run(*_BY_MODES, "make", verbose, FAULT=fault.replace("{}", str(hook)))
    if hook.exists():
        hook.chmod(0o700)
    assert (done.returncode, tree.tool_runs()) == (0, 1), done.stderr
    assert "denied" not in done.stderr
    results = tree.results()
    assert results["vmlinux"] == stock["vmlinux"]
    assert results["System.map"] == stock["System.map"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.chmod(0o600)], ids=["gone", "mode"])
def test_without_the_stand_in(
    tree: Miniature, stock: dict[str, bytes], hook: Path, damage: Callable[[Path], None]
) -> None:
    program = hook / "kallsyms"
    damage(program)
    done = tree.make()
    assert (done.returncode, tree.tool_runs()) == (0, 1)
    assert done.stderr == (
        f"kallsymsd: {program} is not executable (kallsymsctl run and install create it again); "
        "this link uses the kernel's own tool\n"
    )
    assert tree.results() == stock


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("link-vmlinux.sh", "\tscripts/kallsyms ", "\t./scripts/kallsyms ", "is not recognized"),
        ("link-vmlinux.sh", "#!/bin/sh\n", "#!/usr/bin/env sh\n", "is not recognized"),
    ],
)
def test_trees_that_are_not_known(
    tree: Miniature, hook: Path, name: str, old: str, new: str, why: str
) -> None:
    source = tree.source / "scripts" / name
    text = source.read_text()
    source.write_text(text.replace(old, new))
    assert source.read_text() != text
    done = tree.make()
    assert (done.returncode, tree.tool_runs()) == (0, 1)
    line = done.stderr
    assert line.startswith("kallsymsd: ")
    assert line.endswith(f"{why}; this link uses the kernel's own tool\n")
    assert len(line.splitlines()) == 1
    assert hook.exists()


def test_a_script_that_cannot_be_run_fails_as_it_would(tree: Miniature, hook: Path) -> None:
    (tree.source / "scripts/link-vmlinux.sh").chmod(0o644)
    done = tree.make()
    assert (done.returncode != 0, tree.tool_runs()) == (True, 0)
    assert "is not recognized" in done.stderr
    assert "Permission denied" in done.stderr
    assert hook.exists()


def test_an_option_that_only_the_tool_knows(tree: Miniature, hook: Path) -> None:
    tool = tree.source / "tool"
    tool.write_text(tool.read_text().replace("exec", "shift # the new option\nexec"))
    trust(tree.source, Path(tree.environment["HOME"]), "v6.11")
    script = tree.source / "scripts/link-vmlinux.sh"
    script.write_text(script.read_text().replace("local kallsymopt=", 'local kallsymopt="--new "'))
    done = tree.make()
    assert (done.returncode, done.stderr, tree.tool_runs()) == (0, "", 1)
    assert hook.exists()


def test_the_stand_in_without_a_build(tree: Miniature, hook: Path) -> None:
    """Into a pipe, and with the output at an offset: what stands before it is lost only with a fallback."""
    assert tree.make().returncode == 0
    made = tree.run(str(hook / "kallsyms"), "--all-symbols", "kernel.map", srctree=str(tree.source))
    assert "kallsyms_num_syms" in made.stdout
    assert tree.tool_runs() == 0
    fail(hook, "tool", "exit 101")
    fallback = tree.run(str(hook / "kallsyms"), "--all-symbols", "kernel.map")
    assert (fallback.returncode, tree.tool_runs()) == (0, 1)
    assert fallback.stdout == made.stdout
    refused = subprocess.run(
        [hook / "kallsyms"],
        cwd=tree.objects,
        env=tree.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 1
