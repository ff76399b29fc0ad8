# SPDX-License-Identifier: GPL-2.0-only
"""How much freed memory the daemon keeps for the next request.

Memory that is touched for the first time costs more than the work done in it (docs/performance.md). An
update needs room for a new map, a new state and what is in use meanwhile, and leaves as much behind: so that
is kept.
"""

import threading

from kallsymsd.core.native import allocator

#: Bytes kept, and touched before the first request comes: what requests about a kernel of 163,000 symbols
#: need, its state included.
TOUCHED = 64 << 20
# malloc gives everything back when there is more, so a bit more than is touched must not be too much.
_LEAST = TOUCHED + (8 << 20)
# Bytes kept for each byte of a map: an update leaves the old map, the columns of its state (2.5 times as
# much) and what was in use meanwhile.
_TIMES = 5
# Of these, what a cold run leaves nothing of, and the updates that follow it need.
_READY_TIMES = 3
# mallopt takes an int.
_MOST = (1 << 31) - 1


# Bytes of an input that turned out to be of no use, above which what it took is given back.
_WORTH_GIVING_BACK = 8 << 20


_giving_back = threading.Lock()


def touch() -> None:
    """Have memory at hand for the first requests; takes some 30 ms."""
    allocator.touch_memory(TOUCHED)


def ready(map_size: int) -> None:
    """Have memory at hand for updates, after a cold run about a map of ``map_size`` bytes.

    Where the map is so large that what was touched before is used up; takes half a millisecond a MB.
    """
    if map_size * _TIMES > TOUCHED:
        allocator.touch_memory(min(_READY_TIMES * map_size, _MOST))


def fit(map_size: int) -> None:
    """Keep what updates for maps of ``map_size`` bytes need."""
    allocator.reuse_memory(min(max(_LEAST, _TIMES * map_size), _MOST))


def give_back(size: int) -> None:
    """Give the system what was freed, now that an input of ``size`` bytes is not in use any more.

    What is over the limit malloc gives back by itself, but only what lies behind everything that is in use.
    Takes some 30 ms, for which nobody is to wait.
    """
    if size > _WORTH_GIVING_BACK:
        with _giving_back:  # two at once would touch twice as much
            allocator.give_back_memory()
            touch()
