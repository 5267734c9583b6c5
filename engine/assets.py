"""Where the files that ship with Maquette lie.

In a checkout ``assets/`` and ``cuda/`` stand beside ``engine/``; in an installed wheel they
are inside it, as ``engine/assets`` and ``engine/cuda``. They are looked for in that order:
inside the package, then one level up.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import UserError

_HERE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """Folder ``name`` (``"assets"`` or ``"cuda"``) of this installation.

    Raises:
        UserError: the installation is incomplete.
    """
    for folder in (_HERE / name, _HERE.parent / name):
        if folder.is_dir() and not (folder / "__init__.py").exists():
            return folder
    raise UserError(
        f"The folder {name!r} is missing from this installation; install Maquette again."
    )


def asset(relative: str) -> Path:
    """One file in ``assets/``, ``"icons/maquette-32.png"`` for instance.

    Raises:
        UserError: the installation is incomplete.
    """
    path = data_dir("assets") / relative
    if not path.exists():
        raise UserError(f"The file assets/{relative} is missing; install Maquette again.")
    return path


def bundled_generator() -> Path:
    """The JSON of the generator that ships with Maquette."""
    return asset("generator/heads.json")
