# SPDX-License-Identifier: GPL-2.0-only
"""Regular files only, to their end, and without waiting; and nobody opens files in another way."""

import ast
import errno
import os
from pathlib import Path

import pytest

from kallsymsd.protocol import regular
from tests.odd import ODD, PRECIOUS, is_untouched, not_waiting, put
from tests.oracles import ROOT

FLAGS = {
    "reading": os.O_RDONLY,
    "writing": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "both": os.O_RDWR | os.O_CREAT,
    "appending": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str, flags: str) -> None:
    path, outside = tmp_path / "path", tmp_path / "outside"
    put(kind, path, outside)
    before = set(Path("/proc/self/fd").iterdir())
    with not_waiting(), pytest.raises(OSError):  # noqa: PT011  each kind has its own
        regular.open_regular(str(path), FLAGS[flags], follow=False)
    assert is_untouched(outside)
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_pipe_that_somebody_holds_open_is_refused_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    other = os.open(tmp_path / "fifo", os.O_RDWR)
    for flags in FLAGS.values():
        with not_waiting(), pytest.raises(OSError, match="not a regular file"):
            regular.open_regular(str(tmp_path / "fifo"), flags, follow=True)
    os.close(other)


def test_links_are_followed_where_that_is_allowed(tmp_path: Path) -> None:
    put("link to a file", tmp_path / "path", tmp_path / "outside")
    assert regular.read_regular(str(tmp_path / "path"), 100, follow=True) == PRECIOUS
    put("link to a device", tmp_path / "path", tmp_path / "outside")
    with pytest.raises(OSError, match="not a regular file"):
        regular.read_regular(str(tmp_path / "path"), 100, follow=True)


@pytest.mark.parametrize("path", ["/proc/version", "/proc/self/mountinfo", "/proc/self/status"])
def test_a_file_that_says_it_is_empty_is_read_to_its_end(path: str) -> None:
    assert Path(path).stat().st_size == 0
    assert len(regular.read_regular(path, 1 << 20, follow=True)) > 100


@pytest.mark.parametrize("said", [0, 1, 999_999, 1_000_000, 5_000_000])
def test_the_size_said_decides_nothing(tmp_path: Path, said: int) -> None:
    content = os.urandom(1_000_000) * 3
    (tmp_path / "f").write_bytes(content)
    descriptor = regular.open_regular(str(tmp_path / "f"), follow=False)
    assert regular.read_to_end(descriptor, len(content), said) == content
    with pytest.raises(OSError, match="more than") as caught:
        regular.read_to_end(descriptor, len(content) - 1, said)
    assert caught.value.errno == errno.EFBIG
    assert regular.is_longer(descriptor, 2_999_999)
    assert not regular.is_longer(descriptor, 3_000_000)
    os.close(descriptor)


@pytest.mark.parametrize("said", ["right", "empty"])
def test_a_reader_reads_at_offsets(tmp_path: Path, said: str) -> None:
    content = os.urandom(10_000)
    (tmp_path / "f").write_bytes(content)
    descriptor = regular.open_regular(str(tmp_path / "f"), follow=False)
    reader = regular.Reader(descriptor, len(content) if said == "right" else 0)
    assert reader.size == len(content)
    for start, size in ((0, 100), (5000, 5000), (9000, 2000), (20_000, 10)):
        buffer = bytearray(size)
        done = reader.read(memoryview(buffer), start)
        assert buffer[:done] == content[start : start + size]
        assert done == len(content[start : start + size])
    os.close(descriptor)


@pytest.mark.parametrize("kind", ODD)
def test_a_new_file_takes_the_place_of_what_is_there(tmp_path: Path, kind: str) -> None:
    path, outside = tmp_path / "path", tmp_path / "outside"
    put(kind, path, outside)
    with not_waiting():
        if kind == "directory":
            with pytest.raises(IsADirectoryError):
                regular.write_new(str(path), b"new")
        else:
            regular.write_new(str(path), b"new", b"er")
            assert path.read_bytes() == b"newer"
            assert not path.is_symlink()
    assert is_untouched(outside)


@pytest.mark.parametrize("kind", ODD)
def test_what_is_written_in_place_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    path, outside = tmp_path / "path", tmp_path / "outside"
    put(kind, path, outside)
    with not_waiting(), pytest.raises(OSError):  # noqa: PT011  as above
        regular.write_regular(str(path), b"new")
    assert is_untouched(outside)
    regular.write_regular(str(tmp_path / "other"), b"a longer one")
    regular.write_regular(str(tmp_path / "other"), b"new")
    assert (tmp_path / "other").read_bytes() == b"new"


def test_a_new_file_that_cannot_be_filled_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        regular.write_new(str(tmp_path / "f"), b"part", None)  # type: ignore[arg-type]  # a fault
    assert list(tmp_path.iterdir()) == []


# Nobody opens files in another way.

#: What opens, reads, writes or copies a file.
_OPENING = {
    *("open", "read_bytes", "read_text", "write_bytes", "write_text", "touch", "mkfifo", "mknod", "creat"),
    *("copyfile", "copy2", "copytree", "mkstemp", "NamedTemporaryFile", "POSIX_SPAWN_OPEN"),
}
# A module of ours that touches something else.
_ELSEWHERE = {"memory"}
#: Those that there are, and why each may be. Whoever adds one says why here.
_ALLOWED = {
    ("kallsymsd/kbuild/script/onelinkedit.py", "_edited", "read_bytes"): "a file of this package",
    ("kallsyms_client/output.py", "commit", "open"): "an output that is no file, as the kernel's tool",
    ("kallsyms_client/destinations.py", "create_beside", "open"): "O_EXCL: always a new file",
    ("kallsyms_client/destinations.py", "position_and_flags", "open"): "made by the kernel, for us",
    ("kallsymsd/protocol/users.py", "_head", "open"): "made by the kernel, for us",
    ("kallsymsd/protocol/regular.py", "open_regular", "open"): "this is the one",
    ("kallsyms_client/session.py", "_build", "open"): "the map may be a pipe: waited for, as by the tool",
    ("kallsyms_client/start.py", "_spawn", "POSIX_SPAWN_OPEN"): "/dev/null",
    ("kallsyms_client/start.py", "_spawn", "open"): "O_PATH of the working directory: nothing is opened",
    ("kallsymsd/ctl/main.py", "_main", "open"): "/dev/null",
    ("kallsymsd/service/surroundings.py", "leave_build", "write_text"): "made by the kernel, for us",
    ("kallsymsd/ctl/man.py", "main", "write_text"): "for whoever makes a package, where they say",
    ("kallsymsd/ctl/verification/objects.py", "assemble", "read_bytes"): "in a temporary directory of ours",
    ("kallsymsd/ctl/verification/objects.py", "assemble", "write_text"): "in a temporary directory of ours",
    ("kallsymsd/ctl/unitfiles.py", "texts", "read_text"): "a file of this package",
    (
        "kallsymsd/ctl/verification/steps.py",
        "_compare_objects",
        "write_bytes",
    ): "in a temporary directory of ours",
    ("kallsymsd/ctl/verification/steps.py", "_run_tool", "open"): "in a temporary directory of ours",
    ("kallsymsd/ctl/verification/steps.py", "_run_tool", "read_bytes"): "in a temporary directory of ours",
    ("kallsymsd/kbuild/hook/hookedtrees.py", "_why_not", "open"): "O_DIRECTORY: whether it can be entered",
}


def opens(text: str) -> set[tuple[str, str]]:
    """Function and what is called, of all that opens files in the text of a module."""
    found: set[tuple[str, str]] = set()

    def visit(node: ast.AST, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            name = ""
            if isinstance(child, ast.Attribute):
                owner = child.value.id if isinstance(child.value, ast.Name) else ""
                name = "" if owner in _ELSEWHERE else child.attr
                if owner == "shutil" and child.attr == "copy":
                    name = "copyfile"
            elif isinstance(child, ast.Name):
                name = child.id if child.id == "open" else ""
            elif isinstance(child, ast.ImportFrom) and child.module in ("os", "posix", "io", "shutil"):
                found.update((inside, each.name) for each in child.names if each.name in _OPENING)
            if name in _OPENING:
                found.add((inside, name))
            visit(child, inside)

    visit(ast.parse(text), "")
    return found


def test_all_files_are_opened_here() -> None:
    found = {
        (str(path.relative_to(root)), *each)
        for root in (ROOT, ROOT / "client")
        for path in (root / ("kallsymsd" if root == ROOT else "kallsyms_client")).rglob("*.py")
        for each in opens(path.read_text())
    }
    assert found - _ALLOWED.keys() == set(), "use kallsymsd.protocol.regular"
    assert _ALLOWED.keys() - found == set(), "not there any more"


@pytest.mark.parametrize(
    "text",
    [
        "def f(p): return p.read_text()",
        "def f(p): return open(p)",
        "def f(p):\n with p.open() as x: pass",
        "def f(p): return os.open(p, 0)",
        "f = lambda p: shutil.copyfile(p, p)",
        "f = lambda p: shutil.copy(p, p)",
        "from posix import open as o",
        "def f(p):\n g = p.write_bytes\n g(b'')",
    ],
)
def test_an_open_in_another_way_is_found(text: str) -> None:
    assert opens(text)
