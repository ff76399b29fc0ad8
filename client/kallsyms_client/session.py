# SPDX-License-Identifier: GPL-2.0-only
"""One run: from the command line to written files.

Until the output is written, a run that the daemon answers imports nothing but sys, posix, time, errno, fcntl,
_socket, its own package, kallsymsd.protocol and the dialect table; a test checks that.
"""

import posix

from kallsyms_client import filearguments
from kallsyms_client.failures import ClientError, DeferError, failure
from kallsyms_client.options import Command, UsageError, resolve, split
from kallsyms_client.output import FileArgument, FileError, StandardOutput, write
from kallsymsd import __version__
from kallsymsd.core.dialects import BY_NAME, DIALECTS, GETLINE, Dialect, exact, find
from kallsymsd.protocol import asking, wire
from kallsymsd.protocol.messages import say, strerror
from kallsymsd.protocol.received import Output, Piece

# Reasons for computing without a daemon that need no warning.
_SILENT = ("absent", "input", "starting")

# Bytes that no kernel's map exceeds; an amd64 kernel with everything in it has 15 MB.
_LARGEST_MAP = 1 << 25

Environment = dict[bytes, bytes]


class _Source:
    """Where the answer comes from, as $KALLSYMSD says: the daemon, or this process.

    maker       who computed the last answer, if not the daemon; for --verbose
    unanswered  why the daemon did not answer although it was asked, else None
    verified    whose answer equals the last one, with KALLSYMSD=verify
    """

    __slots__ = ("_environment", "maker", "unanswered", "verified")

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.maker = b""
        self.unanswered: asking.UnansweredError | None = None
        self.verified = b""

    def obtain(self, request: wire.BuildRequest, descriptor: int) -> Output:
        """The answer to ``request``."""
        environment = self._environment
        policy = environment.get(b"KALLSYMSD") or b"auto"
        if policy not in (b"auto", b"off", b"require", b"verify"):
            raise failure(b"KALLSYMSD=%b: must be auto, off, require or verify" % policy)
        if policy == b"verify":
            try:
                from kallsyms_client import verifymode
            except ImportError:
                from kallsyms_client.locate import import_with_site

                import_with_site("kallsyms_client.verifymode")
                from kallsyms_client import verifymode

            if not verifymode.is_nested(environment):
                request.verify = True
                descriptor = verifymode.as_file(descriptor, request.map_path)
                output = self._ask_or_compute(request, descriptor, policy)
                self.verified = verifymode.check(request, descriptor, environment, output)
                return output
            policy = b"off"
        return self._ask_or_compute(request, descriptor, policy)

    def _ask_or_compute(self, request: wire.BuildRequest, descriptor: int, policy: bytes) -> Output:
        size = _regular_size(descriptor)
        if policy == b"off":
            return self._compute(request, descriptor, size, "KALLSYMSD=off")
        self.maker, self.unanswered = b"", None
        try:
            if size < 0:
                raise asking.UnansweredError("the input is not a regular file", "input")
            return asking.ask(request, descriptor, _expected(request, size), self._environment)
        except asking.UnansweredError as error:
            unanswered = error
        if policy == b"require":
            if unanswered.outdated:
                from kallsyms_client.aftermath import settle

                settle(unanswered, self._environment)
            raise failure(f"KALLSYMSD=require: {unanswered}".encode())
        output = self._compute(request, descriptor, size, str(unanswered))
        self.unanswered = unanswered
        if unanswered.reason not in _SILENT:
            say(f"kallsyms: warning: {unanswered}; computed without it. {_remedy(unanswered)}\n".encode())
        return output

    def _compute(self, request: wire.BuildRequest, descriptor: int, size: int, why: str) -> Output:
        from kallsyms_client import inprocess

        made = inprocess.build(request, _read_input(request, descriptor, size))
        self.maker = b" (in-process: %b)" % why.encode()
        text, binary, sysmap = (
            (Piece(part, 0, len(part)),) for part in (made.text, made.binary, made.sysmap)
        )
        return Output(made.reply, text, binary, sysmap)


def run(program: bytes, arguments: list[bytes], environment: Environment) -> None:
    """Do what the command line says; ClientError for exit status 1. ``program`` is argv[0]."""
    command = split(arguments, permute=b"POSIXLY_CORRECT" not in environment)
    if command.flags & {b"help", b"version"}:
        from kallsyms_client.help import help_text

        text = help_text(command.flags)
        write(StandardOutput(Piece(text, 0, len(text))))
        return
    dialect, warning = _choose_dialect(command, environment)
    try:
        options = resolve(command.unresolved, dialect, from_elf=command.from_elf)
    except UsageError as error:
        message = program + b": " + error.message + b"\n" + dialect.usage.encode()
        raise DeferError(message, repeated=True) from error
    named = None if b"patch" in command.flags else filearguments.of(command, dialect)
    if warning:
        say(b"kallsyms: warning: " + warning + b"\n")
    if named is None:
        _patch(command, dialect, options, environment)
    else:
        _build(command, dialect, options, named, environment)


def _build(
    command: Command, dialect: Dialect, options: int, named: filearguments.Files, environment: Environment
) -> None:
    """Write the tables, or only a map."""
    try:
        # Any kind of file: the kernel's own tool reads pipes too, and waits for a writer.
        descriptor = posix.open(named.input, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as error:
        raise ClientError(named.input + b": " + strerror(error) + b"\n") from error
    request = _request(command, dialect, options, named)
    if not named.tables and named.sysmap is not None:
        # Without tables there is nothing to ask the daemon for.
        map_text = _read_input(request, descriptor, _regular_size(descriptor))
        write(FileArgument(named.sysmap, Piece(map_text, 0, len(map_text))))
        return
    source = _Source(environment)
    output = source.obtain(request, descriptor)
    if output.ok:
        say(output.reply.message)
        try:
            _deliver(output, named, source, verbose=command.verbose)
        except FileError as error:
            if not named.optional or error.path != named.binary or _is_for_want_of_space(error):
                raise
            named.go_without_binary()
            output = source.obtain(_request(command, dialect, options, named), descriptor)
            if output.ok:
                _deliver(output, named, source, verbose=command.verbose)
    if source.unanswered is not None:
        from kallsyms_client.aftermath import settle

        settle(source.unanswered, environment)
    if not output.ok:
        raise ClientError(output.reply.message)


def _request(
    command: Command, dialect: Dialect, options: int, named: filearguments.Files
) -> wire.BuildRequest:
    tree = _working_directory()
    return wire.BuildRequest(
        version=__version__,
        dialect=dialect.name,
        options=options,
        form=named.form,
        bits=named.target[0],
        big_endian=named.target[1],
        debug=b"debug" in command.flags,
        source=named.source,
        sysmap=named.sysmap is not None,
        bin_name=named.name,
        map_path=named.input if named.input.startswith(b"/") else tree + b"/" + named.input,
        tree=tree,
    )


def _is_for_want_of_space(error: FileError) -> bool:
    """Whether the disk is full or broken: then writing more text instead of a .bin will not help."""
    import errno

    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _patch(command: Command, dialect: Dialect, options: int, environment: Environment) -> None:
    try:
        from kallsyms_client import patchmode
    except ImportError:
        from kallsyms_client.locate import import_with_site

        import_with_site("kallsyms_client.patchmode")
        from kallsyms_client import patchmode
    patchmode.run(command, dialect, options, environment)


def _deliver(output: Output, named: filearguments.Files, source: _Source, *, verbose: bool) -> None:
    """Write the answer, and say how it was made."""
    before = []
    if named.binary is not None:
        before.append(FileArgument(named.binary, *output.binary))
    if named.sysmap is not None:
        before.append(FileArgument(named.sysmap, *output.sysmap))
    if named.assembly is None:
        write(StandardOutput(*output.text), *before)
    else:
        write(FileArgument(named.assembly, *output.text), *before)
    if verbose:
        say(b"kallsyms: " + output.reply.describe().encode() + source.maker + b"\n")
        if source.verified:
            say(b"kallsyms: equal to the result of %b\n" % source.verified)


def _choose_dialect(command: Command, environment: Environment) -> tuple[Dialect, bytes]:
    """The dialect, and a warning, or b""."""
    name, origin = command.dialect, b"--dialect"
    if name is None:
        name, origin = environment.get(b"KALLSYMSD_DIALECT", b""), b"KALLSYMSD_DIALECT"
    if name or origin == b"--dialect":
        dialect = find(name.decode("ascii", "replace"))
        if dialect is None:
            known = ", ".join(each.name for each in DIALECTS)
            raise failure(b"%b: no dialect '%b', there are %b" % (origin, name, known.encode()))
        return dialect, b""
    count = len(command.positionals)
    if count == filearguments.NAMED and not command.from_elf:
        return BY_NAME["mail-2024"], b""
    from kallsyms_client.detect import detect

    srctree = environment.get(b"srctree", b"")
    return detect(command.unresolved, count, srctree, from_elf=command.from_elf)


def _working_directory() -> bytes:
    try:
        return posix.getcwdb()
    except OSError:  # removed; the path is only for display and watching
        return b""


def _remedy(unanswered: asking.UnansweredError) -> str:
    if unanswered.outdated:
        return "It is asked to leave"
    return "See kallsymsctl status, or set KALLSYMSD=off"


def _expected(request: wire.BuildRequest, size: int) -> int:
    """At least the bytes of the request's map; most bytes of a linked kernel are not symbols."""
    return size if request.source == wire.MAP else min(size, _LARGEST_MAP)


def _regular_size(descriptor: int) -> int:
    """Size of a regular file in bytes, -1 for anything else."""
    status = posix.fstat(descriptor)
    return status.st_size if status.st_mode & 0o170000 == 0o100000 else -1


def _read_input(request: wire.BuildRequest, descriptor: int, size: int) -> bytes:
    """The map, read in this process."""
    from kallsyms_client import inprocess

    try:
        return inprocess.read_input(request, descriptor, size)
    except OSError as error:
        # Tools with the older parser report no error here, or never end.
        dialect = exact(request.dialect)
        is_told = request.source == wire.MAP and dialect.parser == GETLINE
        name = b"read_symbol" if is_told else request.map_path
        raise ClientError(name + b": " + strerror(error) + b"\n") from error
