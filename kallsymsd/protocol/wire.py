# SPDX-License-Identifier: GPL-2.0-only
"""The build's part of the protocol: requests and replies in frames (docs/protocol.md).

Pure: bytes in, bytes out. Imports only the layout of frames, and exports it too. Client and daemon both use
it. All integers are little-endian.
"""

from kallsymsd.protocol.frames import *  # noqa: F403  users import the whole protocol from here
from kallsymsd.protocol.frames import Reader, WireError, string

# Forms of output.
ASM = 0  # what the kernel's own tool makes: plain assembly; since v7.4 a .S and a .bin
INCBIN = 1  # a short .S and a .bin

# What is in the descriptor of a request.
MAP = 0
ELF = 1  # a linked kernel, from which the map is made first

# Status of a reply.
OK = 0
BAD_INPUT = 1  # the map cannot be made into tables; message says why

# How the tables were made.
COLD = 0
INCREMENTAL = 1
ADDRESSES = 2
HIT = 3
MADE = ("cold", "incremental", "addresses", "hit")

#: Stages of a computation, in order; a reply has the time of each in microseconds.
STAGES = ("read", "parse", "diff", "sort", "tokens", "encode", "write")
_NO_TIME = (0,) * len(STAGES)


def patience(input_size: int) -> float:
    """Seconds that a client waits for a daemon that is alive, given the input's size in bytes.

    About twenty times what the client itself needs for the answer, including its start (0.12 s for a map of
    11 MB). No request joins a computation in the daemon that is older than that.
    """
    return min(2.0 + input_size / 4e6, 20.0)


class Value:
    """Base of immutable types: :data:`put` sets the fields while the object is made, nothing sets them later.

    Not NamedTuple or a frozen dataclass: importing typing or dataclasses takes longer than a client does.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")


#: Sets a field of a Value in its __init__.
put = object.__setattr__


class BuildRequest:
    """What a client asks for. The output depends on nothing but this and the input.

    version     version of the client's package; a daemon of another version must not answer
    dialect     name of a dialect (kallsymsd.core.dialects.exact)
    options     bits of kallsymsd.core.dialects
    form        ASM or INCBIN
    bits        32 or 64 (INCBIN only, else 0)
    big_endian  byte order of the target (INCBIN only)
    debug       put the listing into the .S
    source      MAP or ELF: what is in the descriptor
    sysmap      send the map too (ELF only)
    verify      asked only to compare the answer: not a build's request, and not counted as one
    bin_name    name of the .bin in the .S, as the assembler will open it; empty for ASM unless the dialect's
                tool makes a .bin
    map_path    absolute path of the map, or of the ELF file: for display and watching
    tree        the object tree: the client's working directory
    """

    __slots__ = (
        "big_endian",
        "bin_name",
        "bits",
        "debug",
        "dialect",
        "form",
        "map_path",
        "options",
        "source",
        "sysmap",
        "tree",
        "verify",
        "version",
    )

    def __init__(
        self,
        *,
        version: str,
        dialect: str,
        options: int,
        form: int,
        bits: int = 0,
        big_endian: bool = False,
        debug: bool = False,
        source: int = MAP,
        sysmap: bool = False,
        verify: bool = False,
        bin_name: bytes = b"",
        map_path: bytes = b"",
        tree: bytes = b"",
    ) -> None:
        self.version = version
        self.dialect = dialect
        self.options = options
        self.form = form
        self.bits = bits
        self.big_endian = big_endian
        self.debug = debug
        self.source = source
        self.sysmap = sysmap
        self.verify = verify
        self.bin_name = bin_name
        self.map_path = map_path
        self.tree = tree

    def encode(self) -> bytes:
        """Body of a BUILD frame: u8 form, bits, big_endian, debug, source, sysmap, verify, u32 options, then
        five strings (u32 length, bytes): version, dialect, bin_name, map_path, tree.
        """
        flags = self.big_endian, self.debug, self.source, self.sysmap, self.verify
        return b"".join(
            (
                bytes((self.form, self.bits, *flags)),
                self.options.to_bytes(4, "little"),
                string(self.version.encode()),
                string(self.dialect.encode()),
                string(self.bin_name),
                string(self.map_path),
                string(self.tree),
            )
        )

    @classmethod
    def decode(cls, body: bytes) -> "BuildRequest":
        """The request in a BUILD frame's body; WireError for anything malformed or out of range."""
        reader = Reader(body)
        form, bits, big_endian, debug, source, sysmap, verify = reader.take(7)
        options = reader.number(4)
        strings = [reader.string() for _ in range(5)]
        reader.end()
        if form not in (ASM, INCBIN) or bits not in (0, 32, 64) or source not in (MAP, ELF):
            raise WireError("build request with a field out of range")
        if max(big_endian, debug, sysmap, verify) > 1 or sysmap > source:
            raise WireError("build request with a flag out of range")
        if form == INCBIN and (bits == 0 or not strings[2]):
            raise WireError("build request for a .bin without target or name")
        try:
            version, dialect = strings[0].decode("ascii"), strings[1].decode("ascii")
        except UnicodeDecodeError as error:
            raise WireError("build request with a version or dialect that is not ASCII") from error
        return cls(
            version=version,
            dialect=dialect,
            options=options,
            form=form,
            bits=bits,
            big_endian=bool(big_endian),
            debug=bool(debug),
            source=source,
            sysmap=bool(sysmap),
            verify=bool(verify),
            bin_name=strings[2],
            map_path=strings[3],
            tree=strings[4],
        )


class How(Value):
    """How the tables of an answer were made.

    made     COLD, INCREMENTAL, ADDRESSES or HIT
    symbols  entries in the tables
    changed  symbols added, removed or renamed since the last map (INCREMENTAL)
    kept     token steps kept from the last table (INCREMENTAL)
    steps    token steps in all
    stages   microseconds of each of STAGES
    """

    __slots__ = ("changed", "kept", "made", "stages", "steps", "symbols")

    made: int
    symbols: int
    changed: int
    kept: int
    steps: int
    stages: "tuple[int, ...]"

    def __init__(
        self,
        made: int = COLD,
        *,
        symbols: int = 0,
        changed: int = 0,
        kept: int = 0,
        steps: int = 0,
        stages: "tuple[int, ...]" = _NO_TIME,
    ) -> None:
        put(self, "made", made)
        put(self, "symbols", symbols)
        put(self, "changed", changed)
        put(self, "kept", kept)
        put(self, "steps", steps)
        put(self, "stages", stages)

    def plus(self, stage: str, microseconds: int) -> "How":
        """The same, with more time spent in ``stage``."""
        at = STAGES.index(stage)
        stages = *self.stages[:at], self.stages[at] + microseconds, *self.stages[at + 1 :]
        return How(
            self.made,
            symbols=self.symbols,
            changed=self.changed,
            kept=self.kept,
            steps=self.steps,
            stages=stages,
        )

    def describe(self, *, precomputed: bool = False) -> str:
        """One line for a person, such as ``incremental: 11 of 30488 symbols changed, token table kept to step
        172 of 190, 6.1 ms``.
        """
        word = MADE[self.made] + (" (precomputed)" if precomputed else "")
        if self.made == INCREMENTAL:
            kept = (
                "token table kept"
                if self.kept == self.steps
                else f"token table kept to step {self.kept} of {self.steps}"
            )
            what = f"{self.changed} of {self.symbols} symbols changed, {kept}"
        else:
            what = f"{self.symbols} symbols"
        return f"{word}: {what}, {sum(self.stages) / 1000:.1f} ms"


class BuildReply(Value):
    """What is said of an answer. Its contents are in descriptors: the .S, the .bin, the map.

    status         OK or BAD_INPUT
    how            how the tables were made
    text_length    bytes of assembly text
    binary_length  bytes of the .bin (0 without a name for it)
    map_length     bytes of the map (0 unless asked for)
    message        lines for standard error: warnings, or the error; with final newline unless empty
    precomputed    the work was done, or begun, before the client asked that gets this reply
    """

    __slots__ = (
        "binary_length",
        "how",
        "map_length",
        "message",
        "precomputed",
        "status",
        "text_length",
    )

    status: int
    how: How
    text_length: int
    binary_length: int
    map_length: int
    message: bytes
    precomputed: bool

    def __init__(
        self,
        status: int,
        how: How,
        *,
        text_length: int = 0,
        binary_length: int = 0,
        map_length: int = 0,
        message: bytes = b"",
        precomputed: bool = False,
    ) -> None:
        put(self, "status", status)
        put(self, "how", how)
        put(self, "text_length", text_length)
        put(self, "binary_length", binary_length)
        put(self, "map_length", map_length)
        put(self, "message", message)
        put(self, "precomputed", precomputed)

    def delivered(self, how: How, *, precomputed: bool) -> "BuildReply":
        """The reply to a client that gets the same answer, made ``how`` for that client."""
        return BuildReply(
            self.status,
            how,
            text_length=self.text_length,
            binary_length=self.binary_length,
            map_length=self.map_length,
            message=self.message,
            precomputed=precomputed,
        )

    def encode(self) -> bytes:
        """Body of a REPLY frame: u8 status, made, precomputed, u32 symbols, changed, u16 kept, steps, a u32
        each stage, u64 lengths of text, binary and map, string message.
        """
        how = self.how
        return b"".join(
            (
                bytes((self.status, how.made, self.precomputed)),
                how.symbols.to_bytes(4, "little"),
                how.changed.to_bytes(4, "little"),
                how.kept.to_bytes(2, "little"),
                how.steps.to_bytes(2, "little"),
                *(min(stage, 0xFFFFFFFF).to_bytes(4, "little") for stage in how.stages),
                self.text_length.to_bytes(8, "little"),
                self.binary_length.to_bytes(8, "little"),
                self.map_length.to_bytes(8, "little"),
                string(self.message),
            )
        )

    @classmethod
    def decode(cls, body: bytes) -> "BuildReply":
        """The reply in a REPLY frame's body; WireError for anything malformed."""
        reader = Reader(body)
        status, made, precomputed = reader.take(3)
        if status not in (OK, BAD_INPUT):
            raise WireError(f"reply with unknown status {status}")
        if made >= len(MADE) or precomputed > 1:
            raise WireError("reply with a field out of range")
        how = How(
            made,
            symbols=reader.number(4),
            changed=reader.number(4),
            kept=reader.number(2),
            steps=reader.number(2),
            stages=tuple([reader.number(4) for _ in STAGES]),
        )
        text_length, binary_length, map_length = reader.number(8), reader.number(8), reader.number(8)
        message = reader.string()
        reader.end()
        return cls(
            status,
            how,
            text_length=text_length,
            binary_length=binary_length,
            map_length=map_length,
            message=message,
            precomputed=bool(precomputed),
        )

    @property
    def length(self) -> int:
        """Bytes of text, binary and map together."""
        return self.text_length + self.binary_length + self.map_length

    def describe(self) -> str:
        """How the tables were made, in one line for a person."""
        return self.how.describe(precomputed=self.precomputed)
