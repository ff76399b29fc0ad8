# SPDX-License-Identifier: GPL-2.0-only
"""One run: from the command line to written files.

Until the result is written, a run that the daemon answers imports nothing but sys, posix, time, _socket, its
own package and the dialect table; a test holds it to that.
"""

import posix

from kallsyms_client import daemon, wire
from kallsyms_client.options import Command, UsageError, resolve, split
from kallsyms_client.output import FileArgument, Piece, StandardOutput, included_name, relative_to_here, write
from kallsyms_client.report import ClientError, DeferError, failure, say, strerror
from kallsymsd import __version__
from kallsymsd.core.dialects import BY_NAME, DIALECTS, GETLINE, Dialect, find

# Reasons for going without a daemon that are no trouble.
_SILENT = ("absent", "input")

_FILE_FORM = 4  # file arguments: VMLINUX IN.map OUT.S OUT.bin

Environment = dict[bytes, bytes]


class _Outputs:
    """Where the result goes, and what that makes of it.

    form      wire.ASM or wire.INCBIN
    target    bits and whether big-endian; (0, False) for wire.ASM
    name      what the .S includes
    binary    path of the .bin, None for none
    assembly  path of the .S, None for standard output
    """

    __slots__ = ("assembly", "binary", "form", "name", "target")

    def __init__(self) -> None:
        self.form = wire.ASM
        self.target = (0, False)
        self.name = b""
        self.binary: bytes | None = None
        self.assembly: bytes | None = None


class _Result:
    """A reply, with its parts as they are to be written.

    maker       says who made it unless the daemon did
    unanswered  why the daemon did not although it was to be asked
    verified    whose result equals it, with KALLSYMSD=verify
    """

    __slots__ = ("binary", "how", "maker", "message", "status", "text", "unanswered", "verified")

    def __init__(self, status: int, how: wire.How, message: bytes, *, text: Piece, binary: Piece) -> None:
        self.status = status
        self.how = how
        self.message = message
        self.text = text
        self.binary = binary
        self.maker = b""
        self.unanswered: daemon.UnansweredError | None = None
        self.verified = b""


def run(program: bytes, arguments: list[bytes], environment: Environment) -> None:
    """Do what the command line says; ClientError for exit status 1. ``program`` is argv[0]."""
    command = split(arguments, permute=b"POSIXLY_CORRECT" not in environment)
    if command.flags & {b"help", b"version"}:
        from kallsyms_client.help import help_text

        text = help_text(command.flags)
        write(StandardOutput(Piece(text, 0, len(text))))
        return
    dialect, warning = _choose_dialect(command, environment)
    usage = dialect.usage.encode()
    try:
        options = resolve(command.unresolved, dialect)
    except UsageError as error:
        raise DeferError(program + b": " + error.message + b"\n" + usage, repeated=True) from error
    files = len(command.positionals)
    if files != _FILE_FORM and (files == 0 or dialect.positionals not in (0, files)):
        raise DeferError(usage, repeated=True)
    if dialect.reads_elf and files != _FILE_FORM:
        name = dialect.name.encode()
        raise DeferError(b"kallsyms: dialect " + name + b": give VMLINUX IN.map OUT.S OUT.bin\n")
    if warning:
        say(b"kallsyms: warning: " + warning + b"\n")
    outputs = _file_outputs(command) if files == _FILE_FORM else _standard_output(command)
    map_path = command.positionals[1 if files == _FILE_FORM else 0]
    try:
        descriptor = posix.open(map_path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as error:
        raise ClientError(map_path + b": " + strerror(error) + b"\n") from error
    tree = _working_directory()
    request = wire.BuildRequest(
        version=__version__,
        dialect=dialect.name,
        options=options,
        form=outputs.form,
        bits=outputs.target[0],
        big_endian=outputs.target[1],
        debug=b"debug" in command.flags,
        bin_name=outputs.name,
        map_path=map_path if map_path.startswith(b"/") else tree + b"/" + map_path,
        tree=tree,
    )
    result = _obtain(request, descriptor, environment)
    if result.status == wire.OK:
        _deliver(result, outputs, verbose=command.verbose)
    if result.unanswered is not None:
        from kallsyms_client.aftermath import settle

        settle(result.unanswered, environment)
    if result.status != wire.OK:
        raise ClientError(result.message)


def _deliver(result: _Result, outputs: _Outputs, *, verbose: bool) -> None:
    """Write the result, and what there is to say about it."""
    say(result.message)
    write(
        StandardOutput(result.text)
        if outputs.assembly is None
        else FileArgument(outputs.assembly, result.text),
        None if outputs.binary is None else FileArgument(outputs.binary, result.binary),
    )
    if verbose:
        say(b"kallsyms: " + result.how.describe().encode() + result.maker + b"\n")
        if result.verified:
            say(b"kallsyms: equal to the result of %b\n" % result.verified)


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
    if len(command.positionals) == _FILE_FORM:
        return BY_NAME["mail-2024"], b""
    from kallsyms_client.detect import detect

    return detect(command.unresolved, len(command.positionals), environment.get(b"srctree", b""))


def _file_outputs(command: Command) -> _Outputs:
    """The outputs of: kallsyms VMLINUX IN.map OUT.S OUT.bin. With --format=asm the .bin is made empty."""
    outputs = _Outputs()
    vmlinux, _, outputs.assembly, outputs.binary = command.positionals
    if outputs.assembly == outputs.binary:
        raise failure(outputs.binary + b": given both as OUT.S and as OUT.bin")
    if command.form != wire.ASM:
        from kallsyms_client.target import elf_target

        outputs.form = wire.INCBIN
        outputs.target = elf_target(vmlinux, command.flags)
        outputs.name = outputs.binary
    return outputs


def _standard_output(command: Command) -> _Outputs:
    """The outputs of: kallsyms IN.map > OUT.S. The .S includes a .bin only if all that takes is known."""
    outputs = _Outputs()
    try:
        posix.fstat(1)  # the next file to be opened would become standard output
    except OSError as error:
        raise failure(b"standard output: " + strerror(error)) from error
    if command.form == wire.ASM:
        return outputs
    binary, why = included_name()
    if binary:
        from kallsyms_client.target import known_target

        target = known_target(command.flags)
        if target is not None:
            outputs.form = wire.INCBIN
            outputs.target = target
            outputs.binary = binary
            outputs.name = relative_to_here(binary)
            return outputs
    if command.form == wire.INCBIN:
        if binary:
            raise failure(
                b"--format=incbin: the target is not known: give --64bit or --big-endian, "
                b"or run it where include/config/auto.conf is"
            )
        raise failure(b"--format=incbin: no name for the .bin from standard output: " + why)
    return outputs


def _working_directory() -> bytes:
    try:
        return posix.getcwdb()
    except OSError:  # removed; it is for display and watching only
        return b""


def _obtain(request: wire.BuildRequest, descriptor: int, environment: Environment) -> _Result:
    """The result, from the daemon or made here, as $KALLSYMSD wants it."""
    policy = environment.get(b"KALLSYMSD") or b"auto"
    if policy not in (b"auto", b"off", b"require", b"verify"):
        raise failure(b"KALLSYMSD=%b: must be auto, off, require or verify" % policy)
    if policy == b"verify":
        from kallsyms_client import verify

        if not verify.is_nested(environment):
            descriptor = verify.as_file(descriptor, request.map_path)
            result = _ask_or_compute(request, descriptor, environment, policy)
            result.verified = verify.check(
                request, descriptor, environment, status=result.status, text=result.text, binary=result.binary
            )
            return result
        policy = b"off"
    return _ask_or_compute(request, descriptor, environment, policy)


def _ask_or_compute(
    request: wire.BuildRequest, descriptor: int, environment: Environment, policy: bytes
) -> _Result:
    status = posix.fstat(descriptor)
    size = status.st_size if status.st_mode & 0o170000 == 0o100000 else -1
    if policy == b"off":
        return _compute(request, descriptor, size, "KALLSYMSD=off")
    try:
        if size < 0:
            raise daemon.UnansweredError("the map is not a regular file", "input")
        reply, source = daemon.ask(request, descriptor, size, environment)
    except daemon.UnansweredError as error:
        unanswered = error
    else:
        text = Piece(source, 0, reply.text_length)
        binary = Piece(source, reply.text_length, reply.binary_length)
        return _Result(reply.status, reply.how, reply.message, text=text, binary=binary)
    if policy == b"require":
        if unanswered.outdated:
            from kallsyms_client.aftermath import settle

            settle(unanswered, environment)
        raise failure(f"KALLSYMSD=require: {unanswered}".encode())
    result = _compute(request, descriptor, size, str(unanswered))
    result.unanswered = unanswered
    if unanswered.reason not in _SILENT:
        say(f"kallsyms: warning: {unanswered}; computed without it. {_remedy(unanswered)}\n".encode())
    return result


def _remedy(unanswered: daemon.UnansweredError) -> str:
    if unanswered.outdated:
        return "It is asked to leave"
    return "See kallsymsctl status, or set KALLSYMSD=off"


def _compute(request: wire.BuildRequest, descriptor: int, size: int, why: str) -> _Result:
    from kallsyms_client import local

    try:
        map_text = local.read_map(descriptor, size)
    except OSError as error:
        # Kernels with the older parser say nothing of it, or never end.
        name = b"read_symbol" if BY_NAME[request.dialect].parser == GETLINE else request.map_path
        raise ClientError(name + b": " + strerror(error) + b"\n") from error
    made = local.build(request, map_text)
    text, binary = Piece(made.text, 0, len(made.text)), Piece(made.binary, 0, len(made.binary))
    result = _Result(made.status, made.how, made.message, text=text, binary=binary)
    result.maker = b" (in-process: %b)" % why.encode()
    return result
