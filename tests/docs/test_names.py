"""Options, variables, files and names of the program that the documents speak of are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.shown import PAGES, ROOT

ROOMS = ("app", "engine", "tests", "packaging")
#: Options of other programs.
OF_OTHERS = {"--tool", "--report-api-errors"}
#: Of files that are no source.
ENDINGS = {"json", "md", "npz", "pth", "pkl", "pt", "safetensors"}
#: What is called so in the authors' programs, and in what is still to be written.
ELSEWHERE = {
    "CONTRIBUTING.md": {"theme.X"},
    "eg3d.md": {"renderer.plane_axes"},
    "epigraf.md": {"dataset.camera", "dataset.sampling"},
    "exports.md": {"gen_samples.py", "render_multiview_images.py", "generate.py", "inference.py", "legacy.load_network_pkl",
                   "misc.copy_params_and_buffers"},
    "family.md": {"engine/generators/NAME_config.py", "NAME_network.py", "NAME_source.py", "NAME.py"},
    "kernel.md": {"cuda/NAME.cu", "engine/kernels/NAME.py"},
    "panel.md": {"app/panels/NAME.py"},
}  # fmt: skip


@cache
def sources() -> dict[str, str]:
    """The text of all source files, by their place."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    files += [*(ROOT / "cuda").glob("*.cu*"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    found = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in files
        if path.is_file() and "node_modules" not in path.parts
    }
    # This file itself says what is not there.
    found[str(Path(__file__).relative_to(ROOT))] = ""
    return found


@cache
def modules() -> dict[str, str]:
    """Text of the modules of the engine and the window by their own names; those of one name together."""
    found: dict[str, str] = {}
    for place, text in sources().items():
        if place.startswith(("app/", "engine/")):
            name = Path(place).stem
            found[name] = found.get(name, "") + text
    return found


@cache
def fields() -> frozenset[str]:
    """Names of fields of classes, of which commands make options."""
    return frozenset(
        name for text in sources().values() for name in re.findall(r"(?m)^    (\w+): ", text)
    )


@cache
def words() -> frozenset[str]:
    """Every word of the sources."""
    return frozenset(word for text in sources().values() for word in re.findall(r"[\w-]+", text))


def codes(text: str) -> Iterator[str]:
    """What stands in code in a page's sentences and tables, and in its blocks."""
    yield from re.findall(r"`([^`\n]+)`", text)
    yield from re.findall(r"(?m)^    (\S.*)$", text)


def unknown(text: str) -> list[str]:
    """What a page names that is not there."""
    wrong = []
    for code in codes(text):
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code):
            name = option.removeprefix("--").replace("-", "_")
            is_known = option in words() | OF_OTHERS or {name, name.removeprefix("no_")} & fields()
            wrong += [] if is_known else [option]
        wrong += [name for name in re.findall(r"MAQUETTE_[A-Z_]+", code) if name not in words()]
        if re.fullmatch(r"[\w/-]+\.(py|cu|cuh)", code):
            wrong += [] if any(f"/{place}".endswith(f"/{code}") for place in sources()) else [code]
        elif named := re.fullmatch(r"(?:[a-z_]+\.)*([a-z_]+)\.([A-Za-z_]\w*)(?:\(.*\))?", code):
            module, name = named.groups()
            is_file = code.replace(".", "/") + ".py" in sources() or name in ENDINGS
            if (
                module in modules()
                and not is_file
                and not re.search(rf"\b{name}\b", modules()[module])
            ):
                wrong.append(code)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    assert not set(unknown(page.read_text(encoding="utf-8"))) - ELSEWHERE.get(page.name, set())


def test_what_is_not_there_is_found() -> None:
    page = (
        "`--psi` `--no-mirror` `--pssi 1` `MAQUETTE_KERNELS=0` `MAQUETTE_COLONELS` `engine/camera.py` `app/camera.py`\n"
        "`camera.FAMILY_AXES` `camera.FAMILY_AXLES` `numpy.mean`\n\n    maquette render --sede 7\n"
    )
    assert unknown(page) == [
        "--pssi", "MAQUETTE_COLONELS", "app/camera.py", "camera.FAMILY_AXLES", "--sede",
    ]  # fmt: skip
    assert len(PAGES) > 35
