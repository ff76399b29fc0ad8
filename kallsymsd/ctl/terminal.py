# SPDX-License-Identifier: GPL-2.0-only
"""The one way by which kallsymsctl shows anything: what a terminal might obey never gets there.

Maps and directories may have any names. guarded() puts a filter before standard output and standard error,
for whoever prints; what is one line by its nature goes through tell() and complain(), in which a name cannot
begin another one.
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
    """A text stream behind which everything is printable, in the encoding of the stream, too."""

    def __init__(self, stream: TextIO | None) -> None:
        """``stream`` is None where the descriptor was closed when Python started; then nothing is shown."""
        self.stream = stream if stream is not None else io.StringIO()
        self._encoding = getattr(self.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write the text with escapes in it."""
        shown = printable(text).encode(self._encoding, "backslashreplace").decode(self._encoding)
        self.stream.write(shown)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """As the stream's, which would not come by write()."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever else a stream has
        return getattr(self.stream, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """For the time of the context all that is printed is printable."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Guard(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def tell(*lines: str) -> None:
    """Print lines; a line end in one of them is none."""
    for line in lines:
        print(printable(line, keep="\t"))


def complain(text: str) -> None:
    """Say one line on standard error."""
    print(f"kallsymsctl: {printable(text, keep='')}", file=sys.stderr)


def as_json(value: object) -> str:
    """JSON, which needs no other escapes than its own: with ours it would be none."""
    return json.dumps(value, indent=2).replace("\x7f", "\\u007f")


def console() -> Console:
    """What rich shows things with: the escapes are its own, so all text that it gets must be printable()."""
    from rich.console import Console  # noqa: PLC0415  costs more start-up time than all else

    stream = sys.stdout
    return Console(file=stream.stream if isinstance(stream, _Guard) else stream, highlight=False)


def pass_on(data: bytes) -> None:
    """Print bytes that are for a program as they are, unless a terminal gets them."""
    if sys.stdout.isatty():
        sys.stdout.write(data.decode("utf-8", "surrogateescape"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
