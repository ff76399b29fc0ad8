# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl: hooks kernel trees, queries and controls the daemon. A query never starts a daemon."""
