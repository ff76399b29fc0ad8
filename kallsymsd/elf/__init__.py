# SPDX-License-Identifier: GPL-2.0-only
"""Linked files: headers, sections, symbols, and the map that nm and scripts/mksysmap would make of them."""
