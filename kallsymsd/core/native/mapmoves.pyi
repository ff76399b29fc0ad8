# SPDX-License-Identifier: GPL-2.0-only
from kallsymsd.core.native.mapreader import Origin
from kallsymsd.core.native.strings import Strings

def move(
    old: bytes, text: bytes, origin: Origin, strings: Strings, old_addresses: bytes
) -> bytes | None: ...
def same_order(
    old_addresses: bytes, addresses: bytes, old_percpu: tuple[int, int], percpu: tuple[int, int]
) -> bool: ...
def address_at(text: bytes, place: int, width: int) -> int | None: ...
