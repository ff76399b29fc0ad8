# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsctl explain: explains how requests were answered and why a link did not settle."""

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

# Number of fallbacks shown; the daemon reports about as many requests.
_FALLBACKS = 20
_INDENT = "    "
_WIDTH = 79
_TIE = "\N{NO-BREAK SPACE}"
# Symbols of each kind that are shown for a difference.
_SHOWN = 10

_TEXT = """\
Shows the last requests, of TREE if given: how each was answered and why, the
first symbols that differ from the previous map, and the time of each stage.
For an address-only update or a cold run, the daemon can show differences only
while it has both maps in memory.

For TREE (default: the working directory) it also shows:
  - how vmlinux was linked, if one link was requested (--one-link of
    "kallsymsctl run" and "install"), and why it was not one link
  - the verdicts of trials in this tree, and what differed
  - the differences between the map of the last pass (.tmp_vmlinux*.syms) and
    that of the finished kernel (System.map)

If these maps differ, the tables in the kernel are stale; the kernel's own
script reports "Inconsistent kallsyms data". After a failed or interrupted link
the maps are not compared. --maps compares any two maps, but not the empty one
of pass 0.
"""
_EXAMPLES = """\
kallsymsctl explain                # the last requests of all trees
kallsymsctl explain ~/linux        # those of one tree, its links and its maps
kallsymsctl explain --maps .tmp_vmlinux2.syms System.map
"""
_STATUS = """\
0  the maps are equal, or there are no maps to compare
1  the maps differ, or nothing is known
"""
_REMEDY = """\
The tables in the kernel were made from the first map and do not fit the second.
What to do:
  make KALLSYMS_EXTRA_PASS=1     adds a pass; often the sizes settle then
  KALLSYMSD=verify make          compares each pass with the kernel's own tool
  kallsymsctl verify TREE        compares System.map with the kernel's own tool
If the difference remains, the address of a symbol above depends on the tables
themselves, through its size or an expression in a linker script. Without
kallsymsd (KALLSYMSD=off make), the kernel's own tool must report the same.
"""


def register(parsers: Parsers) -> None:
    """Add the subcommand."""
    parser = command.add(
        parsers,
        "explain",
        _run,
        summary="explain how requests were answered and why a link did not settle",
        text=_TEXT,
        examples=_EXAMPLES,
        status=_STATUS,
    )
    parser.add_argument("tree", nargs="?", type=Path, metavar="TREE", help="the object tree")
    parser.add_argument(
        "--maps", nargs=2, type=Path, metavar=("EARLIER", "LATER"), help="only compare these two maps"
    )


def _run(context: Context, options: argparse.Namespace) -> int:
    if options.maps:
        for path in options.maps:
            if passes.is_first(path):
                raise CommandError(f"{path}: is the empty map of pass 0; name the map of a later pass")
        return _explain_maps(*options.maps)
    told = _show_requests(context, options.tree)
    told = _show_link(options.tree or Path()) or told
    told = _show_trials(options.tree or Path()) or told
    found = passes.find(options.tree or Path())
    if found is None:
        return 0 if told else 1
    if told:
        print()
    problem = found.problem
    if not problem and passes.is_cut_short(found.last, found.final):
        problem = f"{found.final.name} is truncated"
    if problem:
        _show_unfinished(found, problem)
        return 0
    return _explain_maps(found.last, found.final)


# Requests.


def _show_requests(context: Context, tree: Path | None) -> bool:
    """Print the last requests; returns whether there are any."""
    noted = _noted()
    requests = []
    if is_running(context.socket):
        wanted = {"tree": path_text(os.fsencode(tree.resolve()))} if tree else {}
        answer = ask(context.socket, "explain", more=wanted)
        with reading(answer):
            requests = [
                (each["time"], _request_lines(each, with_tree=tree is None)) for each in answer["requests"]
            ]
            noted = [*answer["fallbacks"], *noted]
    else:
        complain(f"{absence.describe(context)}; earlier requests are no longer known")
    told = requests + [(each["time"], _fallback_lines(each)) for each in _from(tree, noted)[-_FALLBACKS:]]
    if not told:
        complain(f"no requests{f' from {tree}' if tree else ''} are known")
    for _, lines in sorted(told):
        tell(*lines)
    return bool(told)


def _show_link(tree: Path) -> bool:
    """Print how vmlinux was linked, if one link was requested; returns whether it was."""
    from kallsymsd.kbuild.outcome import Outcome  # noqa: PLC0415  takes time to load

    outcome = Outcome.load(os.fspath(tree))
    described = outcome.describe()
    if described:
        text = path_text(os.fsencode(f"{_clock(outcome.when)}  vmlinux: {described}"))
        tell(*textwrap.wrap(text, _WIDTH, subsequent_indent=_INDENT))
    return bool(described)


def _show_trials(tree: Path) -> bool:
    """Print the verdicts of trials in this tree; returns whether there are any."""
    from kallsymsd.ctl import trials  # noqa: PLC0415  as above

    found = trials.read(tree)
    for verdict in found:
        text = path_text(os.fsencode(f"{_clock(verdict.time)}  {trials.described(verdict)}"))
        tell(*textwrap.wrap(text, _WIDTH, subsequent_indent=_INDENT))
    return bool(found)


def _noted() -> list[Mapping[str, Any]]:
    """The clients' records that the daemon has not taken yet, in the form of its answer."""
    noted = notes.fallbacks(clientnotes.read())
    return [{"reason": each.reason, "time": each.time, "tree": each.tree} for each in noted]


def _from(tree: Path | None, noted: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records about ``tree``."""
    if tree is None:
        return noted
    try:
        status = tree.stat()
    except OSError as error:
        raise CommandError(f"{tree}: {error.strerror}") from error
    return [each for each in noted if tuple(each["tree"]) == (status.st_dev, status.st_ino)]


def _fallback_lines(fallback: Mapping[str, Any]) -> list[str]:
    """Lines about a request that the daemon did not answer."""
    lines = [f"{_clock(fallback['time'])}  fallback, the client computed in-process"]
    return [*lines, f"    {notes.REASONS[fallback['reason']]}"]


def _request_lines(request: Mapping[str, Any], *, with_tree: bool) -> list[str]:
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
        # Do not break a line between a number and its unit.
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
        "bad input": "bad input, the map is not valid",
        "addresses": f"address-only update of {counted_text(request['symbols'], 'symbol')}",
        "incremental": (
            f"incremental update, {request['changed']:,} of {counted_text(request['symbols'], 'symbol')}, "
            f"{request['kept']} of {request['steps']} token steps reused"
        ),
        "cold": f"cold run, {counted_text(request['symbols'], 'symbol')}",
    }
    text = words[made]
    if request["ready"]:
        text += ", precomputed"
    return text + (", shared with another request" if request["shared"] else "")


# Maps.


def _show_unfinished(found: passes.Passes, problem: str) -> None:
    """Print why the maps of the last link are not compared: they would differ, whatever the tables are."""
    said = f"The last link failed or was interrupted: {problem}. To compare its maps anyway, run"
    tell(*textwrap.wrap(said, _WIDTH, break_on_hyphens=False, break_long_words=False))
    tell(f"{_INDENT}kallsymsctl explain --maps {found.last} {found.final}")


def _explain_maps(earlier: Path, later: Path) -> int:
    difference = passes.compare(passes.read(earlier), passes.read(later))
    if difference.is_empty:
        tell(f"{earlier} and {later} are equal: the link has settled")
        return 0
    tell(f"{earlier} and {later} differ. For a link's last pass and its kernel,")
    print('the kernel\'s own script reports "Inconsistent kallsyms data":')
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
