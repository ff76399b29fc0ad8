# SPDX-License-Identifier: GPL-2.0-only
"""kallsymsd.kbuild, to which the scripts in miniature are those of a release.

Run as the hook runs that: python3 -I -S launcher.py VERB ...
"""

import runpy
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(_ROOT), str(_ROOT / "client")]

from kallsymsd.core.toolsource import digest  # noqa: E402
from kallsymsd.kbuild.script import scripttext  # noqa: E402
from kallsymsd.kbuild.script.scripttext import parts  # noqa: E402
from tests.kbuild.onelink.scripts import BY_ARGUMENTS, BY_NAME, BY_VARIABLES  # noqa: E402

for script in (BY_ARGUMENTS, BY_NAME, BY_VARIABLES):
    for name, text in parts(script.encode()):
        scripttext.SCRIPT_PARTS[name] = (*scripttext.SCRIPT_PARTS.get(name, ()), digest(text))

runpy.run_module("kallsymsd.kbuild", run_name="__main__")
