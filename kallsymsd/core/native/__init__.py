# SPDX-License-Identifier: GPL-2.0-only
"""The native core: every loop over symbols or bytes, without the interpreter's lock."""
