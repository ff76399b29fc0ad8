# SPDX-License-Identifier: GPL-2.0-only
"""What is said is fit for a terminal, but for the kernel's own messages where no terminal shows them."""

import os
import pty
import subprocess
import sys

import pytest

from kallsymsd.protocol.messages import printable
from tests.client.conftest import Kallsyms

ESCAPES = b"\x1b]0;title\x07\x1b[2J\xc2\x9b31m\x7f"
SHOWN = rb"\x1b]0;title\x07\x1b[2J\x9b31m\x7f"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "plain text, \N{LATIN SMALL LETTER E WITH ACUTE}",
            "plain text, \N{LATIN SMALL LETTER E WITH ACUTE}",
        ),
        ("two\nlines\tand a tabulator", "two\nlines\tand a tabulator"),
        ("\x1b[2J\r\x07\x00\x7f", r"\x1b[2J\x0d\x07\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),  # the same as ESC [ to some terminals
        ("\N{RIGHT-TO-LEFT OVERRIDE}x\N{LINE SEPARATOR}", r"\u202ex\u2028"),
        ("\N{LANGUAGE TAG}", r"\U000e0001"),
        (os.fsdecode(b"\xff"), r"\xff"),  # no UTF-8
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_might_obey_becomes_text(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_in_a_line_a_line_end_is_none() -> None:
    assert printable("a\nkallsyms: b\t", keep="") == r"a\x0akallsyms: b\x09"


def too_long(kallsyms: Kallsyms) -> bytes:
    """A map with a name that is too long, and what the kernel's tool says of it."""
    name = b"e" * 600 + ESCAPES
    kallsyms.write("in.map", b"ffffffff81000000 T _text\nffffffff81000010 t " + name + b"\n")
    return b"Symbol " + name + b" too long for kallsyms"


def test_a_message_of_the_kernels_tool_keeps_its_bytes(kallsyms: Kallsyms) -> None:
    message = too_long(kallsyms)
    run = kallsyms("--dialect=v6.11", "--all-symbols", "in.map")
    assert message in run.err


def test_but_not_on_a_terminal(kallsyms: Kallsyms) -> None:
    message = too_long(kallsyms)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kallsyms_client", "--dialect=v6.11", "--all-symbols", "in.map"],
        cwd=kallsyms.here,
        env=kallsyms.environment,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    while piece := read(master):
        said += piece
    os.close(master)
    assert process.wait(60) == 0
    assert message.replace(ESCAPES, SHOWN) in said
    assert b"\x1b" not in said


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # nobody has its other side any more
        return b""


@pytest.mark.parametrize("name", ["KALLSYMSD", "KALLSYMSD_DIALECT", "KALLSYMSD_SOCKET"])
def test_our_own_lines_never_have_them(kallsyms: Kallsyms, name: str) -> None:
    kallsyms.environment[name] = "/" + "x" * 200 + ESCAPES.decode()
    run = kallsyms("--dialect=v6.11" if name != "KALLSYMSD_DIALECT" else "--all-symbols", "in.map")
    assert run.err.startswith(b"kallsyms: ")
    assert b"\x1b" not in run.err
    assert SHOWN in run.err
