"""Write the reference of the engine from its docstrings: what ``make docs`` calls.

    .venv/bin/python packaging/reference.py [FOLDER]

Needs the extra ``docs`` (pdoc). Modules are imported for it, and nothing else is done. Ends with 1 where
pdoc had something to warn of.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
#: What the reference shows: the engine, its kernels' launchers and the training of every family among it. What made
#: the models that ship is started by ``python -m``, explains itself by ``--help`` and wants packages that not everybody has;
#: ``mediapipe_child`` belongs to another Python.
MODULES = (
    "engine", "!engine.training.heads", "!engine.training.bundled", "!engine.training.text_encoder",
    "!engine.training.data.photos.mediapipe_child", "!engine.*__main__",
)  # fmt: skip


def show_types(module: ModuleType) -> None:
    """Have pdoc find the types of a module's named tuples, which it looks for outside the module."""
    for kind in vars(module).values():
        if (
            isinstance(kind, type)
            and issubclass(kind, tuple)
            and kind.__module__ == module.__name__
        ):
            for written in map(str, getattr(kind, "__annotations__", {}).values()):
                for word in set(re.findall(r"\w+", written)) & set(vars(module)):
                    setattr(builtins, word, vars(module)[word])


def main(folder: Path) -> int:
    """Write the pages; returns the exit status."""
    import pdoc
    import pdoc.render
    from pdoc.extract import walk_specs

    for name in walk_specs(MODULES):
        show_types(importlib.import_module(name))
    pdoc.render.configure(docformat="google", footer_text="Maquette")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pdoc.pdoc(*MODULES, output_directory=folder)
    ours = sorted({str(one.message) for one in told if "pdoc" in one.filename})
    for line in ours:
        print(line, file=sys.stderr)
    print(folder / "index.html")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")))
