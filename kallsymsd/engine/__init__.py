# SPDX-License-Identifier: GPL-2.0-only
"""State: what was asked before, what was answered, and how the next answer is made.

    request + map -> Question (cache key) -> Answer (sealed memory), from memory, from the store, or computed

Nothing here knows sockets or threads; the objects may be called from several threads.
"""
