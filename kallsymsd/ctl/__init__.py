# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl: what a person types. No query ever starts a daemon."""
