# SPDX-License-Identifier: GPL-2.0-only
"""What runs inside a kernel build that was hooked: the link's recipe, and the stand-in for scripts/kallsyms.

Started by the short shell scripts that kallsymsd.kbuild.hook.hookfiles writes. Whatever fails here, they do
what the build would have done without them.
"""
