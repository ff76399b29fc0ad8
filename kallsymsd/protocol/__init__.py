# SPDX-License-Identifier: GPL-2.0-only
"""What client and daemon agree on: frames, messages, places, files. Costs a client little."""
