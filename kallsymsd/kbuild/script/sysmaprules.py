# SPDX-License-Identifier: GPL-2.0-only
"""Parses the text of scripts/mksysmap into its rules for dropping names, for dialects.SymbolFilter.

Each rule is parsed on its own, whatever release it is from: stable trees carry rules of later releases. A
text with anything else in it is not recognized.
"""

import re

# The type letters that every known mksysmap drops, and SymbolFilter by default.
_TYPES = b" [aNUw] "
_NAME = rb"(?:[A-Za-z0-9_]|\\[$.\\])+"
# Forms of a rule; the first match counts. mksysmap matches its patterns against lines like
# "ffffffff81000000 T _text", so a pattern without a leading blank must not match an address or a letter.
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
# From 6.4 to 6.9: rules for sed in double quotes of the shell, and names of another object's symbols.
_QUOTED = re.compile(
    rb"""\$\{NM\} -n \$\{1\} \| sed >\$\{2\} -e "\n([^"]*)
\$\(if \[ \$\# -ge 3 \]; then \$\{NM\} \$\{3\} \| sed -n '/ U /!s:\.\* \\\(\[\^ \]\*\\\)\$:/ \\1\$/d:p'; fi\)
"\n"""
)
_ESCAPED = re.compile(rb"\\([$`\\])")
_QUOTED_LETTER = re.compile(rb"\\(.)")


def of_sed(text: bytes) -> list[str] | None:
    """The rules of a mksysmap for sed, since 6.10; None if it is not recognized."""
    if text.startswith(b"#n\n"):  # sed -n
        return None
    lines = _COMMENTS.sub(b"", text).splitlines()
    if not all(line.startswith(b"/") and line.endswith(b"/d") for line in lines):
        return None
    return _rules([line[1:-2] for line in lines])


def of_grep(text: bytes) -> list[str] | None:
    """The rules of a mksysmap for the shell, up to 6.3; None if it is not recognized."""
    command = _GREP.fullmatch(_COMMENTS.sub(b"", text))
    return _rules(_PATTERN.findall(command[1])) if command else None


def of_quoted(text: bytes) -> list[str] | None:
    """The rules of a mksysmap from 6.4 to 6.9, without that for another object; None if not recognized."""
    script = _QUOTED.fullmatch(_COMMENTS.sub(b"", text))
    # Anything that the shell would expand matches no rule.
    return of_sed(_ESCAPED.sub(rb"\1", script[1])) if script else None


def _rules(patterns: list[bytes]) -> list[str] | None:
    """The rules in basic regular expressions (POSIX, 9.3); the first must be the one for type letters."""
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
