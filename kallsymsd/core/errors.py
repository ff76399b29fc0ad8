# SPDX-License-Identifier: GPL-2.0-only
"""The error families of the library."""


class KallsymsdError(Exception):
    """Base class of all errors that this project raises on purpose."""


class InputError(KallsymsdError):
    """The input cannot be made into tables; the build must stop with exit status 1.

    message  begins with the text that the dialect's own tool prints, without the final newline
    line     number of the offending line, from 1; 0 if the error does not concern one line
    detail   more than the kernel's own tool says; b"" for nothing

    The texts are bytes because they may quote a symbol's name.
    """

    def __init__(self, message: bytes, *, line: int = 0, detail: bytes = b"") -> None:
        super().__init__(message.decode("utf-8", "backslashreplace"))
        self.message = message
        self.line = line
        self.detail = detail

    def render(self, path: bytes) -> bytes:
        """One line for standard error, newline included, that names the place in the map at ``path``."""
        place = b"%b:%d" % (path, self.line) if self.line else path
        return b"%b (%b: %b)\n" % (self.message, place, self.detail) if self.detail else self.message + b"\n"
