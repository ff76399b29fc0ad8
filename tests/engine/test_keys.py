# SPDX-License-Identifier: GPL-2.0-only
"""The cache key covers what decides an answer, and nothing else."""

import hashlib

import pytest

from kallsymsd.engine import keys
from kallsymsd.engine.keys import KEY_SIZE, cache_key, digest, tree_key
from kallsymsd.protocol.wire import ASM, ELF, INCBIN, BuildRequest

MAP = hashlib.sha256(b"a map").digest()

# Another value for every field of a request, and whether the output depends on the field.
OTHER = {
    "version": ("9.9", False),
    "dialect": ("v6.15", True),
    "options": (2, True),
    "form": (ASM, True),
    "bits": (32, True),
    "big_endian": (True, True),
    "debug": (True, True),
    "source": (ELF, False),
    "sysmap": (True, True),
    "verify": (True, False),
    "bin_name": (b"other.bin", True),
    "map_path": (b"/elsewhere/System.map", False),
    "tree": (b"/elsewhere", False),
}


def request() -> BuildRequest:
    return BuildRequest(
        version="0.1.0", dialect="v6.11", options=1, form=INCBIN, bits=64, bin_name=b"a.bin", tree=b"/tree"
    )


def test_the_table_of_this_test_has_every_field() -> None:
    assert set(OTHER) == set(BuildRequest.__slots__)


@pytest.mark.parametrize("field", OTHER)
def test_a_field_is_in_the_key_exactly_if_the_output_depends_on_it(field: str) -> None:
    other, decides = OTHER[field]
    changed = request()
    setattr(changed, field, other)
    assert (cache_key(changed, MAP) != cache_key(request(), MAP)) == decides


def test_another_map_has_another_key() -> None:
    assert cache_key(request(), hashlib.sha256(b"b map").digest()) != cache_key(request(), MAP)


def test_another_schema_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key(request(), MAP)
    monkeypatch.setattr(keys, "SCHEMA", keys.SCHEMA + 1)
    assert cache_key(request(), MAP) != before


def test_bytes_cannot_move_from_one_field_to_the_next() -> None:
    left, right = request(), request()
    left.dialect, left.bin_name = "v6.1", b"5a.bin"
    right.dialect, right.bin_name = "v6.15", b"a.bin"
    assert cache_key(left, MAP) != cache_key(right, MAP)


def test_a_key_has_its_size_and_a_digest_is_sha256() -> None:
    assert len(cache_key(request(), MAP)) == KEY_SIZE
    assert digest(memoryview(b"a map")) == MAP


def test_a_tree_has_a_state_for_each_dialect_and_set_of_options() -> None:
    decides = {"dialect", "options", "tree"}
    for field, (other, _) in OTHER.items():
        changed = request()
        setattr(changed, field, other)
        assert (tree_key(changed) != tree_key(request())) == (field in decides), field
