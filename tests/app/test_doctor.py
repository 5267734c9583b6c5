"""What Maquette needs of a machine: each look says ok where it is, and what to do where it is not."""

from __future__ import annotations

import ctypes
import errno
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from app import doctor, opengl, settings
from engine import health
from engine.assets import shipped_generators
from engine.errors import UserError
from engine.health import Line

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("MAQUETTE_KERNEL_CACHE", str(tmp_path / "kernels"))
    monkeypatch.delenv("MAQUETTE_KERNELS", raising=False)


def test_every_look_answers_once() -> None:
    lines = list(doctor.examine())
    assert len({line.subject for line in lines}) == len(lines) == len(doctor.LOOKS)
    found = {line.subject: line for line in lines}
    for subject in ("Python", "Packages", "torch", "Compiled march", "FFmpeg", "Fonts", "Folders"):
        assert found[subject].state == "ok", found[subject]
    for line in lines:
        assert line.found and (line.state != "fault" or line.advice), line


def test_a_look_that_fails_is_a_fault_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_thing() -> Line:
        raise RuntimeError("no\nidea")

    def wrong() -> Line:
        raise UserError("The folder is missing; install Maquette again.")

    monkeypatch.setattr(doctor, "LOOKS", (broken_thing, wrong, health.python))
    first, second, third = doctor.examine()
    assert (first.subject, first.state, first.found) == (
        "Broken thing", "fault", "RuntimeError: no idea",
    )  # fmt: skip
    assert second.found == "The folder is missing; install Maquette again."
    assert third.state == "ok"


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 2, "final", 0))
    assert health.python().state == "fault" and "3.11" in health.python().advice


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("tyro", "av"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    line = health.packages()
    assert line.state == "fault" and line.found == "missing: av, tyro"


def test_packages_that_cannot_be_imported_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed is not enough: a library of the system may be missing, or half of a package."""
    for module in ("PIL.Image", "numba"):
        monkeypatch.setitem(sys.modules, module, None)
    line = health.packages()
    assert line.state == "fault" and line.advice
    assert line.found.startswith("cannot be imported: pillow (") and "numba (" in line.found
    assert "PIL.Image" in line.found and "torch" not in line.found


def test_an_old_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.7.1+cpu")
    assert health.torch().state == "fault"
    monkeypatch.setattr(torch, "__version__", "2.10.0")
    assert health.torch().state == "ok"


def test_compiled_march_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_KERNELS", "0")
    assert health.march().state == "note"


def test_nothing_compiled_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.march().state == "ok"
    monkeypatch.setattr("engine.kernels.kept.place", lambda function: None)
    line = health.march()
    assert line.state == "note" and "NUMBA_CACHE_DIR" in line.advice


@pytest.mark.parametrize(("gpu", "state"), [(None, "note"), ("580.3", "fault")])
def test_a_pycuda_of_another_toolkit(
    monkeypatch: pytest.MonkeyPatch, gpu: str | None, state: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2026.1")
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    monkeypatch.setattr(health, "_nvidia_driver", lambda: gpu)
    line = health.pycuda()
    assert line.state == state and line.found.startswith("2026.1")
    assert bool(line.advice) == (state == "fault")


def test_a_toolkit_that_lacks_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.window().state == "ok"
    monkeypatch.setitem(sys.modules, "dearpygui.dearpygui", None)
    line = doctor.window()
    assert line.state == "fault" and "libgl1" in line.advice


@pytest.mark.parametrize(
    ("there", "built", "usable", "state", "words"),
    [
        (None, None, False, "note", "the processor draws"),
        ("550.1", None, False, "note", "built without CUDA"),
        ("470.2", "13.0", False, "fault", "cannot use"),
        ("580.3", "13.0", True, "ok", "driver 580.3, GPU, 8 GiB"),
    ],
)
def test_driver(
    there: str | None, built: str | None, usable: bool, state: str, words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    card = SimpleNamespace(name="GPU", total_memory=8 * 2**30)
    monkeypatch.setattr(health, "_nvidia_driver", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.version, "cuda", built)
    line = health.driver()
    assert line.state == state and words in line.found


def test_kernels_that_are_left_out_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_KERNEL_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(health.metadata, "version", lambda name: "2026.1")
    monkeypatch.setattr(importlib, "import_module", lambda name: None)
    (tmp_path / "march-sm_90.cubin").write_bytes(b"")
    assert health.pycuda() == health.Line("PyCUDA", "ok", "2026.1")
    for kernel in ("field", "inr"):
        (tmp_path / f"broken-{kernel}-sm_90-0.txt").write_text("CUDA error")
    line = health.pycuda()
    assert line.state == "note" and "2 kernels have broken the GPU" in line.found
    assert str(tmp_path) in line.advice and "broken-*.txt" in line.advice


def test_compiler_and_pycuda_matter_where_a_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.kernels import compile as kernels

    def missing(major: int | None = None) -> None:
        raise kernels.NvrtcMissing("not here")

    monkeypatch.setattr(kernels, "load_nvrtc", missing)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for there, advised in ((None, False), ("580.3", True)):
        monkeypatch.setattr(health, "_nvidia_driver", lambda there=there: there)
        for look in (health.toolkit, health.pycuda):
            assert look().state == "note" and bool(look().advice) == advised


@pytest.mark.parametrize(
    ("free", "state"), [(2**29, "fault"), (2 * 2**30, "note"), (2**33, "ok"), (None, "note")]
)
def test_memory(free: int | None, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_free_memory", lambda: free)
    assert health.memory().state == state


def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    line = doctor.display()
    assert line.state == "fault" and "xvfb-run" in line.advice
    assert doctor.graphics() == Line("OpenGL", "note", "not looked at, for want of a display")


def test_opengl_of_a_screen(tmp_path: Path) -> None:
    """A real context, on a virtual screen of its own."""
    words = ["xvfb-run", "-a", sys.executable, "-m", "app", "doctor", "--json"]
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    asked = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    lines = {line["subject"]: line for line in json.loads(asked.stdout)["lines"]}
    assert lines["Display"]["state"] == lines["OpenGL"]["state"] == "ok"
    assert opengl.number(lines["OpenGL"]["found"]) >= opengl.OLDEST
    assert "1280 x 1024" in lines["Display"]["found"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"problem": "the display has no GLX"}, "no GLX"),
        ({"version": "2.1 Mesa", "renderer": "old card", "vendor": "x"}, "2.1 Mesa, old card"),
    ],
)
def test_poor_opengl(answer: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr(opengl, "facts", lambda: answer)
    line = doctor.graphics()
    assert line.state == "fault" and words in line.found and line.advice


def test_a_driver_that_crashes_ends_only_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -11, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert opengl.facts() == {"problem": "asking for it ended with exit code -11"}


@pytest.mark.parametrize(
    ("text", "number"), [("4.5 (Core) Mesa", (4, 5)), ("3.3.0 NVIDIA", (3, 3)), ("none", (0, 0))]
)
def test_opengl_versions(text: str, number: tuple[int, int]) -> None:
    assert opengl.number(text) == number


def test_ffmpeg_without_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    monkeypatch.setattr(av, "codecs_available", {"gif"})
    line = health.video()
    assert line.state == "fault" and line.found.endswith("without libx264")


def test_fonts_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert doctor.fonts().state == "fault"


def test_models_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.models().found.startswith(shipped_generators()[0].key)
    monkeypatch.setattr(health, "shipped_generators", lambda: ())
    assert health.models().state == "fault"


def test_settings_that_are_damaged_or_name_weights_that_are_gone(tmp_path: Path) -> None:
    assert doctor.remembered().state == "ok"
    gone = settings.Settings(text_encoder=str(tmp_path / "clip.safetensors"))
    settings.save_settings(gone)
    with pytest.raises(UserError, match=r"clip\.safetensors"):
        doctor.remembered()
    settings.settings_path().write_text("{")
    line = doctor.remembered()
    assert line.state == "note" and "is damaged" in line.found


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert doctor.folders().state == "ok"
    assert not (tmp_path / "config").exists()
    (tmp_path / "config").write_text("a file where a folder should be")
    line = doctor.folders()
    assert line.state == "fault" and str(tmp_path / "config") in line.found
    assert "permissions" in line.advice


def test_a_disk_without_any_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions are not what is wrong then."""

    def full(**_options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    line = doctor.folders()
    assert line.state == "fault" and line.advice.startswith("free some space on that disk")


def test_no_room_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    line = doctor.folders()
    assert line.state == "fault" and "TMPDIR" in line.advice


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAQUETTE_CONFIG_DIR")
    # What stands for it must not be there, nor be possible to make: root may make anything.
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(doctor, "NO_HOME", file)
    monkeypatch.setattr(settings, "user_folder", lambda kind: file / "maquette")
    line = doctor.folders()
    assert line.state == "fault" and "HOME is not set" in line.found and "HOME" in line.advice


@pytest.mark.parametrize(("free", "state"), [(2**20, "fault"), (2**30, "note"), (2**40, "ok")])
def test_room(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free, 0, free))
    assert doctor.folders().state == state


def test_the_driver_is_found_by_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def library(name: str) -> object:
        if "cuda" in name:
            return object()
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", library)
    monkeypatch.setattr(Path, "read_text", lambda self, **options: (_ for _ in ()).throw(OSError()))
    assert health._nvidia_driver() == "of an unknown version"
