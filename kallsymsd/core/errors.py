# SPDX-License-Identifier: GPL-2.0-only
"""The error families of the library."""


class KallsymsdError(Exception):
    """Base of all errors this project raises on purpose."""


class InputError(KallsymsdError):
    """The input cannot be made into tables; a build must stop with exit status 1.

    ``message`` is what goes to standard error, without the final newline. It is bytes because it may quote
    a symbol's name. It begins with the text that the dialect's own tool prints.
    """

    def __init__(self, message: bytes) -> None:
        super().__init__(message.decode("utf-8", "backslashreplace"))
        self.message = message
