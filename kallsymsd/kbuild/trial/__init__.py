# SPDX-License-Identifier: GPL-2.0-only
"""Trials: whether ours gives the same as a tree's own tool, map and links, before it takes over there."""
