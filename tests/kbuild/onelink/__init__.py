# SPDX-License-Identifier: GPL-2.0-only
"""One link of vmlinux instead of three, on kernels in miniature that are really assembled and linked."""
