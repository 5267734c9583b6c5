"""What a bundle with a Python of its own (a frozen build) does otherwise than an installed Maquette.

In a bundle ``sys.executable`` is Maquette itself, which takes commands and no ``-m``; and the way to the bundle's
libraries stands in the environment that every program it starts inherits. ``packaging/entry.py`` is where a
bundle begins.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence

#: Modules that a bundle can be told to run; whatever else is asked for is a word of the command line.
MODULES = ("app.opengl", "app.dialog_tk")
_WORD = "--run-module"
#: Where dynamic linkers look for libraries first; a bundle's start puts its own folder there and keeps
#: what was there before under another name.
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_KEPT = "_ORIG"


def is_frozen() -> bool:
    """Whether this is a bundle."""
    return bool(getattr(sys, "frozen", False))


def module_command(module: str, *words: str) -> list[str]:
    """The command line of a process of ours that runs a module.

    Args:
        module: one of :data:`MODULES`.
        words: its arguments.

    Raises:
        ValueError: a bundle could not run that module.
    """
    if module not in MODULES:
        raise ValueError(f"{module} does not stand in engine.frozen.MODULES")
    return [sys.executable, _WORD if is_frozen() else "-m", module, *words]


def run_module(words: Sequence[str]) -> bool:
    """Run the module that a bundle's command line asks for, as ``python -m`` would.

    Args:
        words: the words after the program's name.

    Returns:
        whether they asked for one.
    """
    if len(words) < 2 or words[0] != _WORD or words[1] not in MODULES:
        return False
    sys.argv = list(words[1:])
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    return True


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a program that is not ours: without the way to a bundle's libraries, which
    need not be those that the program was built for."""
    found = dict(variables)
    if not is_frozen():
        return found
    for name in _LIBRARY_PATHS:
        before = found.pop(name + _KEPT, "")
        found.pop(name, None)
        if before:
            found[name] = before
    return found
