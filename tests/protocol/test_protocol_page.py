# SPDX-License-Identifier: GPL-2.0-only
"""docs/protocol.md is true: its tables are the code's, and its examples are what goes over the socket."""

import re
from pathlib import Path

import pytest

from kallsymsd.core.dialects import OPTION_BITS
from kallsymsd.protocol import wire
from kallsymsd.protocol.codec import Decoder, decode_message, encode_message
from kallsymsd.protocol.wire import BuildReply, BuildRequest, How
from kallsymsd.service import lifetime, reading, waiting
from kallsymsd.service.hub import PEER_LIMIT

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def example(name: str) -> bytes:
    """The bytes of the example whose introduction begins with ``name``."""
    found = re.search(
        rf"^{name}\b.*?:\n\n```\n(.*?)```", PAGE.partition("## Examples")[2], re.MULTILINE | re.DOTALL
    )
    assert found, name
    data = bytearray()
    for line in found[1].splitlines():
        digits = re.match(r"(?:[0-9a-f]{2} )*[0-9a-f]{2}(?=  |$)", line)
        assert digits, line
        data += bytes.fromhex(digits[0])
    return bytes(data)


def table(heading: str, number: int = 0) -> list[list[str]]:
    """Rows of a table below ``heading``, without its head."""
    section = re.split(r"^## ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[number].splitlines()]
    return rows[2:]


def body(name: str) -> bytes:
    """Body of the frame that is the example ``name``."""
    ((_, content),) = Decoder(frozenset(wire.MAX_BODY)).feed(example("Preamble") + example(name))
    return content


def test_the_preamble_is_ours() -> None:
    assert example("Preamble") == wire.preamble()
    assert sum(int(size) for _, size, _ in table("Preamble")) == wire.PREAMBLE_SIZE


def test_the_kinds_and_their_limits_are_the_codes() -> None:
    rows = table("Frame", 1)
    assert {int(kind): int(longest) for kind, _, _, longest, _ in rows} == wire.MAX_BODY
    assert all(getattr(wire, name) == int(kind) for kind, name, *_ in rows)


def test_the_build_request_means_what_it_says() -> None:
    request = BuildRequest.decode(body("BUILD"))
    assert {name: getattr(request, name) for name in BuildRequest.__slots__} == {
        "version": "0.1.0",
        "dialect": "v6.11",
        "options": 3,
        "form": wire.INCBIN,
        "bits": 64,
        "big_endian": False,
        "debug": False,
        "source": wire.MAP,
        "sysmap": False,
        "verify": False,
        "bin_name": b"k.bin",
        "map_path": b"/t/a.sym",
        "tree": b"/t",
    }
    assert wire.frame(wire.BUILD, request.encode()) == example("BUILD")


def test_the_reply_means_what_it_says() -> None:
    reply = BuildReply.decode(body("REPLY"))
    how = reply.how
    assert (reply.status, reply.text_length, reply.binary_length) == (wire.OK, 1600, 3383698)
    assert (reply.message, how.made, reply.precomputed) == (b"warn\n", wire.HIT, False)
    assert (how.symbols, how.changed, how.kept, how.steps) == (163205, 0, 0, 189)
    assert how.stages == (1500, 0, 0, 0, 0, 0, 4)
    assert wire.frame(wire.REPLY, reply.encode()) == example("REPLY")


def test_the_other_examples_are_what_is_sent() -> None:
    assert example("HEARTBEAT") == wire.frame(wire.HEARTBEAT)
    assert decode_message(body("CONTROL")) == {"command": "stop"}
    assert example("CONTROL") == encode_message(wire.CONTROL, {"command": "stop"})
    assert wire.stop(wire.PROTOCOL) == example("Preamble") + example("CONTROL")
    assert body("FAILURE") == b"sorry"


@pytest.mark.parametrize("name", ["BUILD", "REPLY", "HEARTBEAT", "CONTROL", "FAILURE"])
def test_each_example_is_one_whole_frame_of_its_kind(name: str) -> None:
    kind, length = wire.parse_header(example(name))
    assert kind == getattr(wire, name)
    assert len(example(name)) == wire.HEADER_SIZE + length


def test_the_tables_of_fields_are_as_long_as_the_layouts() -> None:
    def fixed(heading: str) -> int:
        return sum(int(size) for size, *_ in table(heading) if size != "string")

    strings = [field for size, field, *_ in table("Build request") if size == "string"]
    empty = BuildRequest(version="", dialect="", options=0, form=wire.ASM)
    assert fixed("Build request") + 4 * len(strings) == len(empty.encode())
    assert fixed("Build reply") + 4 == len(BuildReply(wire.OK, How()).encode())


def test_options_stages_and_ways_are_listed_as_they_are() -> None:
    (options,) = [row[2] for row in table("Build request") if row[1] == "options"]
    assert options == "bits: " + ", ".join(f"{bit} {name}" for name, bit in OPTION_BITS.items())
    (stages,) = [row[2] for row in table("Build reply") if row[1].startswith("microseconds")]
    assert stages == "seven u32: " + ", ".join(wire.STAGES)
    (ways,) = [row[2] for row in table("Build reply") if row[1] == "how"]
    said = [way.split(maxsplit=1)[1].removesuffix(" only") for way in ways.split(", ")]
    assert tuple(said) == wire.MADE


def test_times_and_sizes_in_the_text_are_the_codes() -> None:
    text = " ".join(PAGE.split())
    assert f"HEARTBEAT every {waiting.HEARTBEAT * 1000:.0f} ms" in text
    assert f"A client has {PEER_LIMIT:.0f} s" in text
    assert f"a build has {waiting.WORK_LIMIT:.0f} s" in text
    assert f"ends within {lifetime.DRAIN_LIMIT:.0f} s" in text
    assert f"at most {reading.MAX_MAP >> 30} GiB" in text
