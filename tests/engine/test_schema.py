# SPDX-License-Identifier: GPL-2.0-only
"""Answers on disk outlive the program that made them: other bytes need another schema version."""

import hashlib

from kallsymsd.core.dialects import BASE_RELATIVE, DIALECTS
from kallsymsd.engine import cold
from kallsymsd.engine.keys import SCHEMA
from kallsymsd.protocol.wire import ASM, INCBIN, OK, BuildRequest

# Digest of all answers below, by schema version. This proves no byte right (the oracles do): it only tells
# that bytes changed. When it fails, raise SCHEMA in kallsymsd/engine/keys.py and put the new digest here;
# entries of a version that was never released may be replaced.
GOLDEN = {3: "5caeafe7511db5144d3e4680b7eb1f9bdf0f13771f6cc8d84cb90758929ec65e"}

MAP = b"".join(
    b"%016x %s %s\n" % (0xFFFF_0000 + 16 * number, kind, name)
    for number, (kind, name) in enumerate(
        [
            (b"T", b"_text"),
            (b"T", b"_stext"),
            (b"T", b"start_kernel"),
            (b"t", b"start_thread"),
            (b"t", b"start_thread"),
            (b"W", b"weak_start"),
            (b"t", b"static_start.llvm.1234"),
            (b"T", b"_etext"),
            (b"D", b"__start_rodata"),
            (b"D", b"kernel_data"),
            (b"B", b"_end"),
        ]
    )
)


def test_bytes_change_only_with_the_schema_version() -> None:
    digest = hashlib.sha256()
    for dialect in DIALECTS:
        options = BASE_RELATIVE if dialect.accepts(BASE_RELATIVE) else 0
        for form, bits, big_endian, debug in (
            (ASM, 0, False, False),
            (INCBIN, 64, False, False),
            (INCBIN, 32, True, True),
        ):
            request = BuildRequest(
                version="",
                dialect=dialect.name,
                options=options,
                form=form,
                bits=bits,
                big_endian=big_endian,
                debug=debug,
                bin_name=b"k.bin" if form == INCBIN or dialect.binary else b"",
                map_path=b"/map",
            )
            result = cold.build(request, MAP)
            assert result.status == OK, (dialect, result.message)
            for part in (result.text, result.binary, result.message):
                digest.update(len(part).to_bytes(8, "little") + part)
    assert digest.hexdigest() == GOLDEN.get(SCHEMA)
