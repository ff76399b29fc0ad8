# SPDX-License-Identifier: GPL-2.0-only
"""The text of scripts/link-vmlinux.sh: how it is recognized, and edited on its way to the shell."""
