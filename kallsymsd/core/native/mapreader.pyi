# SPDX-License-Identifier: GPL-2.0-only
from kallsymsd.core.native.strings import Strings

class Origin:
    @property
    def width(self) -> int: ...
    @property
    def places(self) -> bytes: ...
    @property
    def ranks(self) -> bytes: ...
    @property
    def ranges(self) -> tuple[int, int, int]: ...

class MapSymbols:
    @property
    def addresses(self) -> bytes: ...
    @property
    def strings(self) -> Strings: ...
    @property
    def text_address(self) -> int: ...
    @property
    def percpu(self) -> tuple[int, int]: ...
    @property
    def origin(self) -> Origin | None: ...
    @property
    def overlong(self) -> list[tuple[int, int]]: ...
    @property
    def problem(self) -> int: ...

def read_map(
    text: bytes,
    *,
    getline: bool,
    own_filter: bool,
    own_tables: bytes,
    all_symbols: bool,
    keep_start_stop: bool,
    absolute_percpu: bool,
    name_limit: int,
) -> MapSymbols: ...
