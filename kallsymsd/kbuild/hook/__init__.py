# SPDX-License-Identifier: GPL-2.0-only
"""Plugging into unmodified kernel trees: the hook's files, and the trees that have it for good."""
