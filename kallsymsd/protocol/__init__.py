# SPDX-License-Identifier: GPL-2.0-only
"""What client and daemon share: frames, messages, paths, files and locks. Cheap to import for the client."""
