# SPDX-License-Identifier: GPL-2.0-only
"""The subcommands of kallsymsctl: each file adds its parser and runs the command."""
