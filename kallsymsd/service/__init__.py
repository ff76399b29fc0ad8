# SPDX-License-Identifier: GPL-2.0-only
"""The daemon around the engine: all sockets, threads and clocks are here.

One thread, the loop (server.py), owns all sockets and never computes or touches a disk. Worker threads
(workers.py, builds.py) read maps and compute, and hand their outcomes back to the loop.
"""
