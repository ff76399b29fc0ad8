# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: what the tables of one kernel cost, in each of our ways and with the kernel's own tool."""
