# SPDX-License-Identifier: GPL-2.0-only
"""What ``kallsymsctl verify`` needs: the tool and map to compare with, the steps, and object files."""
