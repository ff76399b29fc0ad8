# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix.

Whatever happens to daemon, cache or transport: exit status 0, the same bytes, at most one warning, a count of
its reason, and at most half a second waited. Whatever happens to the output: exit status 1, one line, and old
files as they were.
"""
