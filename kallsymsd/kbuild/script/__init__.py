# SPDX-License-Identifier: GPL-2.0-only
"""The text of scripts/link-vmlinux.sh: recognized as a whole, and edited on its way to the shell."""
