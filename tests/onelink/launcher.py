# SPDX-License-Identifier: GPL-2.0-only
"""kallsyms_client.kbuild, to which the scripts in miniature are those of a release.

Run as the hook runs that: python3 -I -S launcher.py VERB ...
"""

import runpy
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "client")]

from kallsyms_client.kbuild import known  # noqa: E402
from kallsyms_client.kbuild.normal import digest, parts  # noqa: E402
from tests.onelink.scripts import BY_ARGUMENTS, BY_NAME, BY_VARIABLES  # noqa: E402

for script in (BY_ARGUMENTS, BY_NAME, BY_VARIABLES):
    for name, text in parts(script.encode()):
        known.SCRIPT_PARTS[name] = (*known.SCRIPT_PARTS.get(name, ()), digest(text))

runpy.run_module("kallsyms_client.kbuild", run_name="__main__")
