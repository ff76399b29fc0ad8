# SPDX-License-Identifier: GPL-2.0-only
"""Hooks builds of unmodified kernel trees: the hook's files, and the trees that have it installed."""
