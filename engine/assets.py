"""Where the files that ship with Maquette lie.

In a checkout ``assets/`` and ``cuda/`` stand beside ``engine/``; in an installed wheel they
are inside it, as ``engine/assets`` and ``engine/cuda``. They are looked for in that order:
inside the package, then one level up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError

_HERE = Path(__file__).resolve().parent

#: What stands for the generator that the window opens by itself where a path could stand.
BUNDLED = "bundled"


@dataclass(frozen=True)
class Shipped:
    """A generator that ships with Maquette.

    Attributes:
        key: what stands for it where a path could stand.
        title: what it is called in a list of models.
        name: what it is called where it is open.
        family: in the registry's words.
        note: what it is, in a few words.
        file: its JSON in ``assets/``.
    """

    key: str
    title: str
    name: str
    family: str
    note: str
    file: str


_SHIPPED = (
    Shipped(
        BUNDLED, "Bundled generator", "Bundled heads", "eg3d",
        "The generator that ships with Maquette (EG3D)", "generator/heads.json",
    ),
    Shipped(
        "bundled:cips3d", "Bundled CIPS-3D", "Bundled heads (CIPS-3D)", "cips3d",
        "A second generator of the same people (CIPS-3D)", "generator_cips3d/heads.json",
    ),
    Shipped(
        "bundled:bronze", "Bundled bronze", "Bronze heads (CIPS-3D)", "cips3d",
        "The second generator with everybody in bronze: it lends its colours",
        "generator_bronze/heads.json",
    ),
)  # fmt: skip


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


def shipped_generators() -> tuple[Shipped, ...]:
    """The generators that ship with Maquette, the one that the window opens by itself first."""
    folder = data_dir("assets")
    return tuple(one for one in _SHIPPED if (folder / one.file).exists())


def shipped_generator(path: str) -> Shipped | None:
    """The generator that ships with Maquette and that ``path`` stands for, if it does."""
    return next((one for one in shipped_generators() if one.key == path), None)


def bundled_generator() -> Path:
    """The JSON of the generator that the window opens by itself."""
    return asset(_SHIPPED[0].file)


def model_place(path: str) -> Path:
    """Where a model lies: ``path`` itself, or the file of the one that ships with Maquette and that
    ``path`` stands for (``"bundled"``). Whether there is anything is not looked at."""
    if path == BUNDLED:
        return bundled_generator()
    shipped = shipped_generator(path)
    return Path(path).expanduser() if shipped is None else asset(shipped.file)
