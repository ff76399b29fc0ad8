# SPDX-License-Identifier: GPL-2.0-only
"""The proof of the project; see docs/testing.md."""
