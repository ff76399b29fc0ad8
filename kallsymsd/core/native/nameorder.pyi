# SPDX-License-Identifier: GPL-2.0-only
from kallsymsd.core.native.strings import Strings

def name_order(strings: Strings, cut: bytes) -> bytes: ...
