# SPDX-License-Identifier: GPL-2.0-only
"""Linking vmlinux once: remembers the last link, predicts the next map, overwrites the tables in the file."""
