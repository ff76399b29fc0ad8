# SPDX-License-Identifier: GPL-2.0-only
"""Links vmlinux once instead of three times, as commands of the edited link-vmlinux.sh (docs/one-link.md).

predict TABLES             make tables for the predicted map of the next link
try TABLES                 like predict, for a trial: a link after the kernel's own links
tables LINKED TABLES [BTF] make the tables that a linked file needs; check that the object BTF has BTF
untyped LINKED COPY LINKS  make a copy without BTF for pahole
patch LINKED TABLES LINKS [BTF]
                           write the needed tables, and the contents of the object BTF, into LINKED
compare LINKED VMLINUX STATUS
                           decide the trial; STATUS is not 0 if its link failed

LINKS is the number of links done so far. TABLES stands for TABLES.S and TABLES.bin. The working directory is
the object tree. The exit statuses are below; with any other status, the script falls back to its own links.
"""

from __future__ import annotations

import os
from pathlib import Path

from kallsyms_client import session
from kallsyms_client.failures import ClientError
from kallsyms_client.machine import elf_target
from kallsyms_client.output import FileArgument, write
from kallsyms_client.patchmode import flavour
from kallsymsd.core import assembly, pipeline
from kallsymsd.core.dialects import OPTION_BITS, Dialect, SymbolFilter, find
from kallsymsd.core.errors import InputError
from kallsymsd.core.tables import Tables
from kallsymsd.core.target import Target
from kallsymsd.elf import nm, vmlinux
from kallsymsd.elf.elffile import ElfFile
from kallsymsd.engine import memory
from kallsymsd.kbuild.outcome import Outcome
from kallsymsd.kbuild.trial import combination, linktrial, verdicts
from kallsymsd.kbuild.trial.verdicts import Verdict
from kallsymsd.onelink import btf, lastlink
from kallsymsd.onelink.configuration import Configuration
from kallsymsd.onelink.overwrite import LinkedFile, OverwriteError
from kallsymsd.onelink.patchplan import LayoutDiffers, Patch
from kallsymsd.onelink.prediction import UnpredictableError
from kallsymsd.protocol.received import Piece
from kallsymsd.protocol.regular import open_regular, write_regular

#: Exit status: success. Not 0, which a program in place of this one might return.
DONE = 80
#: Exit status: the layout differs and TABLES has the needed tables (patch); no prediction (predict, try).
DIFFERS = 81
#: Exit status: one link needs a trial in this tree first (predict).
UNTRIED = 82
#: Exit status: like DONE, but the object with BTF is linked in unchanged (try).
GIVEN = 83
#: Exit status: fall back to the kernel's own links.
FAILED = 1

#: Variable: the script's object with BTF; "" if the script makes BTF in an unknown way.
OBJECT = "KALLSYMSD_BTF"
#: Variable: the conditions for kallsyms' options (configuration.conditions()).
CONDITIONS = "KALLSYMSD_CONDITIONS"
#: Variable: the names that scripts/mksysmap drops.
RULES = "KALLSYMSD_RULES"
#: Variable: set if the link is a trial.
TRYING = "KALLSYMSD_TRYING"

# Configurations in which the kernel's own links make more than vmlinux and System.map, or work differently.
_UNSUPPORTED = {
    "CONFIG_VMLINUX_MAP": "the linker's map would name other files",
    "CONFIG_UML": "the compiler links user mode Linux",
}
_BTF = "CONFIG_DEBUG_INFO_BTF"
_TREE = Path()
_LINKED = b"linked\n"
# Bytes to copy per call.
_CHUNK = 1 << 30


class _OwnLinksError(Exception):
    """The script must fall back to the kernel's own links; the text says why."""


def main(arguments: list[str]) -> int:
    """Execute a command of the script; returns the exit status."""
    verb, *operands = arguments
    memory.fit(0)
    try:
        job = _Job()
        match verb:
            case "predict":
                return job.predict(*operands)
            case "try":
                return job.attempt(*operands)
            case "compare":
                return job.compare(*operands)
            case "tables":
                return job.tables(*operands)
            case "untyped":
                return job.untyped(*operands)
            case _:
                return job.patch(*operands)
    except _OwnLinksError as error:
        Outcome(reason=str(error)).finish()
        return FAILED
    except InputError as error:
        reason = error.render(b"vmlinux").decode("utf-8", "replace").strip()
    except (ClientError, OverwriteError) as error:
        reason = error.message.decode("utf-8", "replace").strip()
    except (OSError, MemoryError) as error:
        reason = str(error) or "out of memory"
    Outcome(reason=reason).finish(failed=True)
    return FAILED


class _Job:
    """One command of the script."""

    def __init__(self) -> None:
        self.configuration = Configuration()
        dialect = find(os.environ["KALLSYMSD_DIALECT"])
        if dialect is None or dialect.reads_elf:
            raise _OwnLinksError(f"dialect {os.environ['KALLSYMSD_DIALECT']} does not support one link")
        self.dialect: Dialect = dialect
        # The names that the tree's own scripts/mksysmap drops.
        rules = os.environ[RULES].split()
        self.dropped = SymbolFilter(*rules, previous=dialect.mksysmap.previous)
        self.options = self.configuration.options(os.environ[CONDITIONS])
        self.option_bits = sum(OPTION_BITS[option.removeprefix("--")] for option in self.options)

    def predict(self, tables: str) -> int:
        """See the module's docstring."""
        self._check()
        verdict = self._verdict()
        if verdict is None or verdict.result == verdicts.BEGUN:
            return UNTRIED
        if verdict.result == verdicts.DIFFERENT:
            raise _OwnLinksError(f"one link was rejected by a trial: {verdict.reason}")
        outcome = Outcome()
        inputs, prediction = lastlink.predict_link(_TREE, self.dialect)
        lastlink.forget(_TREE)
        lastlink.note(_TREE, inputs)
        doubt = self._doubt()
        if isinstance(prediction, UnpredictableError) or doubt:
            outcome.reason = doubt or str(prediction)
            outcome.save()
            return DIFFERS
        write_regular(lastlink.PREDICTED, prediction.text, mode=0o666)
        options = (f"--dialect={self.dialect.name}", *self.options)
        arguments = (*options, lastlink.FILES[0], lastlink.PREDICTED)
        session.run(
            b"kallsyms",
            [os.fsencode(argument) for argument in (*arguments, f"{tables}.S", f"{tables}.bin")],
            dict(os.environb),
        )
        outcome.predicted = True
        outcome.removed, outcome.added = prediction.removed, prediction.added
        outcome.begin()
        return DONE

    def attempt(self, tables: str) -> int:
        """See "try" in the module's docstring."""
        coming, _ = lastlink.predict_link(_TREE, self.dialect)
        lastlink.forget(_TREE)
        lastlink.note(_TREE, coming)
        is_given = self.configuration.is_enabled(_BTF) and not btf.is_reproducible(os.environ)
        if not is_given and (doubt := self._doubt()):
            Outcome(reason=doubt).save()
            return DIFFERS
        shifted = linktrial.shifted(linktrial.read_map(linktrial.SYSMAP))
        _write(
            pipeline.build(shifted, self.dialect, self.option_bits),
            Target(*elf_target(os.fsencode(lastlink.FILES[0]), set())),
            tables,
        )
        Outcome().begin()
        return GIVEN if is_given else DONE

    def compare(self, linked: str, vmlinux: str, status: str) -> int:
        """See the module's docstring."""
        outcome = Outcome.load()
        outcome.links = 0
        is_linked = int(status) == 0
        if linktrial.decide(self._key(), Path(linked), Path(vmlinux), is_linked=is_linked, outcome=outcome):
            lastlink.learn(_TREE, linktrial.read_map(linktrial.MAP))
        Path(linktrial.MAP).unlink(missing_ok=True)
        Outcome(reason=outcome.reason).finish()
        return DONE

    def tables(self, linked: str, tables: str, made: str = "") -> int:
        """See the module's docstring."""
        if made:
            btf.read(Path(made))
        elf = _symbols(Path(linked))
        _write(self._needed(elf)[0], Target(elf.bits, elf.big_endian), tables)
        Outcome.load().begin()
        return DONE

    def untyped(self, linked: str, copy: str, links: str) -> int:
        """See the module's docstring."""
        outcome = Outcome.load()
        outcome.end(int(links))
        outcome.save()
        _copy(linked, copy)
        if not btf.hide(_symbols(Path(linked)), Path(copy)):
            raise _OwnLinksError("the last link's BTF object has no BTF")
        return DONE

    def patch(self, linked: str, tables: str, links: str, made: str = "") -> int:
        """See the module's docstring. Waits for ``linked`` on standard input: the linker may still run."""
        if os.read(0, len(_LINKED)) != _LINKED:
            raise _OwnLinksError("the linker failed")
        outcome = Outcome.load()
        outcome.end(int(links))
        file = LinkedFile(os.fsencode(linked))
        elf = file.elf
        needed, map_text = self._needed(elf)
        renewed = btf.renew(elf, Path(made)) if made else None
        if isinstance(renewed, str):
            plan: Patch | LayoutDiffers = LayoutDiffers(renewed)
        else:
            plan = file.plan(needed, *([renewed] if renewed else []))
        if isinstance(plan, LayoutDiffers):
            outcome.reason = outcome.reason or plan.reason
            _write(needed, Target(elf.bits, elf.big_endian), tables)
            outcome.begin()
            return DIFFERS
        file.write_unnamed(plan)
        if os.environ.get(TRYING):
            write_regular(linktrial.MAP, map_text)
            return DONE
        lastlink.learn(_TREE, map_text)
        outcome.finish()
        return DONE

    def _check(self) -> None:
        """Raise _OwnLinksError if one link would not replace all of the kernel's own links."""
        if os.environ.get("KALLSYMSD") == "off":
            raise _OwnLinksError("KALLSYMSD=off")
        if os.environ.get("KALLSYMSD") == "verify":
            raise _OwnLinksError("KALLSYMSD=verify compares the tables of each link")
        if os.environ.get("KALLSYMS_EXTRA_PASS"):
            raise _OwnLinksError("KALLSYMS_EXTRA_PASS is set")
        if not self.configuration.is_enabled("CONFIG_KALLSYMS"):
            raise _OwnLinksError("CONFIG_KALLSYMS is not set")
        if self.configuration.is_enabled(_BTF) and not os.environ[OBJECT]:
            raise _OwnLinksError("scripts/link-vmlinux.sh makes BTF in an unknown way")
        for name, reason in _UNSUPPORTED.items():
            if self.configuration.is_enabled(name):
                raise _OwnLinksError(f"{name} is set: {reason}")

    def _key(self) -> str:
        return combination.key(self.configuration, self.dialect, self.options, os.environ)

    def _verdict(self) -> Verdict | None:
        """The verdict on one link, None before a trial; _OwnLinksError if verdicts cannot be saved."""
        place = verdicts.place(dict(os.environb))
        if not place:
            raise _OwnLinksError("verdicts of trials cannot be saved: there is no private cache directory")
        return verdicts.find(place, self._key())

    def _doubt(self) -> str:
        """Why the last link's BTF must not be linked in again; "" if it may be, or without BTF."""
        if not self.configuration.is_enabled(_BTF):
            return ""
        return btf.doubt(self.configuration, Path(os.environ[OBJECT]), os.environ)

    def _needed(self, elf: ElfFile) -> tuple[Tables, bytes]:
        """The tables that a linked file needs, and its map."""
        map_text = nm.system_map(elf, self.dialect, flavour(dict(os.environb)), dropped=self.dropped)
        return pipeline.build(map_text, self.dialect, self.option_bits), map_text


def _write(made: Tables, target: Target, tables: str) -> None:
    name = os.fsencode(tables)
    output = assembly.incbin(made, target, name + b".bin")
    binary = output.binary
    write(
        FileArgument(name + b".S", Piece(output.text, 0, len(output.text))),
        FileArgument(name + b".bin", Piece(binary, 0, len(binary))),
    )


def _copy(source: str, copy: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with (
        os.fdopen(open_regular(source, follow=True), "rb", buffering=0) as file,
        os.fdopen(open_regular(copy, flags, 0o666, follow=False), "wb", buffering=0) as made,
    ):
        while os.sendfile(made.fileno(), file.fileno(), None, _CHUNK):
            pass


def _symbols(path: Path) -> ElfFile:
    """Headers and symbols of a linked file."""
    with os.fdopen(open_regular(os.fsencode(path), follow=True), "rb", buffering=0) as file:
        descriptor = file.fileno()
        return vmlinux.linked(
            lambda buffer, offset: os.preadv(descriptor, [buffer], offset), os.fstat(descriptor).st_size
        )
