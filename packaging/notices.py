"""The licence notices of everything in a bundle, collected from where each thing came from.

A Python package tells by the licence files of its installation, a library of the system by Debian's copyright file,
Python by its own; a library that came inside a package is looked up in ``licences/libraries.toml``, and so is what was
compiled into one. What none of them tells about stops the build: a bundle without its notices must not leave the house.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from mmap import ACCESS_READ, mmap
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXTS = HERE / "licences"
#: A whole word, perhaps with another behind it (SciPy's COPYING_QHULL.txt and LICENSE_DOP).
LICENCE_FILE = re.compile(
    r"^(licen[cs]es?|notices?|copying|copyright|authors)(?![a-z0-9])", re.IGNORECASE
)
#: Files of these kinds are code, whatever their name.
_CODE = (".py", ".pyc", ".so", ".pyd")
_LIBRARY = re.compile(r"^lib.*\.(so|dylib)([.\d]*)$|\.dll$", re.IGNORECASE)
_COMMON = re.compile(r"/usr/share/common-licenses/([\w.+-]*\w)")
#: Components whose files come from no installed package.
PYTHON, MAQUETTE, BUILDER = "Python", "maquette", "pyinstaller"


class Missing(Exception):
    """Something is bundled whose licence nobody tells."""


@dataclass
class Component:
    """Something with a notice of its own.

    Attributes:
        name: what it is called.
        version: empty where it is not known.
        licence: as its makers state it, in short; may be empty.
        text: its notices in full.
        files: how many files of the bundle are its.
    """

    name: str
    version: str = ""
    licence: str = ""
    text: str = ""
    files: int = 0


@dataclass
class Collector:
    """Finds whose each file is.

    Args:
        libraries: the rows of ``licences/libraries.toml`` about libraries that are files of their own.
        linked: those about what was compiled into a file of somebody else's.
    """

    libraries: list[dict[str, object]]
    linked: list[dict[str, object]] = field(default_factory=list)
    components: dict[str, Component] = field(default_factory=dict)
    _owners: dict[str, metadata.Distribution] | None = None

    def take(self, place: str, source: str) -> None:
        """Count a file to its component.

        Args:
            place: where it lies in the bundle.
            source: the file it was copied from.

        Raises:
            Missing: nobody tells its licence.
        """
        path = Path(source)
        component = self._component(path)
        if component is None:
            raise Missing(
                f"{place} (from {source}) belongs to no package with licence files; name it in "
                "packaging/licences/libraries.toml, or leave it out in packaging/contents.py."
            )
        component.files += 1
        self._inside(component, path)

    def package(self, name: str) -> Component:
        """The component of an installed Python package.

        Raises:
            Missing: it has no licence file.
        """
        distribution = metadata.distribution(name)
        key = distribution.name.lower()
        if key not in self.components:
            texts = licence_texts(distribution)
            if not texts:
                raise Missing(
                    f"The package {distribution.name} {distribution.version} brings no licence file."
                )
            facts = distribution.metadata
            stated = facts.get("License-Expression") or facts.get("License") or ""
            self.components[key] = Component(
                distribution.name, distribution.version, _short(stated, facts), joined(texts)
            )
        return self.components[key]

    # --- whose is it? -------------------------------------------------------------------

    def _component(self, path: Path) -> Component | None:
        if _LIBRARY.search(path.name):
            found = self._library(path.name)
            # An extension module may be called like a library.
            return found or self._packaged(path) or self._system(path)
        found = self._packaged(path)
        if found:
            return found
        if path.is_relative_to(HERE):
            return self.package(MAQUETTE)
        # Modules that Python needs before it can look into the archive.
        if path.name == "base_library.zip":
            return self._python()
        if _within(
            path, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sys.base_prefix
        ):
            return self._python()
        return self._system(path)

    def _packaged(self, path: Path) -> Component | None:
        if self._owners is None:
            self._owners = {}
            for distribution in metadata.distributions():
                # Tens of thousands of files: only their folder is asked for where it really lies.
                base = Path(str(distribution.locate_file(""))).resolve()
                for file in distribution.files or ():
                    self._owners[os.path.normpath(f"{base}/{file}")] = distribution
        owner = self._owners.get(f"{path.parent.resolve()}{os.sep}{path.name}")
        owner = owner or self._owners.get(str(path.resolve()))
        return None if owner is None else self.package(owner.name)

    def _python(self) -> Component:
        if PYTHON not in self.components:
            stdlib = Path(sysconfig.get_path("stdlib"))
            places = (stdlib / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt")
            text = next((p.read_text(encoding="utf-8") for p in places if p.is_file()), None)
            if text is None:
                debian = debian_copyright(Path(sysconfig.get_path("stdlib")) / "os.py")
                if debian is None:
                    raise Missing(f"This Python ({sys.base_prefix}) brings no licence file.")
                text = debian[1]
            version = "{}.{}.{}".format(*sys.version_info[:3])
            self.components[PYTHON] = Component(PYTHON, version, "PSF-2.0", text)
        return self.components[PYTHON]

    def _library(self, name: str) -> Component | None:
        for row in self.libraries:
            if not re.fullmatch(str(row["files"]), name):
                continue
            within = row.get("within")
            if within is None:
                return self._stated(row)
            teller = self._python() if within == PYTHON else self.package(str(within))
            if str(row["says"]) not in teller.text:
                raise Missing(
                    f"The licence files of {within} no longer tell about {row['name']} ({name}); "
                    "see packaging/licences/libraries.toml."
                )
            return teller
        return None

    def _inside(self, component: Component, path: Path) -> None:
        """Count what was compiled into a file."""
        for row in self.linked:
            if (
                component.name.lower() != str(row["linked"]).lower()
                or not re.fullmatch(str(row["files"]), path.name)
                or not sys.platform.startswith(str(row.get("on", "")))
            ):
                continue
            if not holds(path, str(row["sign"]).encode()):
                raise Missing(
                    f"{path.name} no longer says {row['sign']!r}, by which it is known to hold {row['name']}; "
                    "see what it holds now, and mend its row in packaging/licences/libraries.toml."
                )
            self._stated(row).files += 1

    def _stated(self, row: Mapping[str, object]) -> Component:
        name = str(row["name"])
        if name not in self.components:
            names = row["texts"]
            assert isinstance(names, list)
            parts = [f"{row['holder']}\n{row['home']}\nLicence: {row['licence']}"]
            parts += [text_file(str(one)).read_text(encoding="utf-8").strip() for one in names]
            self.components[name] = Component(
                name, "", str(row["licence"]), f"\n\n{'-' * 78}\n\n".join(parts) + "\n"
            )
        return self.components[name]

    def _system(self, path: Path) -> Component | None:
        found = debian_copyright(path)
        if found is None:
            return None
        package, text = found
        return self.components.setdefault(package, Component(package, "", "see there", text))


def _short(stated: str, facts: object) -> str:
    """A licence in a line; some packages state the whole text instead."""
    line = " ".join(stated.split())
    if 0 < len(line) <= 120:
        return line
    classifiers = facts.get_all("Classifier", [])  # type: ignore[attr-defined]
    names = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    return ", ".join(names) or "see there"


def _within(path: Path, *folders: str) -> bool:
    resolved = path.resolve()
    return any(resolved.is_relative_to(Path(folder).resolve()) for folder in folders)


def text_file(name: str) -> Path:
    """The file of a standard text: one of ``licences/``, or Maquette's own licence."""
    return HERE.parent / "LICENSE" if name == "Apache-2.0" else TEXTS / f"{name}.txt"


def holds(path: Path, words: bytes) -> bool:
    """Whether these bytes stand anywhere in a file; it may be larger than the memory."""
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
        return data.find(words) >= 0


def licence_texts(distribution: metadata.Distribution) -> dict[str, str]:
    """The licence files of an installed package: name -> content, each content once."""
    texts: dict[str, str] = {}
    for file in distribution.files or ():
        if not LICENCE_FILE.match(file.name) or file.suffix.lower() in _CODE:
            continue
        path = Path(str(distribution.locate_file(file)))
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            if text and text not in texts.values():
                texts[str(file)] = text
    return texts


def joined(texts: Mapping[str, str]) -> str:
    """Several texts as one, each under its name."""
    return (
        "\n\n".join(f"{name}\n{'=' * len(name)}\n\n{text}" for name, text in texts.items()) + "\n"
    )


def debian_copyright(path: Path) -> tuple[str, str] | None:
    """Which Debian package a file of the system is of, and that package's copyright file with the common
    licences that it refers to; ``None`` where there is no such package, or no dpkg."""
    if shutil.which("dpkg") is None:
        return None
    real = path.resolve()
    # dpkg knows files by the path they had before /lib and /usr/lib became one.
    candidates = dict.fromkeys(
        (str(real), str(path), str(real).removeprefix("/usr"), f"/usr{real}")
    )
    for candidate in candidates:
        asked = subprocess.run(
            ["dpkg", "-S", candidate], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            continue
        package = asked.stdout.split(":", 1)[0].split(",")[0].strip()
        notice = Path("/usr/share/doc") / package / "copyright"
        if not notice.is_file():
            return None
        texts = {"copyright": notice.read_text(encoding="utf-8", errors="replace").strip()}
        for name in dict.fromkeys(_COMMON.findall(texts["copyright"])):
            common = Path("/usr/share/common-licenses") / name
            if common.is_file():
                texts[name] = common.read_text(encoding="utf-8", errors="replace").strip()
        return package, joined(texts)
    return None


def collect(files: Iterable[Mapping[str, str]]) -> list[Component]:
    """The components of a bundle, by name.

    Args:
        files: ``place``, ``source`` and ``kind`` of each, as ``maquette.spec`` lists them.

    Raises:
        Missing: with every file whose licence nobody tells.
    """
    with (TEXTS / "libraries.toml").open("rb") as table:
        rows = tomllib.load(table)
    collector = Collector(rows["library"], rows["linked"])
    faults = []
    for one in files:
        # A link points at a file that is listed itself; a module of no file is an empty package.
        if one["kind"] == "SYMLINK" or one["source"] in ("", "-"):
            continue
        try:
            collector.take(one["place"], one["source"])
        except Missing as missing:
            faults.append(str(missing))
    # The program itself is PyInstaller's start-up code with ours behind it.
    for name in (BUILDER, MAQUETTE):
        try:
            collector.package(name).files += 1
        except Missing as missing:
            faults.append(str(missing))
    if faults:
        raise Missing("\n".join(dict.fromkeys(faults)))
    return sorted(collector.components.values(), key=lambda one: one.name.lower())


def write(folder: Path, components: Iterable[Component]) -> Path:
    """Write ``NOTICES.txt`` and a file for each component into ``licences/`` beside it.

    Returns:
        the list.
    """
    texts = folder / "licences"
    shutil.rmtree(texts, ignore_errors=True)
    texts.mkdir(parents=True)
    lines = [
        "Maquette is under the Apache License 2.0. This bundle also holds the work of others, listed here with",
        "their licences; the full texts lie in the folder licences beside this file.",
        "",
        "FFmpeg's libraries are linked with x264 and x265, which are under the GNU General Public License: who",
        "passes this bundle on does so under that licence (version 3) and owes the sources of these libraries,",
        "which PyAV's releases name. Maquette's own files stay under the Apache License.",
        "",
        "torch's largest library holds Intel's oneMKL. Intel lets it be passed on, but neither changed nor taken",
        "apart, which the GNU General Public License does not know: see docs/packaging.md of Maquette before",
        "you pass this bundle on.",
        "",
    ]
    for one in components:
        name = re.sub(r"[^\w.+-]+", "_", f"{one.name}-{one.version}" if one.version else one.name)
        (texts / f"{name}.txt").write_text(one.text, encoding="utf-8")
        title = f"{one.name} {one.version}".strip()
        lines.append(f"{title}: {one.licence or 'see there'} (licences/{name}.txt)")
    path = folder / "NOTICES.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def main(arguments: list[str]) -> int:
    """``notices.py CONTENTS BUNDLE``: write the notices of what is listed into a bundle; 1 if one is missing."""
    contents, bundle = map(Path, arguments)
    try:
        components = collect(json.loads(contents.read_text(encoding="utf-8")))
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    write(bundle, components)
    print(f"{len(components)} notices in {bundle / 'NOTICES.txt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
