# SPDX-License-Identifier: GPL-2.0-only
"""The daemon's counters: their table, latency histograms, estimated savings, and the file that keeps them."""
