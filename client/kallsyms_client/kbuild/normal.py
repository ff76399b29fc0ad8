# SPDX-License-Identifier: GPL-2.0-only
"""Normal forms of scripts/kallsyms.c and scripts/link-vmlinux.sh: the texts without comments and layout.

Two texts with one normal form mean the same. So a digest of it recognizes a text as a whole; whatever is
added, left out or changed gives another one.
"""

import re
from _blake2 import blake2b  # hashlib would load OpenSSL, too

# C, with the lines joined that end in a backslash (ISO C, 5.1.1.2 and 6.4), after which gcc and clang allow
# blanks. Operators are one token, so that "+ +" is not taken for "++".
_JOINED = re.compile(rb"\\[ \t\v\f\r]*\n")
_C_TOKEN = re.compile(
    rb"""(?P<blank>[ \t\v\f\r]+|/\*.*?\*/|//[^\n]*) | (?P<newline>\n)
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | [\w.]+
    | -> | \+\+ | -- | <<= | >>= | << | >> | [<>=!]= | && | \|\| | [-+*/%&|^]= | \#\# | .""",
    re.VERBOSE | re.DOTALL,
)
_FUNCTION = re.compile(rb"(\w+)[ \t]*\(\)[ \t]*(?:\{)?")

#: Bytes of a digest.
DIGEST_SIZE = 16
#: The name under which parts() gives what is in no function.
MAIN = "the text outside its functions"


def digest(*fields: bytes) -> str:
    """Digest of these fields in this order, in hex."""
    made = blake2b(digest_size=DIGEST_SIZE)
    for field in fields:
        made.update(len(field).to_bytes(8, "little"))
        made.update(field)
    return str(made.hexdigest())


def c_text(text: bytes) -> bytes:
    """The normal form of a text in C: its tokens with one blank between, directives on lines of their own."""
    tokens: list[bytes] = []
    is_line_start, in_directive = True, False
    before: str | None = None
    for found in _C_TOKEN.finditer(_JOINED.sub(b"", text)):
        kind, token = found.lastgroup, found.group()
        if kind == "newline":
            if in_directive:
                tokens.append(b"\n")
            is_line_start, in_directive = True, False
        elif kind != "blank":
            in_directive = in_directive or (is_line_start and token == b"#")
            is_line_start = False
            if token == b"(" and tokens[-3:-1] == [b"#", b"define"] and before != "blank":
                tokens[-1] += token  # a macro with parameters
            else:
                tokens.append(token)
        before = kind
    return b" ".join(tokens)


def parts(text: bytes) -> list[tuple[str, bytes]]:
    """The functions of a shell script by their names, as "name()", and last what is in none, as MAIN.

    All are in normal form, which has no indentation, no empty lines and no lines of comments. A name that is
    defined twice is there twice. The parts together have everything that the script has.
    """
    functions: list[tuple[str, bytes]] = []
    main: list[bytes] = []
    lines = _lines(text)
    at = 0
    while at < len(lines):
        found = _FUNCTION.fullmatch(lines[at])
        if found is None or b"}" not in lines[at:]:
            main.append(lines[at])
            at += 1
            continue
        end = lines.index(b"}", at) + 1
        functions.append((found[1].decode("ascii", "replace") + "()", b"\n".join(lines[at:end])))
        main.append(found[1] + b"()")  # where it is defined
        at = end
    return [*functions, (MAIN, b"\n".join(main))]


def _lines(text: bytes) -> list[bytes]:
    """The lines that mean something; blanks within them stay, as they may be within quotes."""
    lines: list[bytes] = []
    goes_on = False
    for line in text.split(b"\n"):
        bare = line.strip(b" \t")
        # What follows a backslash belongs to the line before, a comment or nothing at all included.
        if goes_on or (bare and not bare.startswith(b"#")):
            lines.append(line.lstrip(b" \t") if bare.endswith(b"\\") else bare)
        goes_on = line.endswith(b"\\")
    return lines
