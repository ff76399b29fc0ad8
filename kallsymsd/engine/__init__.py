# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon remembers, and how it answers the next request.

    request + map -> Question -> Answer (sealed memory files), from memory, from the store, or computed

Nothing here knows sockets or starts threads for requests. All objects may be called from several threads.
"""
