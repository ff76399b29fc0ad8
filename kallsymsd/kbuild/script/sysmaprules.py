# SPDX-License-Identifier: GPL-2.0-only
"""The text of scripts/mksysmap -> the rules by which names are dropped, as dialects.SymbolFilter has them.

Rules are read one by one, whatever release they are from: stable trees carry those of later ones. A text
with anything else in it is not known.
"""

import re

# The letters that every known mksysmap drops, and that SymbolFilter drops by default.
_TYPES = b" [aNUw] "
_NAME = rb"(?:[A-Za-z0-9_]|\\[$.\\])+"
# Ways in which a rule says which names it drops; the first to fit counts. Patterns are matched with lines
# like "ffffffff81000000 T _text": one that does not begin with a blank must not fit an address or a letter.
_WAYS = (
    ("=", re.compile(rb" ((?:%b)?)\$" % _NAME)),
    ("^", re.compile(rb" (%b)" % _NAME)),
    ("#", re.compile(rb" (%b)\[0-9\]\*\$" % _NAME)),
    ("~", re.compile(rb" (%b)\[\[:alnum:\]\]\*Thunk_" % _NAME)),
    ("$", re.compile(rb"((?:_|\\[$.])%b)\$" % _NAME)),
    ("*", re.compile(rb"(\\\.%b)" % _NAME)),
)
_COMMENTS = re.compile(rb"^[ \t]*(?:#[^\n]*)?(?:\n|\Z)", re.MULTILINE)
_GREP = re.compile(rb"\$NM -n \$1 \| grep -v((?:[ \t]*\\\n|[ \t]+-e '[^'\n]*')+)\n?> \$2\n")
_PATTERN = re.compile(rb"-e '([^'\n]*)'")
# From 6.4 to 6.9: rules for sed in the shell's double quotes, and the names of another object's symbols.
_QUOTED = re.compile(
    rb"""\$\{NM\} -n \$\{1\} \| sed >\$\{2\} -e "\n([^"]*)
\$\(if \[ \$\# -ge 3 \]; then \$\{NM\} \$\{3\} \| sed -n '/ U /!s:\.\* \\\(\[\^ \]\*\\\)\$:/ \\1\$/d:p'; fi\)
"\n"""
)
_ESCAPED = re.compile(rb"\\([$`\\])")
_QUOTED_LETTER = re.compile(rb"\\(.)")


def of_sed(text: bytes) -> list[str] | None:
    """The rules of a mksysmap that is for sed; None where it is not known what that would do."""
    if text.startswith(b"#n\n"):  # sed -n
        return None
    lines = _COMMENTS.sub(b"", text).splitlines()
    if not all(line.startswith(b"/") and line.endswith(b"/d") for line in lines):
        return None
    return _rules([line[1:-2] for line in lines])


def of_grep(text: bytes) -> list[str] | None:
    """The rules of a mksysmap that is for the shell, to 6.3; None where it is not known what it would do."""
    command = _GREP.fullmatch(_COMMENTS.sub(b"", text))
    return _rules(_PATTERN.findall(command[1])) if command else None


def of_quoted(text: bytes) -> list[str] | None:
    """The rules of a mksysmap from 6.4 to 6.9, but for that with another object; None as above."""
    script = _QUOTED.fullmatch(_COMMENTS.sub(b"", text))
    # What the shell would expand in it fits no rule.
    return of_sed(_ESCAPED.sub(rb"\1", script[1])) if script else None


def _rules(patterns: list[bytes]) -> list[str] | None:
    """The rules of basic regular expressions (POSIX, 9.3), which must begin with that for types."""
    if not patterns or patterns[0] != _TYPES:
        return None
    rules = []
    for pattern in patterns[1:]:
        for way, form in _WAYS:
            if found := form.fullmatch(pattern):
                rules.append(way + _QUOTED_LETTER.sub(rb"\1", found[1]).decode())
                break
        else:
            return None
    return rules
