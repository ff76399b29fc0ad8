# SPDX-License-Identifier: GPL-2.0-only
"""One link of vmlinux instead of three: what the edited scripts/link-vmlinux.sh asks for (docs/one-link.md).

predict TABLES             tables as the coming link will need them
try TABLES                 as predict, for a link beside those that the script has done, which is compared
tables LINKED TABLES [BTF] the tables that a linked file needs; an object with BTF must have some
untyped LINKED COPY LINKS  a copy for pahole, that has no BTF
patch LINKED TABLES LINKS [BTF]
                           these tables, into the file itself, and what is in the object BTF
compare LINKED VMLINUX STATUS
                           decide on the link that was tried; STATUS is not 0 where that has failed

LINKS were done to get LINKED. TABLES stands for TABLES.S and TABLES.bin. The working directory is the object
tree. The exit status is one of those below; any other means that we have failed, and the script goes on by
itself.
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

#: Exit status: it is done. Not 0, which a program that is not this one might end with.
DONE = 80
#: Exit status: the layout differs, TABLES are those needed now (patch); sizes cannot be foretold (predict).
DIFFERS = 81
#: Exit status: whether one link gives the same in such a tree was never tried (predict).
UNTRIED = 82
#: Exit status: as DONE, and the object with BTF is linked in as it is (try).
GIVEN = 83
#: Exit status: this is not for us.
FAILED = 1

#: Where the edited script says what its object with BTF is called; "" if it makes that in an unknown way.
OBJECT = "KALLSYMSD_BTF"
#: Where it says which options it gives on what condition (configuration.conditions()).
CONDITIONS = "KALLSYMSD_CONDITIONS"
#: Where it says which names scripts/mksysmap drops.
RULES = "KALLSYMSD_RULES"
#: Where it says that the link is one that is tried beside its own.
TRYING = "KALLSYMSD_TRYING"

# What else comes out of the script's links than vmlinux and System.map.
_STOCK = {
    "CONFIG_VMLINUX_MAP": "the map that the linker writes would name other files",
    "CONFIG_UML": "the compiler links user mode Linux",
}
_BTF = "CONFIG_DEBUG_INFO_BTF"
_TREE = Path()
_LINKED = b"linked\n"
# Bytes that are copied at a time.
_CHUNK = 1 << 30


class _StockError(Exception):
    """The script has to go on by itself; the text says why."""


def main(arguments: list[str]) -> int:
    """Do what the script asks for; the exit status."""
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
    except _StockError as error:
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
    """One request of the script."""

    def __init__(self) -> None:
        self.configuration = Configuration()
        dialect = find(os.environ["KALLSYMSD_DIALECT"])
        if dialect is None or dialect.reads_elf:
            raise _StockError(f"not for the dialect {os.environ['KALLSYMSD_DIALECT']}")
        self.dialect: Dialect = dialect
        # What the tree's own scripts/mksysmap leaves out.
        rules = os.environ[RULES].split()
        self.dropped = SymbolFilter(*rules, previous=dialect.mksysmap.previous)
        self.options = self.configuration.options(os.environ[CONDITIONS])
        self.option_bits = sum(OPTION_BITS[option.removeprefix("--")] for option in self.options)

    def predict(self, tables: str) -> int:
        """See above."""
        self._check()
        verdict = self._verdict()
        if verdict is None or verdict.result == verdicts.BEGUN:
            return UNTRIED
        if verdict.result == verdicts.DIFFERENT:
            raise _StockError(f"one link was tried in such a tree, but {verdict.reason}")
        outcome = Outcome()
        inputs, prediction = lastlink.foretell(_TREE, self.dialect)
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
        """See above."""
        coming, _ = lastlink.foretell(_TREE, self.dialect)
        lastlink.forget(_TREE)
        lastlink.note(_TREE, coming)
        is_given = self.configuration.is_enabled(_BTF) and not btf.is_reproducible(os.environ)
        if not is_given and (doubt := self._doubt()):
            Outcome(reason=doubt).save()
            return DIFFERS
        moved = linktrial.moved(linktrial.read_map(linktrial.SYSMAP))
        _write(
            pipeline.build(moved, self.dialect, self.option_bits),
            Target(*elf_target(os.fsencode(lastlink.FILES[0]), set())),
            tables,
        )
        Outcome().begin()
        return GIVEN if is_given else DONE

    def compare(self, linked: str, vmlinux: str, status: str) -> int:
        """See above."""
        outcome = Outcome.load()
        outcome.links = 0
        is_linked = int(status) == 0
        if linktrial.decide(self._key(), Path(linked), Path(vmlinux), is_linked=is_linked, outcome=outcome):
            lastlink.learn(_TREE, linktrial.read_map(linktrial.MAP))
        Path(linktrial.MAP).unlink(missing_ok=True)
        Outcome(reason=outcome.reason).finish()
        return DONE

    def tables(self, linked: str, tables: str, made: str = "") -> int:
        """See above."""
        if made:
            btf.read(Path(made))
        elf = _symbols(Path(linked))
        _write(self._needed(elf)[0], Target(elf.bits, elf.big_endian), tables)
        Outcome.load().begin()
        return DONE

    def untyped(self, linked: str, copy: str, links: str) -> int:
        """See above."""
        outcome = Outcome.load()
        outcome.end(int(links))
        outcome.save()
        _copy(linked, copy)
        if not btf.hide(_symbols(Path(linked)), Path(copy)):
            raise _StockError("the last link's object for BTF has none")
        return DONE

    def patch(self, linked: str, tables: str, links: str, made: str = "") -> int:
        """See above. The linker may still be at work: ``linked`` on standard input says that it is done."""
        if os.read(0, len(_LINKED)) != _LINKED:
            raise _StockError("the linker failed")
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
        """_StockError where one link would not give everything."""
        if os.environ.get("KALLSYMSD") == "off":
            raise _StockError("KALLSYMSD is off")
        if os.environ.get("KALLSYMSD") == "verify":
            raise _StockError("KALLSYMSD is verify: the tables of each link are compared")
        if os.environ.get("KALLSYMS_EXTRA_PASS"):
            raise _StockError("KALLSYMS_EXTRA_PASS is set")
        if not self.configuration.is_enabled("CONFIG_KALLSYMS"):
            raise _StockError("the kernel is built without kallsyms")
        if self.configuration.is_enabled(_BTF) and not os.environ[OBJECT]:
            raise _StockError("BTF is made in a way that is not known")
        for name, reason in _STOCK.items():
            if self.configuration.is_enabled(name):
                raise _StockError(f"{name} is set: {reason}")

    def _key(self) -> str:
        return combination.key(self.configuration, self.dialect, self.options, os.environ)

    def _verdict(self) -> Verdict | None:
        """What a trial has found, None if there was none; _StockError where it could not be kept."""
        place = verdicts.place(dict(os.environb))
        if not place:
            raise _StockError("what a trial finds cannot be kept: there is no cache directory")
        return verdicts.find(place, self._key())

    def _doubt(self) -> str:
        """Why BTF from the last link is not to be linked in again, "" if it may be or there is none."""
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
    """A linked file, without what is neither header nor symbol."""
    with os.fdopen(open_regular(os.fsencode(path), follow=True), "rb", buffering=0) as file:
        descriptor = file.fileno()
        return vmlinux.linked(
            lambda buffer, offset: os.preadv(descriptor, [buffer], offset), os.fstat(descriptor).st_size
        )
