# SPDX-License-Identifier: GPL-2.0-only
"""The steps of ``kallsymsctl verify``."""

import os
import time
from pathlib import Path

from kallsymsd import __version__
from kallsymsd.core import assembly, pipeline
from kallsymsd.core.compare import between_bins, between_texts
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from kallsymsd.counters.costs import Stock
from kallsymsd.ctl.command import CommandError, Context
from kallsymsd.ctl.query import is_running
from kallsymsd.ctl.show import bytes_text, seconds_text
from kallsymsd.ctl.verification import objects
from kallsymsd.ctl.verification.programs import run
from kallsymsd.ctl.verification.progress import Progress
from kallsymsd.ctl.verification.subject import Subject
from kallsymsd.protocol import asking, wire
from kallsymsd.protocol.regular import open_regular, read_regular
from kallsymsd.service.reading import MAX_MAP

_BIN = "ours.bin"


class Verification:
    """Compares, step by step, until something differs.

    rows        rows of a table about the steps done
    difference  the first difference, "" for none
    stock       the costs of the kernel's own tool, after all steps
    """

    def __init__(self, subject: Subject, context: Context, progress: Progress, directory: Path) -> None:
        """``directory`` is an empty working directory."""
        self.rows: list[tuple[str, str, str]] = []
        self.difference = ""
        self.stock = Stock(1, 0.0, 0.0, 0.0)
        self._subject = subject
        self._context = context
        self._progress = progress
        self._directory = directory

    def run(self) -> None:
        """Run the steps; CommandError if one fails."""
        subject = self._subject
        try:
            content = read_regular(str(subject.map), MAX_MAP, follow=True)
        except OSError as error:
            raise CommandError(f"{subject.map}: {error.strerror}") from error
        began = self._progress.step(f"running {subject.tool}")
        theirs = self._run_tool()
        tool_seconds = time.monotonic() - began
        self._row("the tool's text", bytes_text(len(theirs)), tool_seconds)

        began = self._progress.step("computing our tables")
        tables, plain = self._plain(content, theirs)
        told = " ".join([tables.dialect.name, *(f"--{name}" for name in subject.options)])
        self._row("our text", f"dialect {told}", time.monotonic() - began)
        self.difference = between_texts(plain, theirs, tables)
        if self.difference:
            return
        ours = assembly.incbin(tables, Target(subject.bits, subject.big_endian), _BIN.encode())
        binary = b"".join(ours.pieces)
        self._ask_daemon(tables, ours.text, binary)
        if not self.difference:
            self._compare_objects(ours.text, binary, tables, tool_seconds)

    def _run_tool(self) -> bytes:
        """The output of the kernel's own tool."""
        subject = self._subject
        out = self._directory / "theirs.S"
        flags = [f"--{name}" for name in subject.options]
        with out.open("wb") as file:
            status, lines = run(
                [subject.tool, *flags, subject.map.absolute()], "name another with --tool", out=file
            )
        if status:
            message = lines[0].removeprefix(f"{subject.tool}: ")
            raise CommandError(f"{subject.tool}: {message}; name its --dialect and each --option")
        return out.read_bytes()

    def _plain(self, content: bytes, theirs: bytes) -> tuple[Tables, bytes]:
        """Our tables and their plain text, in the dialect that matches ``theirs``, else the first one."""
        made = []
        for dialect in self._subject.dialects:
            try:
                tables = pipeline.build(content, dialect, self._subject.option_bits)
                made.append((tables, assembly.plain(tables)))
            except InputError as error:
                message = error.render(os.fsencode(self._subject.map)).decode("utf-8", "replace")
                raise CommandError(
                    f"differs: the kernel's own tool accepts the map, kallsymsd rejects it: {message.strip()}"
                ) from error
            if made[-1][1] == theirs:
                return made[-1]
        return made[0]

    def _ask_daemon(self, tables: Tables, text: bytes, binary: bytes) -> None:
        """Compare the daemon's answer with ours."""
        if not is_running(self._context.socket):
            self._row("the daemon", "not running")
            return
        subject = self._subject
        request = wire.BuildRequest(
            version=__version__,
            dialect=tables.dialect.name,
            options=tables.options,
            form=wire.INCBIN,
            bits=subject.bits,
            big_endian=subject.big_endian,
            bin_name=_BIN.encode(),
            map_path=os.fsencode(subject.map.absolute()),
            tree=os.fsencode(subject.tree.absolute()),
            verify=True,
        )
        began = self._progress.step("asking the daemon")
        descriptor = open_regular(str(subject.map), follow=True)
        try:
            environment = {**os.environb, b"KALLSYMSD_SOCKET": os.fsencode(self._context.socket)}
            output = asking.ask(request, descriptor, os.fstat(descriptor).st_size, environment)
        except asking.UnansweredError as error:
            raise CommandError(f"{error}; see kallsymsctl status") from error
        finally:
            os.close(descriptor)
        if not output.ok:
            self.difference = "the daemon rejects the map, this process accepts it"
            return
        theirs = [b"".join(piece.read() for piece in pieces) for pieces in (output.text, output.binary)]
        for memory_file in output.descriptors:
            os.close(memory_file)
        self._row("the daemon", output.reply.describe(), time.monotonic() - began)
        self.difference = between_texts(theirs[0], text, tables)
        self.difference = self.difference or between_bins(
            theirs[1], binary, tables, Target(subject.bits, subject.big_endian)
        )
        if self.difference:
            self.difference = f"the daemon's answer (ours) and a cold run (theirs): {self.difference}"

    def _compare_objects(self, text: bytes, binary: bytes, tables: Tables, tool_seconds: float) -> None:
        """Assemble both forms and compare what a linker sees."""
        subject = self._subject
        (self._directory / "ours.S").write_bytes(text)
        (self._directory / _BIN).write_bytes(binary)
        made, seconds = [], []
        for name, what in (("theirs.S", "the tool's tables"), ("ours.S", "our tables")):
            began = self._progress.step(f"assembling {what}")
            made.append(objects.assemble(self._directory / name, subject.compiler, subject.bits))
            seconds.append(time.monotonic() - began)
            self._row("assembled", what, seconds[-1])
        theirs, ours = made
        self.difference = objects.difference(ours, theirs)
        size = sum(len(section.content) for section in ours.sections.values())
        counts = f"{len(ours.symbols)} symbols, {len(ours.relocations)} relocations"
        self._row("objects", f"{bytes_text(size)} in sections, {counts}")
        self.stock = Stock(max(1, tables.num_syms), tool_seconds, seconds[0], seconds[1])

    def _row(self, what: str, text: str, seconds: float | None = None) -> None:
        self.rows.append((what, f"{seconds_text(seconds) if seconds is not None else '':>8}  {text}", ""))
