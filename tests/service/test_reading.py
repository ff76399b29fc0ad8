# SPDX-License-Identifier: GPL-2.0-only
"""Maps are read whole, as they were at one moment, or not at all."""

import errno
import os
import socket
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallsymsd.core.dialects import BY_NAME
from kallsymsd.core.errors import InputError
from kallsymsd.service import reading
from kallsymsd.service.reading import _END as END
from kallsymsd.service.reading import _PIECE as PIECE
from kallsymsd.service.reading import MAX_MAP, Alike, UnreadableError, is_path_of, read_elf, read_map
from tests.elfs import Image, Symbol


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", [0, 1, 4096, 1_000_003])
def test_a_file_is_read_whole_wherever_its_position_is(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "m"
    path.write_bytes(content)
    with opened(path) as descriptor:
        os.lseek(descriptor, 100, os.SEEK_SET)
        assert read_map(descriptor) == content
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 100


def test_what_is_not_a_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    left, right = socket.socketpair()
    with (
        left,
        right,
        opened(tmp_path / "fifo", os.O_RDWR) as fifo,
        opened(tmp_path) as directory,
        opened(Path("/dev/zero")) as device,
    ):
        for descriptor in (fifo, directory, device, left.fileno()):
            with pytest.raises(UnreadableError, match="not a regular file"):
                read_map(descriptor)


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_PATH])
def test_a_descriptor_that_cannot_be_read_is_refused(tmp_path: Path, flags: int) -> None:
    (tmp_path / "m").write_bytes(b"content")
    with opened(tmp_path / "m", flags) as descriptor, pytest.raises(UnreadableError, match="Bad file"):
        read_map(descriptor)


@pytest.mark.parametrize(
    "path", ["/proc/version", "/proc/self/mountinfo", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
def test_the_size_that_a_file_says_decides_nothing(path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"no {path} here")
    expected = Path(path).read_bytes()
    with opened(Path(path)) as descriptor:
        assert os.fstat(descriptor).st_size in (0, 4096)
        assert read_map(descriptor) == expected
        assert read_map(descriptor, lambda _: [b"", expected[:4096]]) == expected


def test_a_file_that_is_longer_than_it_says_is_no_known_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = b"0 T a\n" * END
    (tmp_path / "m").write_bytes(known + b"0 T b\n")
    says(monkeypatch, len(known))
    with opened(tmp_path / "m") as descriptor:
        assert read_map(descriptor, lambda _: [known]) == known + b"0 T b\n"


@pytest.mark.parametrize("dialect", ["v6.11", "v7.4"])
def test_a_linked_kernel_that_says_it_is_empty_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    (tmp_path / "vmlinux").write_bytes(Image(symbols=[Symbol(b"_text", 16), Symbol(b"next", 32)]).encode())
    with opened(tmp_path / "vmlinux") as descriptor:
        expected = read_elf(descriptor, BY_NAME[dialect])
        assert expected
        says(monkeypatch, 0)
        assert read_elf(descriptor, BY_NAME[dialect]) == expected


def says(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let every file say that it has ``size`` bytes, as procfs says 0."""
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[6] = size
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", fstat)


def test_a_file_above_the_limit_is_refused_before_memory_is_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    os.truncate(tmp_path / "m", MAX_MAP + 1)
    with opened(tmp_path / "m") as descriptor, pytest.raises(UnreadableError, match="the most is"):
        read_map(descriptor)


def change_after_reads(monkeypatch: pytest.MonkeyPatch, change: "list[object]") -> None:
    """Let each read of a whole file be followed by the next change."""
    pread = reading._pread

    def reading_slowly(descriptor: int, size: int) -> bytes:
        content = pread(descriptor, size)
        if change:
            action = change.pop(0)
            assert callable(action)
            action()
        return content

    monkeypatch.setattr(reading, "_pread", reading_slowly)


def test_a_map_that_changes_once_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old content")
    os.utime(path, (1, 1))
    change_after_reads(monkeypatch, [lambda: path.write_bytes(b"new content")])
    with opened(path) as descriptor:
        assert read_map(descriptor) == b"new content"


def test_a_map_that_shrinks_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    path.write_bytes(bytes(100_000))
    change_after_reads(monkeypatch, [lambda: os.truncate(path, 10)])
    with opened(path) as descriptor:
        assert read_map(descriptor) == bytes(10)


def test_a_map_that_keeps_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"")

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    change_after_reads(monkeypatch, [grow] * 10)
    with opened(path) as descriptor, pytest.raises(UnreadableError, match="changes while it is read"):
        read_map(descriptor)


def test_a_file_cut_short_all_the_time_never_harms(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(bytes(1 << 20))
    stop = threading.Event()

    def cut_and_grow() -> None:
        while not stop.is_set():
            os.truncate(path, 0)
            os.truncate(path, 1 << 20)

    writer = threading.Thread(target=cut_and_grow)
    writer.start()
    try:
        with opened(path) as descriptor:
            for _ in range(50):
                try:
                    assert len(read_map(descriptor, alike([bytes(1 << 20)]))) in (0, 1 << 20)
                except UnreadableError:
                    continue
    finally:
        stop.set()
        writer.join()


def alike(known: Sequence[bytes]) -> Alike:
    """Maps that are known; only those of the file's size may be asked for."""
    return lambda size: [each for each in known if len(each) == size]


#: A map's size, in relation to the pieces that are compared.
SIZES = [0, 1, END - 1, END, END + 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5]


@pytest.mark.parametrize("size", SIZES)
def test_contents_that_are_known_are_not_read_into_other_memory(tmp_path: Path, size: int) -> None:
    known = os.urandom(size)
    path = tmp_path / "m"
    path.write_bytes(known)
    with opened(path) as descriptor:
        os.lseek(descriptor, 100, os.SEEK_SET)
        assert read_map(descriptor, alike([known])) is known
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 100


def test_comparing_takes_no_memory_for_the_map(tmp_path: Path) -> None:
    known = os.urandom(8 * PIECE)
    (tmp_path / "m").write_bytes(known)
    with opened(tmp_path / "m") as descriptor:
        tracemalloc.start()
        try:
            assert read_map(descriptor, alike([known])) is known
            assert PIECE <= tracemalloc.get_traced_memory()[1] < 2 * PIECE
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("size", SIZES[1:])
def test_contents_that_differ_from_known_ones_in_one_byte_are_the_files(tmp_path: Path, size: int) -> None:
    known = os.urandom(size)
    path = tmp_path / "m"
    edges = (0, PIECE, 2 * PIECE, 3 * PIECE, size - END, size)
    for at in sorted({edge + step for edge in edges for step in (-1, 0, 1)} & set(range(size))):
        content = bytearray(known)
        content[at] ^= 0x20
        path.write_bytes(content)
        with opened(path) as descriptor:
            assert read_map(descriptor, alike([known])) == content


def test_of_known_maps_that_one_is_taken_which_ends_as_the_file_does(tmp_path: Path) -> None:
    known = [os.urandom(PIECE) for _ in range(3)]
    for each in known:
        (tmp_path / "m").write_bytes(each)
        with opened(tmp_path / "m") as descriptor:
            assert read_map(descriptor, alike(known)) is each


def test_known_maps_of_another_size_do_not_matter(tmp_path: Path) -> None:
    content = os.urandom(PIECE + 100)
    (tmp_path / "m").write_bytes(content)
    with opened(tmp_path / "m") as descriptor:
        assert read_map(descriptor, alike([content[:PIECE], content[1:], content + b"x"])) == content


def test_a_file_that_is_read_in_small_parts_is_compared_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = os.urandom(PIECE + 100)
    (tmp_path / "m").write_bytes(known)
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: preadv(fd, [buffers[0][:1001]], at))
    with opened(tmp_path / "m") as descriptor:
        assert read_map(descriptor, alike([known])) is known
    other = known[:-5000] + b"x" + known[-4999:]
    (tmp_path / "m").write_bytes(other)
    with opened(tmp_path / "m") as descriptor:
        assert read_map(descriptor, alike([known])) == other


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("become", [b"", b"short", bytes(2 * PIECE), bytes(2 * PIECE) + b"x" * PIECE])
def test_a_known_map_that_changes_while_it_is_compared_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, become: bytes, after: int
) -> None:
    """Cut short, grown, or written anew with the same size; between two pieces, and after the last."""
    known = b"a" * 2 * PIECE
    path = tmp_path / "m"
    path.write_bytes(known)
    os.utime(path, (1, 1))
    preadv = os.preadv
    counts = iter(range(1, 100))

    def changing(descriptor: int, buffers: list[memoryview], at: int) -> int:
        count = preadv(descriptor, buffers, at)
        if next(counts) == after:
            path.write_bytes(become)
        return count

    monkeypatch.setattr(os, "preadv", changing)
    with opened(path) as descriptor:
        assert read_map(descriptor, alike([known])) == become


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_PATH])
def test_a_descriptor_that_cannot_be_read_is_refused_whatever_is_known(tmp_path: Path, flags: int) -> None:
    (tmp_path / "m").write_bytes(b"content")
    with opened(tmp_path / "m", flags) as descriptor, pytest.raises(UnreadableError, match="Bad file"):
        read_map(descriptor, alike([b"content"]))


def test_a_file_that_fails_to_be_read_in_the_middle_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int, _buffers: object, _at: int) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "m").write_bytes(b"content")
    monkeypatch.setattr(os, "preadv", failing)
    with opened(tmp_path / "m") as descriptor, pytest.raises(UnreadableError, match="Input/output error"):
        read_map(descriptor, alike([b"content"]))


@given(st.data())
def test_whatever_is_known_the_files_contents_are_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-map"
    line = st.sampled_from([b"0 T a\n", b"1 T a\n", b"0 T b\n", b"0 T a\n" * 800, b"1 T b\n" * 50_000])
    maps = data.draw(st.lists(st.lists(line, max_size=4).map(b"".join), min_size=1, max_size=4))
    content = data.draw(st.one_of(st.sampled_from(maps), st.lists(line, max_size=4).map(b"".join)))
    path.write_bytes(content)
    with opened(path) as descriptor:
        found = read_map(descriptor, alike(maps))
    assert found == content
    ends = (each for each in maps if len(each) == len(content) and each[-END:] == content[-END:])
    likeliest = next(ends, None)
    assert (found is likeliest) is (likeliest == content)


def test_a_path_is_trusted_only_if_it_names_the_open_file(tmp_path: Path) -> None:
    for name in ("m", "copy"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "link").symlink_to("m")
    with opened(tmp_path / "m") as descriptor:
        assert is_path_of(os.fsencode(tmp_path / "m"), descriptor)
        assert is_path_of(os.fsencode(tmp_path / "link"), descriptor)
        assert not is_path_of(os.fsencode(tmp_path / "copy"), descriptor)
        for other in (b"", b"/does/not/exist", b"with\0zero", b"x" * 5000, b"\xff\xfe"):
            assert not is_path_of(other, descriptor)


def test_of_a_linked_kernel_the_symbols_are_read_wherever_its_position_is(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(Image(symbols=[Symbol(b"_text", 16)]).encode())
    with path.open("ab") as file:
        file.truncate(4 << 30)  # as much debugging information, of which nothing is read
    with opened(path) as descriptor:
        os.lseek(descriptor, 100, os.SEEK_SET)
        assert read_elf(descriptor, BY_NAME["v6.11"], 0) == b"0000000000000010 t _text\n"
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 100


def test_what_is_no_linked_kernel_is_bad_input_and_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"ffffffff81000000 T _text\n")
    with opened(tmp_path / "m") as descriptor, pytest.raises(InputError, match="not an ELF file"):
        read_elf(descriptor, BY_NAME["v6.11"], 0)
    with opened(tmp_path) as descriptor, pytest.raises(UnreadableError, match="not a regular file"):
        read_elf(descriptor, BY_NAME["v6.11"], 0)
