# SPDX-License-Identifier: GPL-2.0-only
"""Build of the native core; everything else stands in pyproject.toml."""

import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildNative(build_ext):
    """build_ext that says in one line what is missing on a machine without a compiler."""

    def run(self) -> None:
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        if not any(shutil.which(name) for name in (compiler, "cc", "gcc", "clang")):
            sys.exit(
                f"kallsymsd: no C compiler found (looked for {compiler}, cc, gcc, clang): "
                "install one (Debian: apt install gcc libc6-dev python3-dev) and try again"
            )
        super().run()


NATIVE = "kallsymsd/core/native"

setup(
    ext_modules=[
        Extension(
            "kallsymsd.core._native",
            sources=["kallsymsd/core/_native.pyx", f"{NATIVE}/pairs.c"],
            include_dirs=[NATIVE],
            depends=[str(path) for path in Path(NATIVE).glob("*.[hp]*")],
            extra_compile_args=["-O3", "-Wall", "-Wno-unused-function"],
        )
    ],
    cmdclass={"build_ext": BuildNative},
)
