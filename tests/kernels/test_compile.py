"""The kernels compile, on a machine without a GPU; the cache behaves."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

import pytest

from engine.kernels import compile as compiler
from engine.kernels.compile import CompileError, compile_kernel

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="NVRTC does not exist for macOS")

SOURCES = [path.name for path in compiler.source_files()]
ELF = b"\x7fELF"
#: What compiled well is kept here and not compiled again, unless anything changes that goes into it.
KEPT = Path(__file__).parents[2] / "build" / "kernels"
HALF = {"MQ_PLANE_HALF": 1, "MQ_PRECISE": 1}
LARGE = {"MQ_CHANNELS": 64, "MQ_HIDDEN": 128, "MQ_FEATURES": 64, "MQ_LANES": 32}
SMALL = {"MQ_CHANNELS": 8, "MQ_HIDDEN": 4, "MQ_FEATURES": 4, "MQ_LANES": 1}
#: Sources that read planes; no launcher gives the sizes of planes and their decoder to the others.
PLANES = ("march.cu", "triplane.cu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    cache = tmp_path / "kernels"
    monkeypatch.setenv("MAQUETTE_KERNEL_CACHE", str(cache))
    return cache


class Counting(compiler.Nvrtc):
    """NVRTC that counts its compilations."""

    def __init__(self) -> None:
        super().__init__(compiler.load_nvrtc().path)
        self.runs = 0

    def compile(self, *arguments: object, **more: object) -> tuple[bytes, str]:
        self.runs += 1
        return super().compile(*arguments, **more)  # type: ignore[arg-type]


def test_there_are_sources() -> None:
    assert SOURCES == [
        "activate.cu",
        "cubes.cu",
        "field.cu",
        "inr.cu",
        "march.cu",
        "rays.cu",
        "resample.cu",
        "triplane.cu",
    ]


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    ("name", "defines"),
    [
        *(pytest.param(name, {}, id=f"default-{name}") for name in SOURCES),
        *(pytest.param(name, HALF, id=f"half-{name}") for name in SOURCES),
        *(pytest.param(name, LARGE, id=f"large-{name}") for name in PLANES),
        *(pytest.param(name, SMALL, id=f"small-{name}") for name in PLANES),
    ],
)
def test_every_source_compiles_without_a_word(
    name: str, architecture: str, defines: dict[str, int]
) -> None:
    nvrtc = compiler.load_nvrtc()
    text, headers = compiler.read_source(name)
    options = [f"--gpu-architecture={architecture}", *compiler.BASE_OPTIONS]
    options += [f"-D{key}={value}" for key, value in defines.items()]
    inputs = repr((nvrtc.version, nvrtc.path, text, name, headers, options)).encode()
    silent = KEPT / f"{hashlib.sha256(inputs).hexdigest()}.silent"
    if silent.exists():
        return
    code, log = nvrtc.compile(text, name, headers, options)
    assert code.startswith(ELF)
    assert log == ""
    KEPT.mkdir(parents=True, exist_ok=True)
    silent.touch()


def test_the_sizes_of_planes_are_given_to_those_that_read_them() -> None:
    """Else the test above would leave out sizes that are used."""
    sizes = {*LARGE, "MQ_PLANE_HALF"}
    for name in SOURCES:
        text, headers = compiler.read_source(name)
        del headers["common.cuh"]  # where all of them have a default
        used = {size for size in sizes if any(size in part for part in (text, *headers.values()))}
        used -= {size for size in used if f"#define {size} " in text}  # which no caller gives
        assert used | {"MQ_LANES"} == sizes if name in PLANES else not used, name


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    ("name", "defines"),
    [
        ("field.cu", {"MQ_WIDTH": 256, "MQ_VIEW": 256, "MQ_COLOURS": 3}),
        ("field.cu", {"MQ_WIDTH": 128, "MQ_OCTAVES": 10}),
        ("field.cu", {"MQ_WIDTH": 72, "MQ_INPUTS": 4, "MQ_OCTAVES": 4, "MQ_PRODUCTS": 1}),
        ("rays.cu", {"MQ_WIDTH": 128, "MQ_OCTAVES": 10}),
        ("rays.cu", {"MQ_WIDTH": 64, "MQ_INPUTS": 4, "MQ_OCTAVES": 5}),
        ("inr.cu", {"MQ_WIDTH": 512, "MQ_ENTERS": 32}),
        ("march.cu", {"MQ_TENSOR": 1, "MQ_LANES": 32, "MQ_PLANE_HALF": 2}),
        ("triplane.cu", {"MQ_TENSOR": 1, "MQ_PLANE_HALF": 1}),
        ("activate.cu", {"MQ_NUMBER": 1}),
        ("resample.cu", {"MQ_NUMBER": 2, "MQ_UP": 2, "MQ_TAPS_X": 12, "MQ_TAPS_Y": 1}),
    ],
    ids=str,
)
def test_sizes_of_the_families_compile(
    name: str, defines: dict[str, int], architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_KERNEL_CACHE", str(KEPT))
    assert compile_kernel(name, architecture, defines).startswith(ELF)


def test_ptx_for_gpus_newer_than_the_compiler() -> None:
    code = compile_kernel("triplane.cu", "compute_90")
    assert b".target sm_90" in code
    assert compiler.architecture_for(90, (80, 90)) == "sm_90"
    assert compiler.architecture_for(95, (80, 90)) == "compute_90"
    with pytest.raises(CompileError, match="too old"):
        compiler.architecture_for(75, (80, 90))


def test_headers_of_headers_are_found() -> None:
    _, headers = compiler.read_source("march.cu")
    assert list(headers) == [
        "common.cuh",
        "compositing.cuh",
        "decoder.cuh",
        "decoder_tensor.cuh",
        "numbers.cuh",
        "sampling.cuh",
    ]


def test_a_source_that_does_not_compile_names_the_line() -> None:
    with pytest.raises(CompileError, match=r"broken\.cu\(2\): error"):
        compiler.load_nvrtc().compile("int x;\nint y = z;\n", "broken.cu", {}, [])


def test_second_time_comes_from_the_cache(folder: Path) -> None:
    nvrtc = Counting()
    first = compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc)
    again = compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc)
    assert again == first
    assert nvrtc.runs == 1
    assert len(list(folder.iterdir())) == 1  # and no temporary file is left


def test_what_changes_the_code_misses_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvrtc = Counting()
    compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc)
    compile_kernel("triplane.cu", "sm_90", nvrtc=nvrtc)
    compile_kernel("triplane.cu", "sm_80", {"MQ_FEATURES": 8}, nvrtc=nvrtc)
    assert nvrtc.runs == 3
    # A header of a header is part of the key.
    sources = tmp_path / "cuda"
    sources.mkdir()
    for file in compiler.data_dir("cuda").iterdir():
        (sources / file.name).write_bytes(file.read_bytes())
    with (sources / "common.cuh").open("a") as header:
        header.write("// changed\n")
    monkeypatch.setattr(compiler, "data_dir", lambda name: sources)
    compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc)
    assert nvrtc.runs == 4
    # So is the compiler's version.
    nvrtc.version = (99, 0)
    compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc)
    assert nvrtc.runs == 5


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_a_damaged_cache_file_is_compiled_again(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    nvrtc = Counting()
    good = compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc)
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[-10:]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "foreign":
        data = bytearray(b"something else entirely")
    else:
        data.clear()
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc) == good
    assert "damaged" in caplog.text
    assert nvrtc.runs == 2
    assert compile_kernel("triplane.cu", "sm_80", nvrtc=nvrtc) == good
    assert nvrtc.runs == 2


def test_a_cache_that_cannot_be_written_costs_only_time(folder: Path) -> None:
    folder.write_text("a file stands where the folder should be")
    assert compile_kernel("triplane.cu", "sm_80").startswith(ELF)
    assert folder.read_text().startswith("a file")


def test_a_failed_write_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert compile_kernel("triplane.cu", "sm_80").startswith(ELF)
    assert list(folder.iterdir()) == []


def test_the_cache_folder_follows_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAQUETTE_KERNEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert compiler.cache_folder() == tmp_path / "xdg" / "maquette" / "kernels"
    assert os.path.commonpath([tmp_path, compiler.cache_folder()]) == str(tmp_path)


def test_without_a_compiler_the_reason_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_candidates", lambda major: ["/nowhere/libnvrtc.so.0"])
    with pytest.raises(compiler.NvrtcMissing, match="NVRTC"):
        compiler.load_nvrtc.__wrapped__()
