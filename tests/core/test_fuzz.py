# SPDX-License-Identifier: GPL-2.0-only
"""Any bytes are a map or bad input, in memory that is a small multiple of their size."""

import contextlib
import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kallsymsd.core import sysmap
from kallsymsd.core.dialects import DIALECTS, Dialect
from kallsymsd.core.errors import InputError
from kallsymsd.engine import cold
from kallsymsd.protocol import wire
from tests.maps import RealMap
from tests.strategies import clean_maps

dialects = st.sampled_from(DIALECTS)


def options_of(dialect: Dialect, number: int) -> int:
    """Options that ``dialect`` knows, some by ``number``."""
    return number if dialect.accepts(number) else 1


def reads_or_refuses(text: bytes, dialect: Dialect, options: int) -> None:
    """The one thing that must hold for any bytes."""
    table = None
    with contextlib.suppress(InputError):
        table = sysmap.read(text, dialect, options_of(dialect, options))
    if table is None:
        with pytest.raises(InputError) as refused:
            sysmap.read(text, dialect, options_of(dialect, options))
        assert refused.value.message
        assert refused.value.render(b"a.map").endswith(b"\n")
        return
    assert len(table.addresses) == 8 * table.count
    assert len(table.strings.starts) == 4 * (table.count + 1)
    assert table.count <= text.count(b"\n") + len(text)


@given(st.binary(max_size=600), dialects, st.integers(0, 31))
@example(b"\0", DIALECTS[0], 1)
@example(b"ffffffffffffffffffffff T a\n", DIALECTS[0], 1)
@example(b"0 T " + b"a" * 5000, DIALECTS[-1], 1)
def test_any_bytes_are_a_map_or_bad_input(text: bytes, dialect: Dialect, options: int) -> None:
    reads_or_refuses(text, dialect, options)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A map with some of its bytes changed, removed, doubled or cut off."""
    text = bytearray(draw(clean_maps()))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        match draw(st.integers(0, 4)):
            case 0:
                text[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del text[at : at + draw(st.integers(1, 20))]
            case 2:
                text[at:at] = draw(st.sampled_from([b"\n", b"\0", b" ", b"\r", b"\xff", b"0" * 30]))
            case 3:
                text[at:at] = text[at // 2 : at]
            case _:
                del text[at:]
    return bytes(text)


@given(damaged(), dialects, st.integers(0, 31))
def test_a_damaged_map_is_a_map_or_bad_input(text: bytes, dialect: Dialect, options: int) -> None:
    reads_or_refuses(text, dialect, options)


@given(data=st.data())
def test_damaged_lines_of_real_maps_are_a_map_or_bad_input(real_map: RealMap, data: st.DataObject) -> None:
    lines = real_map.path.read_bytes().split(b"\n")
    at = data.draw(st.integers(0, len(lines) - 50))
    text = bytearray(b"\n".join(lines[at : at + 50]))
    for _ in range(data.draw(st.integers(1, 5))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    reads_or_refuses(bytes(text), data.draw(dialects), data.draw(st.integers(0, 31)))


@given(damaged(), dialects, st.sampled_from([(0, False), (64, False), (32, True)]))
def test_a_damaged_map_is_built_or_refused(text: bytes, dialect: Dialect, target: tuple[int, bool]) -> None:
    bits, big_endian = target
    request = wire.BuildRequest(
        version="1",
        dialect=dialect.name,
        options=1,
        form=wire.INCBIN if bits else wire.ASM,
        bits=bits,
        big_endian=big_endian,
        bin_name=b"k.bin" if bits else b"",
        map_path=b"/a.map",
        tree=b"/",
    )
    result = cold.build(request, text)
    assert result.status in (wire.OK, wire.BAD_INPUT)
    assert result.ok or result.message


# Prints how much larger the process became, at its peak, for each byte of the map.
_PEAK = """
import re, sys
from pathlib import Path
from kallsymsd.protocol import wire
from kallsymsd.engine import cold
size = 4 << 20
text = {make}
def field(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
request = wire.BuildRequest(
    version="1", dialect={dialect!r}, options=1, form=wire.ASM, map_path=b"/m", tree=b"/"
)
Path("/proc/self/clear_refs").write_text("5")
before = field("VmRSS")
cold.build(request, text)
print((field("VmHWM") - before) / len(text))
"""

#: Bytes of memory for each byte of a map, at most. Most go into the assembly text of very short names.
MOST = 40


@pytest.mark.parametrize("dialect", ["v6.1.y", "v6.11"])
@pytest.mark.parametrize(
    "make",
    [
        "b''.join(b'%x T a%x\\n' % (n, n) for n in range(size // 12))",
        "b'0 T a\\n' * (size // 6)",
        "b'\\n' * size",
        "b'0 T ' + b'a' * size",
        "b''.join(b'%016x T %s%d\\n' % (n, b'x' * 600, n) for n in range(size // 630))",
        "b''.join(b'%x t \\xff%x\\n' % (n, n) for n in range(size // 12))",
        "__import__('random').Random(1).randbytes(size)",
    ],
    ids=["short", "equal", "empty lines", "one line", "too long", "high bytes", "noise"],
)
def test_no_map_takes_much_more_memory_than_its_size(make: str, dialect: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK.format(make=make, dialect=dialect)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert re.fullmatch(r"-?[0-9.]+\n", done.stdout)
    assert float(done.stdout) < MOST
