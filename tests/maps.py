# SPDX-License-Identifier: GPL-2.0-only
"""The real System.maps in tests/data, and what is known of their kernels."""

import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text())


@dataclass(frozen=True)
class RealMap:
    """A System.map of a Debian kernel, and what that kernel holds.

    name      as in expected.json
    dialect   the dialect of the kernel's tool
    options   what its build passed to the tool, without dashes
    path      the map, decompressed
    expected  its entry in expected.json
    """

    name: str
    dialect: str
    options: tuple[str, ...]
    path: Path
    expected: dict[str, Any]


def unpack(name: str, path: Path) -> RealMap:
    """Decompress the map called ``name`` to ``path``."""
    path.write_bytes(lzma.decompress((DATA / f"{name}.map.xz").read_bytes()))
    expected = EXPECTED[name]
    return RealMap(
        name=name,
        dialect="v6.1.y" if "-6.1." in name else "v6.11",
        options=tuple(option.removeprefix("--") for option in expected["options"]),
        path=path,
        expected=expected,
    )
