# SPDX-License-Identifier: GPL-2.0-only
"""All output of kallsymsctl passes through here, so that no control characters reach the terminal.

Symbols and directories may have any names. guarded() filters everything printed to standard output and
standard error. Single lines go through tell() and complain(), which also escape line ends within names.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from kallsymsd.protocol.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


class _Guard:
    """A text stream that escapes unprintable characters, and those that its encoding lacks."""

    def __init__(self, stream: TextIO | None) -> None:
        """``stream`` is None if the descriptor was closed when Python started; then nothing is printed."""
        self.stream = stream if stream is not None else io.StringIO()
        self._encoding = getattr(self.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write the text, with escapes."""
        shown = printable(text).encode(self._encoding, "backslashreplace").decode(self._encoding)
        self.stream.write(shown)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Like the stream's own method, which would bypass write()."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever else a stream has
        return getattr(self.stream, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Context in which everything printed is made printable."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Guard(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def tell(*lines: str) -> None:
    """Print lines; line ends within them are escaped."""
    for line in lines:
        print(printable(line, keep="\t"))


def complain(text: str) -> None:
    """Print one line on standard error."""
    print(f"kallsymsctl: {printable(text, keep='')}", file=sys.stderr)


def as_json(value: object) -> str:
    """JSON with its own escapes for unprintable characters: ours would not be valid JSON."""
    return json.dumps(value, indent=2).replace("\x7f", "\\u007f")


def console() -> Console:
    """A rich console. It writes its own escape sequences, so pass only text from printable()."""
    from rich.console import Console  # noqa: PLC0415  slow to import

    stream = sys.stdout
    return Console(file=stream.stream if isinstance(stream, _Guard) else stream, highlight=False)


def pass_on(data: bytes) -> None:
    """Print output for a program unchanged, unless standard output is a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(data.decode("utf-8", "surrogateescape"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
