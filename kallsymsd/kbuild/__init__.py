# SPDX-License-Identifier: GPL-2.0-only
"""What runs inside a hooked kernel build: it edits the link's recipe and stands in for scripts/kallsyms.

Short shell scripts start it (kallsymsd.kbuild.hook.hookfiles). If anything here fails, they fall back to what
the build does without them.
"""
