# SPDX-License-Identifier: GPL-2.0-only
"""The source of scripts/kallsyms -> its dialect, if the whole text is known.

Two texts with the same normal form mean the same. A digest of the normal form therefore recognizes the whole
text: anything added, removed or changed gives another digest.
"""

import re
from _blake2 import blake2b  # hashlib would also load OpenSSL

from kallsymsd.core.dialects import NAME_LIMITS, Dialect, exact, with_name_limit

# C, after joining lines that end in a backslash (ISO C, 5.1.1.2 and 6.4); gcc and clang allow blanks after
# the backslash. An operator is one token, so that "+ +" differs from "++".
_JOINED = re.compile(rb"\\[ \t\v\f\r]*\n")
_C_TOKEN = re.compile(
    rb"""(?P<blank>[ \t\v\f\r]+|/\*.*?\*/|//[^\n]*) | (?P<newline>\n)
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | [\w.]+
    | -> | \+\+ | -- | <<= | >>= | << | >> | [<>=!]= | && | \|\| | [-+*/%&|^]= | \#\# | .""",
    re.VERBOSE | re.DOTALL,
)
# The one definition that may differ between trees, in normal form.
_DEFINE = b"# define KSYM_NAME_LEN "
_LONGEST_VALUE = 5

#: Size of a digest, in bytes.
DIGEST_SIZE = 16

#: Digests of scripts/kallsyms.c in normal form, without its definition of KSYM_NAME_LEN, and the dialect of
#: each. The comments name the releases that have the text.
TOOLS = {
    "2b7144cc68c286d1e59082d698a0410e": "v6.1",  # 6.1.0 to 6.1.41
    "f55667eb4eaa4b3de945e82fe5c30c04": "v6.1.y",  # 6.1.60 to 6.1.192
    "41ab7e8df7e6d36d65bf98e9846ebeb1": "v6.2",  # 6.2
    "8119b5cead718e2c83a402484d2bc033": "v6.3",  # 6.3
    "2abd9e5b90db86c43d77a8416b9e7147": "v6.4",  # 6.4
    "5d151460efc077356d33191c64ead321": "v6.6",  # 6.5 to 6.9, 6.6.y to 6.6.93
    "d433550a1da9273e885137e0455571cc": "v6.10",  # 6.10
    "ea9bbe9d2837ccb28b3d57383469223e": "v6.11",  # 6.11
    "cab55a415a95bb689193f336d10d2e97": "v6.11",  # 6.12 to 6.14, 6.12.y to 6.12.118
    "5aabb4c37a6e0e532fcb249026ada34e": "v6.15",  # 6.15 to 6.19, 6.18.y to 6.18.44
    "e32a3356c3385f5b75173e3c5f6319d3": "v7.0",  # 7.0 to 7.2
    "23d433861709f3d3b84146b1f06c56de": "v7.3",  # 7.3-rc7 to 7.3.4
    "a1f69da8800c27bbec80d5b54d98b686": "v7.4",  # kbuild-for-next, September 2026
}


def digest(*fields: bytes) -> str:
    """Digest in hex of these fields, in this order."""
    made = blake2b(digest_size=DIGEST_SIZE)
    for field in fields:
        made.update(len(field).to_bytes(8, "little"))
        made.update(field)
    return str(made.hexdigest())


def c_text(text: bytes) -> bytes:
    """The normal form of a C text: its tokens separated by one blank, directives on lines of their own."""
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


def of_source(text: bytes) -> Dialect | None:
    """The dialect of the tool with this source (scripts/kallsyms.c); None if the text is not known.

    KSYM_NAME_LEN may differ from releases; the dialect then has that limit.
    """
    name, limit = identity(text)
    if limit is None or name not in TOOLS:
        return None
    return with_name_limit(exact(TOOLS[name]), limit)


def identity(text: bytes) -> tuple[str, int | None]:
    """Digest of a tool's text without its definition of KSYM_NAME_LEN, and the name_limit() of the text."""
    normal = c_text(text)
    limit = name_limit(normal)
    return digest(normal if limit is None else normal.replace(b"%b%d \n" % (_DEFINE, limit), b"")), limit


def name_limit(normal: bytes) -> int | None:
    """The KSYM_NAME_LEN that a text in normal form defines; None if it defines none, or one out of range."""
    _, found, rest = normal.partition(_DEFINE)
    value = rest.partition(b" ")[0]
    if not found or _DEFINE in rest or not value.isdigit() or len(value) > _LONGEST_VALUE:
        return None
    if value.startswith(b"0"):  # octal
        return None
    return int(value) if int(value) in NAME_LIMITS else None
