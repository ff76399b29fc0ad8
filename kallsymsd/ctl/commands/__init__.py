# SPDX-License-Identifier: GPL-2.0-only
"""The subcommands of kallsymsctl: one file each, which adds its parser and runs it."""
