# SPDX-License-Identifier: GPL-2.0-only
"""Trials: before kallsymsd replaces a tree's own tool, map or links, it checks that the results are equal."""
