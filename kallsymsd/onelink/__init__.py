# SPDX-License-Identifier: GPL-2.0-only
"""One link of vmlinux: prediction of its symbols, the last link, and the tables overwritten in the file."""
