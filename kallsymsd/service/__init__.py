# SPDX-License-Identifier: GPL-2.0-only
"""The daemon around the engine: every socket, thread and clock is here.

One thread, the loop (server.py), owns all sockets and never computes or touches a disk; worker threads
(workers.py, builds.py) read maps and compute, and hand their outcome back to the loop.
"""
