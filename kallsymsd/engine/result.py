# SPDX-License-Identifier: GPL-2.0-only
"""What one build request leads to."""

from kallsyms_client.wire import BAD_INPUT, OK, How


class BuildResult:
    """Outcome of a request.

    status   wire.OK or wire.BAD_INPUT
    how      how the tables were made
    text     assembly text: plain assembly, or the .S that includes ``binary``
    binary   contents of the .bin; empty for plain assembly
    message  lines for standard error, with final newline unless empty
    """

    __slots__ = ("binary", "how", "message", "status", "text")

    def __init__(
        self,
        status: int,
        how: How,
        *,
        text: bytes = b"",
        binary: bytes = b"",
        message: bytes = b"",
    ) -> None:
        self.status = status
        self.how = how
        self.text = text
        self.binary = binary
        self.message = message

    @property
    def ok(self) -> bool:
        """Whether there are tables."""
        return self.status == OK

    @classmethod
    def bad_input(cls, message: bytes) -> "BuildResult":
        """The result of a map that cannot be made into tables."""
        return cls(BAD_INPUT, How(), message=message)
