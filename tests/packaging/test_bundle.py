"""The bundle: what its lists say is true, and nothing leaves without a notice."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of ``packaging/`` as a module; it finds the others beside it."""
    monkeypatch.syspath_prepend(str(PACKAGING))
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("contents", monkeypatch)


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("notices", monkeypatch)


# --- what goes in ---------------------------------------------------------------------------


def test_hidden_modules_and_data_are_there(contents: ModuleType) -> None:
    for name in contents.HIDDEN:
        assert importlib.util.find_spec(name) is not None, f"{name} is in HIDDEN and nowhere else"
    for package, patterns in contents.DATA.items():
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        for pattern in patterns:
            assert any(Path(spec.origin).parent.glob(pattern)), f"{package} has no {pattern}"
    for script in contents.SCRIPTS:
        assert (ROOT / script).is_file()


def test_nothing_of_ours_is_excluded(contents: ModuleType) -> None:
    names = set(contents.excluded_modules("linux"))
    for room in contents.ROOMS:
        assert not any(name == room or name.startswith(f"{room}.") for name in names)
    wanted = {
        req.split(">")[0] for req in metadata.requires("maquette") or () if "extra" not in req
    }
    modules = {
        "open_clip_torch": "open_clip",
        "font-roboto": "font_roboto",
        "scikit-image": "skimage",
    }
    assert not names & {modules.get(name, name) for name in wanted}


def test_the_only_file_dialog_of_other_systems_stays(contents: ModuleType) -> None:
    assert "tkinter" in contents.excluded_modules("linux")
    assert "tkinter" not in contents.excluded_modules("win32")
    assert "tkinter" not in contents.excluded_modules("darwin")


@pytest.mark.parametrize(
    "place",
    ["torch/bin/test_api", "torch/include/ATen/ATen.h", "torch/lib/libjitbackend_test.so",
     "torch/nn/modules/conv.py", "torchvision/_C.so", "scipy/stats/tests/test_fit.py",
     "libstdc++.so.6", "libGL.so.1", "libX11.so.6", "libc.so.6", "libmvec.so.1", "libcudart.so.13"],
)  # fmt: skip
def test_what_stays_out(contents: ModuleType, place: str) -> None:
    assert contents.why_left_out(place)


@pytest.mark.parametrize(
    "place",
    ["torch/bin/torch_shm_manager", "torch/lib/libtorch_cpu.so", "torch/_dynamo/config.py",
     "torch/nn/functional.py", "torchvision/models/densenet.py", "skimage/measure/__init__.pyi", "av.libs/libxcb-5ddf6756.so.1.1.0",
     "engine/assets/generator/heads.safetensors", "app/cli/render.py", "libssl.so.3"],
)  # fmt: skip
def test_what_stays(contents: ModuleType, place: str) -> None:
    assert contents.why_left_out(place) is None


def test_every_list_says_why(contents: ModuleType) -> None:
    assert all(reason for reason in contents.EXCLUDED.values())
    assert all(one.reason for one in contents.LEFT_OUT)


# --- notices ----------------------------------------------------------------------------------


def entry(place: str, source: Path | str) -> dict[str, str]:
    return {"place": place, "source": str(source), "kind": "DATA"}


@pytest.fixture
def without_builder(notices: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """PyInstaller is not installed where the tests run; pip stands in for it."""
    monkeypatch.setattr(notices, "BUILDER", "pip")
    return notices


def test_packages_python_and_libraries_bring_their_notices(
    without_builder: ModuleType, tmp_path: Path
) -> None:
    import PIL
    import platformdirs

    vendored = Path(PIL.__file__).parent.parent / "av.libs" / "libx264-0123abcd.so.165"
    found = without_builder.collect(
        [
            entry("platformdirs/__init__.py", platformdirs.__file__),
            entry("json/decoder.py", json.decoder.__file__),
            entry("av.libs/libx264-0123abcd.so.165", vendored),
            {"place": "libx264.so", "source": "av.libs/libx264.so", "kind": "SYMLINK"},
        ]
    )
    listed = without_builder.write(tmp_path, found).read_text()
    for line in ("platformdirs", "Python 3", "x264: GPL-2.0-or-later", "maquette"):
        assert line in listed
    for text in tmp_path.joinpath("licences").iterdir():
        assert f"licences/{text.name}" in listed and text.stat().st_size > 200
    assert "GNU GENERAL PUBLIC LICENSE" in (tmp_path / "licences" / "x264.txt").read_text()


def test_what_nobody_tells_about_stops_the_build(
    without_builder: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = tmp_path / "libstray.so.1"
    stray.touch()
    listed = tmp_path / "contents.json"
    listed.write_text(json.dumps([entry("libstray.so.1", stray), entry("odd.bin", stray)]))
    assert without_builder.main([str(listed), str(tmp_path / "bundle")]) == 1
    said = capsys.readouterr().err
    assert "libstray.so.1" in said and "odd.bin" in said and "libraries.toml" in said
    assert not (tmp_path / "bundle").exists()


def test_a_package_without_a_licence_file_stops_the_build(
    without_builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "bare_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bare-package\nVersion: 1.0\n")
    (info / "RECORD").write_text("bare_package.py,,\nbare_package-1.0.dist-info/METADATA,,\n")
    (tmp_path / "bare_package.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(without_builder.Missing, match=r"bare-package 1\.0 brings no licence"):
        without_builder.collect([entry("bare_package.py", tmp_path / "bare_package.py")])


def test_a_package_that_stops_telling_about_its_library_is_noticed(
    without_builder: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        without_builder, "licence_texts", lambda _distribution: {"LICENSE": "None."}
    )
    with pytest.raises(without_builder.Missing, match="no longer tell about OpenBLAS"):
        without_builder.collect(
            [entry("numpy.libs/libscipy_openblas.so", "/n/libscipy_openblas.so")]
        )


def test_the_table_of_libraries_is_whole(notices: ModuleType) -> None:
    table = tomllib.loads((notices.TEXTS / "libraries.toml").read_text(encoding="utf-8"))
    assert all(row["sign"] and row["files"] for row in table["linked"])
    for row in (*table["library"], *table["linked"]):
        if "within" in row:
            assert row["says"]
            continue
        assert row["holder"] and row["licence"] and row["home"].startswith("https://")
        for name in row["texts"]:
            assert notices.text_file(name).stat().st_size > 500


def test_what_is_compiled_into_a_library_is_named(
    notices: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tomllib.loads((notices.TEXTS / "libraries.toml").read_text(encoding="utf-8"))
    collector = notices.Collector(table["library"], table["linked"])
    toolkit = notices.Component("dearpygui")
    folder = Path(str(metadata.distribution("dearpygui").locate_file("dearpygui")))
    collector._inside(toolkit, folder / "_dearpygui.so")
    found = collector.components
    assert set(found) == {"Dear ImGui", "ImPlot", "imnodes", "ImGuiFileDialog", "GLFW"}
    assert "without any express or implied" in found["GLFW"].text and found["GLFW"].files == 1
    collector._inside(toolkit, folder / "_dearpygui.pyi")
    assert found["GLFW"].files == 1
    monkeypatch.setattr(notices, "holds", lambda _path, words: words != b"GLFW")
    with pytest.raises(notices.Missing, match="no longer says 'GLFW'"):
        collector._inside(toolkit, folder / "_dearpygui.so")


def test_taking_a_file_looks_into_it(notices: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        notices.Collector, "_inside", lambda _self, one, path: looked.append((one.name, path.name))
    )
    collector = notices.Collector([], [])
    collector.take("json/decoder.py", json.decoder.__file__)
    assert looked == [("Python", "decoder.py")]


def test_a_row_for_another_system_does_not_count(notices: ModuleType, tmp_path: Path) -> None:
    library = tmp_path / "libtorch_cpu.so"
    library.write_bytes(b"\0\0Intel oneMKL ERROR\0")
    row = {"linked": "torch", "files": r"libtorch_cpu\.so", "sign": "Intel oneMKL ERROR",
           "name": "Intel oneMKL", "licence": "L", "texts": ["MIT"], "holder": "H", "home": "https://h"}  # fmt: skip
    for system, expected in ((sys.platform[:3], {"Intel oneMKL"}), ("elsewhere", set())):
        collector = notices.Collector([], [{**row, "on": system}])
        collector._inside(notices.Component("torch"), library)
        assert set(collector.components) == expected


def test_licence_files_of_two_words_are_taken(notices: ModuleType) -> None:
    names = {Path(name).name for name in notices.licence_texts(metadata.distribution("scipy"))}
    assert {"COPYING_QHULL.txt", "LICENSE_DOP", "LICENSE.txt"} <= names
    assert not notices.LICENCE_FILE.match("copyrights2.txt")


def test_packages_of_this_environment_have_licence_files(notices: ModuleType) -> None:
    """Of every package that Maquette needs, and of what those need."""
    todo, seen = ["maquette"], set[str]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        # A bundle takes torch's CPU build, which wants none of these.
        if name.startswith(("nvidia-", "cuda-", "triton")):
            continue
        # An editable installation lists no files of ours.
        assert name == "maquette" or notices.licence_texts(distribution), name
        names = (
            re.match(r"[\w.-]+", one)
            for one in distribution.requires or ()
            if "extra ==" not in one
        )
        todo.extend(name.group() for name in names if name)
    assert "numpy" in seen and "torch" in seen


# --- the command --------------------------------------------------------------------------------


def test_a_cuda_build_of_torch_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = load("bundle", monkeypatch)
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'["2.13.0", "13.0"]\'\n')
    python.chmod(0o755)
    with pytest.raises(bundle.Stop, match=r"2\.13\.0.*several GB"):
        bundle.require_cpu_torch(python)
    python.write_text("#!/bin/sh\necho '[\"2.13.0+cpu\", null]'\n")
    bundle.require_cpu_torch(python)


def test_sizes_count_files_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = load("bundle", monkeypatch)
    inner = tmp_path / "_internal" / "torch"
    inner.mkdir(parents=True)
    (inner / "a.so").write_bytes(bytes(3000))
    (tmp_path / "_internal" / "small").write_bytes(bytes(10))
    link = tmp_path / "_internal" / "b.so"
    link.symlink_to("torch/a.so")
    assert bundle.size(tmp_path) == 3010 + link.lstat().st_size
    assert bundle.parts(tmp_path, 1) == [("torch", 3000)]


def test_a_bundle_that_has_grown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unstripped it had 957 MiB."""
    bundle = load("bundle", monkeypatch)
    monkeypatch.setattr(bundle.sys, "platform", "linux")
    bundle.require_small(872 * 2**20)
    with pytest.raises(bundle.Stop, match=r"957 MiB, more than 920.*contents\.py"):
        bundle.require_small(957 * 2**20)
    monkeypatch.setattr(bundle.sys, "platform", "win32")
    bundle.require_small(2**40)


def test_its_pins_stand_beside_the_others() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    for requirement in extras["bundle"]:
        assert requirement.split(">")[0] in pinned
