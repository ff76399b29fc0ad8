# SPDX-License-Identifier: GPL-2.0-only
"""What kallsymsctl loads before it does anything: each module costs start-up time."""

import json
import subprocess
import sys

from tests.interpreter import python
from tests.service.peer import PATIENCE

# Everything that is not Python's own. What shows on a terminal, computes or reads objects is loaded by the
# command that needs it.
ALLOWED = {
    "kallsymsd.core": {"dialects", "toolsource"},
    "kallsymsd.counters": {"costs", "figures", "jsonfile", "kept", "latency", "marks", "table"},
    "kallsymsd.protocol": {
        "codec",
        "frames",
        "lock",
        "messages",
        "notes",
        "paths",
        "places",
        "private",
        "regular",
        "users",
        "wire",
    },
    "kallsymsd.service": {"config"},
    "msgpack": {"_cmsgpack", "exceptions", "ext", "fallback"},
}
# Dear ones of Python's own.
FORBIDDEN = {"asyncio", "sqlite3", "tomllib", "http", "importlib.metadata", "multiprocessing", "email"}


def loaded(*arguments: str) -> set[str]:
    """Modules in memory after a command that ends before it asks anybody."""
    program = (
        "import sys, json\n"
        "from kallsymsd.ctl.main import main\n"
        f"main({list(arguments)!r})\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = python(program)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_little_is_loaded_before_the_command_is_known() -> None:
    allowed = {f"{package}.{module}" for package, modules in ALLOWED.items() for module in modules}
    allowed |= {"kallsymsd", *ALLOWED}
    ours = {
        name
        for name in loaded("stop") - loaded_by_python()
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith(("kallsymsd.ctl", "cython_runtime", "_cython_"))  # the latter are msgpack's
    }
    assert ours <= allowed, ours - allowed
    assert not loaded("stop") & FORBIDDEN - loaded_by_python()


def test_modules_of_single_commands_wait_for_these() -> None:
    waiting = {"man", "statssummary", "trials", "verification"}
    assert not {name.removeprefix("kallsymsd.ctl.") for name in loaded("stop")} & waiting


def loaded_by_python() -> set[str]:
    """What Python loads for itself, and .pth files of this environment make it load."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, json; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(json.loads(done.stdout))
