# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels, built and booted. Not part of the ordinary tests: tests/kernel/run."""
