# SPDX-License-Identifier: GPL-2.0-only
"""The parts of ``kallsymsctl verify``: its subject, its steps, other programs, and object files."""
