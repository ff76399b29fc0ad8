# SPDX-License-Identifier: GPL-2.0-only
"""Errors that end a run of the client, with their message and exit status."""


class ClientError(Exception):
    """Ends the run with exit status ``status``; ``message`` is printed, complete lines."""

    status = 1

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class DeferError(ClientError):
    """Like ClientError, but a hooked build falls back to the kernel's own tool.

    ``repeated``: that tool will report the same error, so a hooked build does not print ``message``.
    """

    def __init__(self, message: bytes, *, repeated: bool = False) -> None:
        super().__init__(message)
        self.repeated = repeated


def failure(message: bytes) -> ClientError:
    """A ClientError with one line in the client's own style."""
    return ClientError(b"kallsyms: " + message + b"\n")
