# SPDX-License-Identifier: GPL-2.0-only
"""Messages on standard error, with names made safe for a terminal."""

import posix


def strerror(error: OSError) -> bytes:
    """The C library's text for ``error``."""
    return (error.strerror or "unknown error").encode()


def printable(text: str, *, keep: str = "\n\t") -> str:
    r"""``text`` with each unprintable character replaced by an escape such as ``\x1b``.

    Characters in ``keep`` stay. All three programs pass their output through here: names of symbols and
    directories may come from other users and contain control characters.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escape(ord(each)) for each in text)


def _escape(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # surrogateescape's form of a byte that is not UTF-8
        number -= 0xDC00
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def say(lines: bytes) -> None:
    """Write to standard error and ignore errors: a build must not fail because of a message.

    Lines that imitate the kernel's own tool keep their exact bytes, control characters included, unless
    standard error is a terminal. Our own lines, which begin with our name, are always made printable: a log
    of them may be shown on a terminal later.
    """
    if lines.startswith((b"kallsyms: ", b"kallsymsd: ")) or posix.isatty(2):
        lines = printable(lines.decode("utf-8", "surrogateescape")).encode()
    try:
        while lines:
            lines = lines[posix.write(2, lines) :]
    except OSError:
        pass
