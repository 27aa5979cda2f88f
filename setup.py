"""Builds the native core. Everything else about the package stands in pyproject.toml.

`DRAWBAR_TRACE=1` builds with line tracing, which coverage needs and speed does not.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

TRACE = os.environ.get("DRAWBAR_TRACE") == "1"
SOURCES = sorted(Path("src").rglob("*.pyx"))


def extension(source: Path) -> Extension:
    """One module of the native core, compiled with warnings as errors."""
    name = ".".join(source.relative_to("src").with_suffix("").parts)
    macros = [("_GNU_SOURCE", "1")]
    flags = ["-O2", "-fno-semantic-interposition", "-fvisibility=hidden", "-Wall", "-Werror"]
    # Cython's own output, not ours: helpers it emits and does not call.
    flags += ["-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-but-set-variable"]
    if TRACE:
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
        flags += ["-O0"]
    return Extension(name, [str(source)], define_macros=macros, extra_compile_args=flags)


setup(
    ext_modules=cythonize(
        [extension(source) for source in SOURCES],
        include_path=["src"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "binding": False,
            "embedsignature": False,
            "always_allow_keywords": False,
            "linetrace": TRACE,
            "warn.unused_arg": False,
        },
    ),
)
