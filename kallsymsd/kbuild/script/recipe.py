# SPDX-License-Identifier: GPL-2.0-only
"""Rewrites the recipe that links vmlinux so that scripts/link-vmlinux.sh runs the client.

kbuild's recipe (scripts/Makefile.vmlinux) is one shell command that runs scripts/link-vmlinux.sh. The same
command is also in it in quotes, to be printed with V=1 and for the .cmd file. Only the unquoted one changes:
it gets the edited text of the script instead of the script's name. So no file is written, and what kbuild
records stays the same. $0 is still the script's name, which the script writes into .vmlinux.d.
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

# The size limit of a program argument is 128 KiB (MAX_ARG_STRLEN, include/uapi/linux/binfmts.h).
_LONGEST = (128 << 10) - 1
_READ = 1 << 20

# Words and operators of the shell's command language (POSIX, 2.3 Token Recognition).
_TOKEN = re.compile(
    rb"""(?P<blank>[ \t]+|\\\n) | (?P<comment>\#[^\n]*) | (?P<operator>[;&|()\n]) | (?P<redirect>[<>])
    | (?P<word>(?: [^\s;&|()<>'"\\] | '[^']*' | "(?:[^"\\]|\\.)*" | \\. )+)""",
    re.VERBOSE | re.DOTALL,
)
# A command follows these words.
_PREFIXES = (b"then", b"do", b"else", b"{", b"!", b"if", b"elif", b"while", b"until")


def main() -> int:
    """Print the rewritten recipe. The arguments are the hook's directory and the recipe.

    Returns the exit status: 0, or 1 after a line on standard error if the recipe must run unchanged.
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
    """The recipe ``text`` with ``program`` in place of scripts/kallsyms, and with maps of ours if possible.

    Raises ClientError if the result might differ: for an unknown recipe or script, or a tool of no dialect.
    """
    span = find_link(text)
    if span is None:
        raise _without(b"the recipe of vmlinux is not recognized")
    name = text[slice(*span)]
    script = read(name)
    edited, shell = edit(script, program), interpreter(script)
    if edited is None or not shell or not posix.access(name, posix.X_OK):
        raise _without(b"%b is not recognized" % name)
    tool = environment.get(b"KALLSYMSD_ORIGINAL") or b"scripts/kallsyms"
    dialect, trial = _dialect(name, tool, environment)
    variables = [(b"KALLSYMSD_DIALECT", dialect), (b"KALLSYMSD_ORIGINAL", tool)]
    if trial:
        variables.append((b"KALLSYMSD_TRIAL", trial))
    source = environment.get(b"srctree", b"")
    edited = with_map(edited, source, read)
    if environment.get(b"KALLSYMSD_ONE_LINK") == b"1":
        from kallsymsd.kbuild.script.onelinkedit import with_one_link

        edited = with_one_link(script, edited, rules_of(script, source, read), is_tool_trusted=not trial)
    if not posix.access(program, posix.X_OK):
        raise _without(program + b" is not executable (kallsymsctl run and install create it again)")
    words = [b"%b=%b" % (variable, quote(value)) for variable, value in variables]
    words += [*shell, b"-c", quote(edited), name]
    made = text[: span[0]] + b" ".join(words) + text[span[1] :]
    if max(len(made), len(edited)) > _LONGEST:
        raise _without(b"%b is too long for a program's argument" % name)
    return made


def find_link(text: bytes) -> tuple[int, int] | None:
    """The range of the only unquoted command scripts/link-vmlinux.sh in a recipe; None if there is none."""
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
    """A file's contents, at most 1 MiB; ClientError if it cannot be read."""
    try:
        return read_regular(path, _READ, follow=True)
    except OSError as error:
        raise _without(path + b": " + strerror(error)) from error


def _dialect(script: bytes, tool: bytes, environment: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The dialect of ``tool``, whose source is beside ``script``, and the key of its trial, b"" for none."""
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
    return ClientError(b"kallsymsd: " + reason + b"; this link uses the kernel's own tool\n")
