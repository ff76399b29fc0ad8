# SPDX-License-Identifier: GPL-2.0-only
"""How much freed memory the daemon keeps for the next request.

Touching memory for the first time costs more than the work done in it (docs/performance.md). An update needs
room for a new map, a new state and temporary data, and frees as much, so the daemon keeps that much.
"""

import threading

from kallsymsd.core import _native

#: Bytes kept, and touched before the first request: what requests about a kernel of 163,000 symbols need,
#: including its state.
TOUCHED = 64 << 20
# malloc gives everything back above its limit, so the limit is a bit more than is touched.
_LEAST = TOUCHED + (8 << 20)
# Bytes kept for each byte of a map: an update frees the old map, the columns of its state (2.5 times as
# much) and temporary data.
_TIMES = 5
# Of these, what a cold run does not free, but the updates after it need.
_PREPARED_TIMES = 3
# mallopt takes an int.
_MOST = (1 << 31) - 1


# Bytes of an input that is not kept, above which the memory it took is given back.
_WORTH_GIVING_BACK = 8 << 20


_giving_back = threading.Lock()


def touch() -> None:
    """Touch memory for the first requests; takes some 30 ms."""
    _native.touch_memory(TOUCHED)


def prepare(map_size: int) -> None:
    """Touch memory for updates after a cold run on a map of ``map_size`` bytes.

    Does so only if the map is so large that touch() was not enough; takes half a millisecond a MB.
    """
    if map_size * _TIMES > TOUCHED:
        _native.touch_memory(min(_PREPARED_TIMES * map_size, _MOST))


def fit(map_size: int) -> None:
    """Keep as much freed memory as updates for maps of ``map_size`` bytes need."""
    _native.reuse_memory(min(max(_LEAST, _TIMES * map_size), _MOST))


def give_back(size: int) -> None:
    """Give freed memory back to the system, now that an input of ``size`` bytes is no longer in use.

    malloc itself gives back what is above the limit, but only memory behind everything that is in use.
    Takes some 30 ms, so call it when no client waits.
    """
    if size > _WORTH_GIVING_BACK:
        with _giving_back:  # two at once would touch twice as much
            _native.give_back_memory()
            touch()
