# SPDX-License-Identifier: GPL-2.0-only
"""The recipe that links vmlinux, rewritten so that scripts/link-vmlinux.sh runs the client.

kbuild's recipe (scripts/Makefile.vmlinux) is one shell command, of which scripts/link-vmlinux.sh with its
arguments is a part. It also holds that part in quotes: to print it with V=1, and for the .cmd file. The part
itself gets the script's text, edited, in place of the script's name; so nothing is written anywhere, and
what kbuild records stays the same. $0 stays the script, which writes that into .vmlinux.d.
"""

import posix
import re
import sys

from kallsyms_client.failures import ClientError
from kallsymsd.kbuild.script.edit import edit, interpreter, quote
from kallsymsd.kbuild.script.mapedit import rules_of, with_map
from kallsymsd.protocol.messages import say, strerror
from kallsymsd.protocol.regular import read_regular

#: The script's path within a kernel's source.
SCRIPT = b"scripts/link-vmlinux.sh"

# One argument of a program can have 128 KiB (MAX_ARG_STRLEN, include/uapi/linux/binfmts.h).
_LONGEST = (128 << 10) - 1
_READ = 1 << 20

# Words and operators of the shell's command language, with comments left out (POSIX, 2.3 Token Recognition).
_TOKEN = re.compile(
    rb"""(?P<blank>[ \t]+|\\\n) | (?P<comment>\#[^\n]*) | (?P<operator>[;&|()\n]) | (?P<redirect>[<>])
    | (?P<word>(?: [^\s;&|()<>'"\\] | '[^']*' | "(?:[^"\\]|\\.)*" | \\. )+)""",
    re.VERBOSE | re.DOTALL,
)
# After these words another command begins.
_PREFIXES = (b"then", b"do", b"else", b"{", b"!", b"if", b"elif", b"while", b"until")


def main() -> int:
    """Print the recipe in the last argument anew, for the hook whose directory is the argument before it.

    Returns the exit status: 0, or 1 after a line on standard error that says why the recipe must be run as
    it is.
    """
    encoding = sys.getfilesystemencoding()
    directory, text = (each.encode(encoding, "surrogateescape") for each in sys.argv[1:3])
    try:
        rest = rewrite(text, directory + b"/kallsyms", posix.environ)
        while rest:
            rest = rest[posix.write(1, rest) :]
    except ClientError as error:
        say(error.message)
        return 1
    except Exception as error:  # noqa: BLE001  a defect of ours must not end a build
        say(_without(f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace")).message)
        return 1
    return 0


def rewrite(text: bytes, program: bytes, environment: dict[bytes, bytes]) -> bytes:
    """The recipe ``text`` with ``program`` for scripts/kallsyms, and with maps of ours where they are known.

    Raises ClientError where that cannot be known to do the same: another recipe than kbuild's, another
    script, tables of an unknown dialect.
    """
    span = find_link(text)
    if span is None:
        raise _without(b"the recipe of vmlinux is not one that it knows")
    name = text[slice(*span)]
    script = read(name)
    edited, shell = edit(script, program), interpreter(script)
    if edited is None or not shell or not posix.access(name, posix.X_OK):
        raise _without(b"%b is not a script that it knows" % name)
    tool = environment.get(b"KALLSYMSD_ORIGINAL") or b"scripts/kallsyms"
    dialect, trial = _dialect(name, tool, environment)
    variables = [(b"KALLSYMSD_DIALECT", dialect), (b"KALLSYMSD_ORIGINAL", tool)]
    if trial:
        variables.append((b"KALLSYMSD_TRIAL", trial))
    source = environment.get(b"srctree", b"")
    edited = with_map(edited, source, read)
    if environment.get(b"KALLSYMSD_ONE_LINK") == b"1":
        from kallsymsd.kbuild.script.onelinkedit import with_one_link

        edited = with_one_link(script, edited, rules_of(script, source, read), is_tool_tried=not trial)
    if not posix.access(program, posix.X_OK):
        raise _without(program + b" does not run; kallsymsctl run or install makes it anew")
    words = [b"%b=%b" % (variable, quote(value)) for variable, value in variables]
    words += [*shell, b"-c", quote(edited), name]
    made = text[: span[0]] + b" ".join(words) + text[span[1] :]
    if max(len(made), len(edited)) > _LONGEST:
        raise _without(b"%b is longer than an argument of a program may be" % name)
    return made


def find_link(text: bytes) -> tuple[int, int] | None:
    """Where the only unquoted command scripts/link-vmlinux.sh stands in a recipe; None if there is none."""
    found = []
    at = 0
    is_command = True
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:  # a quote without its end
            return None
        at = token.end()
        kind, word = token.lastgroup, token.group()
        if kind == "operator":
            is_command = True
        elif kind == "word":
            if is_command and (word == SCRIPT or word.endswith(b"/" + SCRIPT)) and text[at : at + 2] == b' "':
                found.append(token.span())
            is_command = word in _PREFIXES
    return found[0] if len(found) == 1 else None


def read(path: bytes) -> bytes:
    """A file's contents, at most 1 MiB; ClientError when it cannot be read."""
    try:
        return read_regular(path, _READ, follow=True)
    except OSError as error:
        raise _without(path + b": " + strerror(error)) from error


def _dialect(script: bytes, tool: bytes, environment: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The dialect of ``tool``, whose source lies beside ``script``; the key of its trial, b"" for none."""
    if given := environment.get(b"KALLSYMSD_DIALECT"):
        return given, b""
    try:
        from kallsymsd.kbuild.trial.tool import UntrustedError, trust
    except ImportError:
        from kallsyms_client.locate import import_with_site

        import_with_site("kallsymsd.kbuild.trial.tool")
        from kallsymsd.kbuild.trial.tool import UntrustedError, trust
    source = script[: -len(SCRIPT)] + b"scripts/kallsyms.c"
    try:
        trusted = trust(read(source), tool, environment)
    except UntrustedError as error:
        raise _without(b"scripts/kallsyms: " + str(error).encode("utf-8", "surrogateescape")) from error
    return trusted.dialect.encode(), trusted.trial.encode()


def _without(reason: bytes) -> ClientError:
    return ClientError(b"kallsymsd: " + reason + b"; this link goes without it\n")
