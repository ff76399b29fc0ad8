# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl explain: why requests were answered as they were, and what keeps a link from settling."""

import argparse
import os
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kallsymsd.ctl import absence, clientnotes, command, passes
from kallsymsd.ctl.command import CommandError, Context, Parsers
from kallsymsd.ctl.query import ask, is_running, reading
from kallsymsd.ctl.show import counted_text, seconds_text
from kallsymsd.ctl.terminal import complain, tell
from kallsymsd.protocol import notes
from kallsymsd.protocol.paths import path_text
from kallsymsd.protocol.wire import STAGES

# Fallbacks that are told of, as the daemon tells of so many requests.
_FALLBACKS = 20
_INDENT = "    "
_WIDTH = 79
_TIE = "\N{NO-BREAK SPACE}"
# Symbols of each kind that are shown of a difference.
_SHOWN = 10

_TEXT = """\
Tells of the last requests (from TREE, if it is given): when, who made the
answer and how, why it was not there already, the first symbols that differ
from the map before, and the time of each stage. If symbols only moved, or most
of them differ, that is told as long as the daemon has both maps.

If the last link of TREE (the working directory) was to be the only one
("kallsymsctl run --one-link", "kallsymsctl install --one-link"), tells how many
it was, and why it was more.

If something of TREE was new when it was built, such as its scripts/kallsyms or
its linker, tells whether ours gave the same as the kernel's own programs, and
what differed if not.

If TREE has the maps of a link's last pass and of the finished kernel
(.tmp_vmlinux*.syms and System.map), tells what differs between them. With
--maps, what differs between any two maps. That is what the kernel's script
means by "Inconsistent kallsyms data": the tables linked in describe another
layout than the kernel has. Of a link that failed or was interrupted (no
vmlinux, or a System.map that is older than its passes, or cut short) that is
told instead. The empty map of pass 0 is compared with nothing.
"""
_EXAMPLES = """\
kallsymsctl explain                # the last requests of all trees
kallsymsctl explain ~/linux        # those of one tree, and its passes
kallsymsctl explain --maps .tmp_vmlinux2.syms System.map
"""
_STATUS = """\
0  the maps are equal, or there are none to compare
1  they differ; or there is nothing to tell
"""
_REMEDY = """\
The tables in the kernel were made from the first map, so they are wrong for
the second. What to do:
  make KALLSYMS_EXTRA_PASS=1     one more pass; often the sizes settle then
  KALLSYMSD=verify make          proves each pass against the kernel's own tool
  kallsymsctl verify TREE        the same for the maps that are there now
If it stays: a symbol above is placed by its size or by a linker script's
expression that the tables themselves move. Without kallsymsd
(KALLSYMSD=off make) the kernel's own tool must say the same.
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "explain",
        _run,
        summary="why requests were answered as they were; what keeps a link from settling",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="object tree of a kernel build")
    parser.add_argument(
        "--maps", nargs=2, type=Path, metavar=("EARLIER", "LATER"), help="compare these two maps only"
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    if options.maps:
        for path in options.maps:
            if passes.is_first(path):
                raise CommandError(
                    f"{path}: is of pass 0, before there are symbols; name that of a later pass"
                )
        return _explain_maps(*options.maps)
    told = _tell_requests(context, options.tree)
    told = _tell_link(options.tree or Path()) or told
    told = _tell_trials(options.tree or Path()) or told
    found = passes.find(options.tree or Path())
    if found is None:
        return 0 if told else 1
    if told:
        print()
    problem = found.problem
    if not problem and passes.is_cut_short(found.last, found.final):
        problem = f"{found.final.name} was cut short"
    if problem:
        _tell_unfinished(found, problem)
        return 0
    return _explain_maps(found.last, found.final)


# Requests.


def _tell_requests(context: Context, tree: Path | None) -> bool:
    """Print the last requests; whether there are any."""
    noted = _noted()
    requests = []
    if is_running(context.socket):
        wanted = {"tree": path_text(os.fsencode(tree.resolve()))} if tree else {}
        answer = ask(context.socket, "explain", more=wanted)
        with reading(answer):
            requests = [(each["time"], _told(each, with_tree=tree is None)) for each in answer["requests"]]
            noted = [*answer["fallbacks"], *noted]
    else:
        complain(f"{absence.told(context)}; what one knew of earlier requests is gone with it")
    told = requests + [(each["time"], _told_fallback(each)) for each in _from(tree, noted)[-_FALLBACKS:]]
    if not told:
        complain(f"no request{f' from {tree}' if tree else ''} is remembered")
    for _, lines in sorted(told):
        tell(*lines)
    return bool(told)


def _tell_link(tree: Path) -> bool:
    """Print how vmlinux was linked, if it was to be linked once; whether it was."""
    from kallsymsd.kbuild.outcome import Outcome  # noqa: PLC0415  takes time to load

    outcome = Outcome.load(os.fspath(tree))
    described = outcome.describe()
    if described:
        text = path_text(os.fsencode(f"{_clock(outcome.when)}  vmlinux: {described}"))
        tell(*textwrap.wrap(text, _WIDTH, subsequent_indent=_INDENT))
    return bool(described)


def _tell_trials(tree: Path) -> bool:
    """Print what was tried in this tree and what was found; whether there is anything."""
    from kallsymsd.ctl import trials  # noqa: PLC0415  as above

    found = trials.read(tree)
    for verdict in found:
        text = path_text(os.fsencode(f"{_clock(verdict.time)}  {trials.described(verdict)}"))
        tell(*textwrap.wrap(text, _WIDTH, subsequent_indent=_INDENT))
    return bool(found)


def _noted() -> list[Mapping[str, Any]]:
    """What clients have noted and the daemon has not taken yet, in the form that it tells of the rest."""
    noted = notes.fallbacks(clientnotes.read())
    return [{"reason": each.reason, "time": each.time, "tree": each.tree} for each in noted]


def _from(tree: Path | None, noted: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the notes that are about ``tree``."""
    if tree is None:
        return noted
    try:
        status = tree.stat()
    except OSError as error:
        raise CommandError(f"{tree}: {error.strerror}") from error
    return [each for each in noted if tuple(each["tree"]) == (status.st_dev, status.st_ino)]


def _told_fallback(fallback: Mapping[str, Any]) -> list[str]:
    """Lines about a request that the daemon did not answer."""
    lines = [f"{_clock(fallback['time'])}  fallback, the client computed in-process"]
    return [*lines, f"    {notes.REASONS[fallback['reason']]}"]


def _told(request: Mapping[str, Any], *, with_tree: bool) -> list[str]:
    """Lines about one request."""
    name = Path(request["map"])
    shown = name if with_tree or str(name.parent) != request["tree"] else name.name
    head, how = f"{_clock(request['time'])}  {shown}:", _how(request)
    lines = [f"{head} {how}"] if len(head) + len(how) < _WIDTH else [head, *_wrapped(how)]
    if request["why"]:
        lines += _wrapped(request["why"])
    if any(request["first"]):
        removed, added = request["first"]
        lines += [
            f"    first {what}: {name}" for what, name in (("removed", removed), ("added", added)) if name
        ]
    elif request["difference"]:
        number, old, new = request["difference"]
        lines += [f"    first in line {number}:", f"      - {old or '(end)'}", f"      + {new or '(end)'}"]
    stages = zip(STAGES, request["stages"], strict=True)
    times = [f"{stage} {seconds_text(microseconds / 1e6)}" for stage, microseconds in stages if microseconds]
    if times:
        # A number and its unit stay together.
        together = ", ".join(each.replace(" ", _TIE) for each in times)
        lines += [line.replace(_TIE, " ") for line in _wrapped(together)]
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False
    )


def _clock(moment: float) -> str:
    return time.strftime("%a %H:%M:%S", time.localtime(moment))


def _how(request: Mapping[str, Any]) -> str:
    made = request["made"]
    words = {
        "hit": "hit, nothing had to be computed",
        "failure": "not answered",
        "bad input": "bad input, there is no answer",
        "addresses": f"new addresses for {counted_text(request['symbols'], 'symbol')}",
        "incremental": (
            f"incremental, {request['changed']:,} of {counted_text(request['symbols'], 'symbol')}, "
            f"{request['kept']} of {request['steps']} token steps kept"
        ),
        "cold": f"cold, {counted_text(request['symbols'], 'symbol')}",
    }
    text = words[made]
    if request["ready"]:
        text += ", made ahead"
    return text + (", shared with another request" if request["shared"] else "")


# Maps.


def _tell_unfinished(found: passes.Passes, problem: str) -> None:
    """Print why the maps of the last link are not compared: they would differ, whatever the tables are."""
    said = (
        f"The last link has failed or was interrupted: {problem}. Its maps are not compared; that is done by"
    )
    tell(*textwrap.wrap(said, _WIDTH, break_on_hyphens=False, break_long_words=False))
    tell(f"{_INDENT}kallsymsctl explain --maps {found.last} {found.final}")


def _explain_maps(earlier: Path, later: Path) -> int:
    difference = passes.compare(passes.read(earlier), passes.read(later))
    if difference.is_empty:
        tell(f"{earlier} and {later} are equal: the link has settled")
        return 0
    tell(f"{earlier} and {later} differ; where they are a link's last pass and its kernel,")
    print('the kernel\'s script says "Inconsistent kallsyms data":')
    for title, lines in (
        ("added", difference.added),
        ("removed", difference.removed),
        ("moved", [_moved(*each) for each in difference.moved]),
    ):
        if lines:
            print(f"  {len(lines):,} {title}:")
            tell(*(f"    {line}" for line in lines[:_SHOWN]))
            if len(lines) > _SHOWN:
                print(f"    ... and {len(lines) - _SHOWN:,} more")
    print()
    print(_REMEDY, end="")
    return 1


def _moved(name: str, old: int, new: int) -> str:
    sign = "+" if new > old else "-"
    return f"{old:x} -> {new:x} ({sign}{abs(new - old):#x}) {name}"
