# SPDX-License-Identifier: GPL-2.0-only
"""Everything that is done before a client asks: watched files, predicted maps, precomputed answers."""
