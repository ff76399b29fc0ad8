# SPDX-License-Identifier: GPL-2.0-only
"""Text for people: what goes to standard error, and names that are safe to show on a terminal."""

import posix


def strerror(error: OSError) -> bytes:
    """What the C library calls ``error``."""
    return (error.strerror or "unknown error").encode()


def printable(text: str, *, keep: str = "\n\t") -> str:
    r"""``text`` with an escape, such as ``\x1b``, for each character that a terminal might obey, or hide.

    Those in ``keep`` stay. All three programs show what they say through here: names in maps and of
    directories are anybody's.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escape(ord(each)) for each in text)


def _escape(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape has it
        number -= 0xDC00
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def say(lines: bytes) -> None:
    """Write to standard error. Nobody can be told if that fails, and a build must not fail for it.

    What the kernel's own tool would say, too, keeps its bytes, control characters in names included, unless a
    terminal shows it. Our own lines, which begin with our name, never have any: they may be shown later.
    """
    if lines.startswith((b"kallsyms: ", b"kallsymsd: ")) or posix.isatty(2):
        lines = printable(lines.decode("utf-8", "surrogateescape")).encode()
    try:
        while lines:
            lines = lines[posix.write(2, lines) :]
    except OSError:
        pass
