# SPDX-License-Identifier: GPL-2.0-only
"""Makes signals end the client as they end a C program: at once, silently, with the signal as wait status.

Python turns SIGINT into an exception, and loses it where none can be raised, such as in weak reference
callbacks of the import system. That lost a few interrupts in a thousand. So SIGINT gets its default action
back, except during the few milliseconds in which the interpreter starts. Only while files are written does a
signal become an exception, so that half-done work is undone first.
"""

# Not the module signal: it imports enum, which takes half as long as the whole client.
import _signal  # type: ignore[import-not-found]  # typeshed has none
import posix

_ENDING = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM)


class SignalledError(BaseException):
    """This process received signal ``number``, or must end as if it had."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Undoing:
    """Context in which a fatal signal first raises SignalledError, once; the process ends on exit.

    Signals that are ignored or already have a handler are left alone.
    """

    def __init__(self) -> None:
        self._ours = [number for number in _ENDING if _signal.getsignal(number) == _signal.SIG_DFL]
        self._number = 0
        self._is_deferred = False

    def __enter__(self) -> None:
        for number in self._ours:
            _signal.signal(number, self._take)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        for number in self._ours:
            _signal.signal(number, _signal.SIG_DFL)
        number = error.number if isinstance(error, SignalledError) else self._number
        if number:
            end_by(number)

    def defer(self) -> None:
        """Raise nothing from here on; a signal takes effect at the end of the context."""
        self._is_deferred = True

    def _take(self, number: int, _: object) -> None:
        self._number = number
        if not self._is_deferred:
            self._is_deferred = True
            raise SignalledError(number)


def restore() -> None:
    """Give SIGINT its default action, unless the parent process ignored it."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def broken_pipe() -> SignalledError:
    """The error for a write to a pipe without readers: Python ignores SIGPIPE."""
    return SignalledError(_signal.SIGPIPE)


def end_by(number: int) -> None:
    """End this process by a signal."""
    _signal.signal(number, _signal.SIG_DFL)
    posix.kill(posix.getpid(), number)
