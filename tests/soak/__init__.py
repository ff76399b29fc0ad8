# SPDX-License-Identifier: GPL-2.0-only
"""Builds for minutes while daemon and clients are killed: ``python -m tests.soak --minutes 10``."""
