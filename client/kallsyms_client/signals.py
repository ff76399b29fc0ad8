# SPDX-License-Identifier: GPL-2.0-only
"""Signals end the client as they end a program in C: at once, silently, and so that its parent sees which.

Python makes an exception of SIGINT and loses it where none can be raised, such as in the callbacks of weak
references that its import system has; that took a few interrupts in a thousand. So SIGINT gets its default
action back. What is left of this is the few milliseconds in which the interpreter itself starts. Only while
files are written, a signal becomes an exception, and what is half done is undone first.
"""

# Not the module signal, which imports enum: that takes as long as half of the client.
import _signal  # type: ignore[import-not-found]  # typeshed has none
import posix

_ENDING = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM)


class SignalledError(BaseException):
    """This process got the signal ``number``, or is to end as if it had."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Undoing:
    """Context in which a signal that would end the process raises SignalledError first, once; then it ends.

    Signals that somebody else deals with, or that are ignored, are left alone.
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
        """From here on, raise nothing: what is to be undone is being undone. A signal waits for the end."""
        self._is_deferred = True

    def _take(self, number: int, _: object) -> None:
        self._number = number
        if not self._is_deferred:
            self._is_deferred = True
            raise SignalledError(number)


def restore() -> None:
    """Give SIGINT its default action, unless whoever started us had it ignored."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def broken_pipe() -> SignalledError:
    """What ends a program that writes to a pipe which nobody reads any more; Python ignores SIGPIPE."""
    return SignalledError(_signal.SIGPIPE)


def end_by(number: int) -> None:
    """End this process by a signal."""
    _signal.signal(number, _signal.SIG_DFL)
    posix.kill(posix.getpid(), number)
