# SPDX-License-Identifier: GPL-2.0-only
"""What the client says on standard error, and the end of a run that cannot go on."""


class ClientError(Exception):
    """The run ends with an exit status other than 0; ``message`` is what standard error gets, whole lines."""

    status = 1

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class DeferError(ClientError):
    """As ClientError; but within a hooked build the kernel's own tool, which might do it, is run then.

    ``repeated``: that tool will say the same, unless it sees the matter otherwise.
    """

    def __init__(self, message: bytes, *, repeated: bool = False) -> None:
        super().__init__(message)
        self.repeated = repeated


def failure(message: bytes) -> ClientError:
    """The error that ends the run with one line of the client's own."""
    return ClientError(b"kallsyms: " + message + b"\n")
