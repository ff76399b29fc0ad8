# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon counts: the table of counters, how long things take, and what is kept across restarts."""
