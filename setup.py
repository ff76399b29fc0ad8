# SPDX-License-Identifier: GPL-2.0-only
"""Builds the native modules; pyproject.toml has everything else."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_CORE = Path("kallsymsd/core/native")
_ELF = Path("kallsymsd/elf/native")
# Further C files of a module.
_MORE = {"simd": [f"{_CORE}/pairs.c"]}
_DIRECTIVES = {
    "language_level": 3,
    "allow_none_for_extension_args": False,
    "binding": False,
    "boundscheck": False,
    "cdivision": True,
    "embedsignature": False,
    "initializedcheck": False,
    "wraparound": False,
}


class BuildNative(build_ext):
    """build_ext that reports a missing C compiler in one line."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        if not any(shutil.which(name) for name in (compiler, "cc", "gcc", "clang")):
            sys.exit(
                f"kallsymsd: no C compiler found (looked for {compiler}, cc, gcc, clang): "
                "install one (Debian: apt install gcc libc6-dev python3-dev) and try again"
            )
        super().run()


def _extension(source: Path) -> Extension:
    return Extension(
        ".".join(source.with_suffix("").parts),
        sources=[str(source), *_MORE.get(source.stem, [])],
        include_dirs=[str(_CORE)],
        depends=[str(path) for path in _CORE.glob("*.h")],
        extra_compile_args=["-O3", "-Wall", "-Wno-unused-function"],
    )


setup(
    ext_modules=cythonize(
        [_extension(source) for package in (_CORE, _ELF) for source in sorted(package.glob("*.pyx"))],
        build_dir="build/cython",
        compiler_directives=_DIRECTIVES,
    ),
    cmdclass={"build_ext": BuildNative},
)
