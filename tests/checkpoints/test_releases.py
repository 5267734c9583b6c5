"""Models inside the folders and archives of a release, read where they lie."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

from engine.checkpoints import read_checkpoint, weights_file
from engine.checkpoints.faults import Damaged
from engine.checkpoints.releases import InflatedSource, PartOfSource
from engine.checkpoints.source import BytesSource
from engine.errors import CheckpointError


def saved(seed: int = 0, count: int = 50, **options: object) -> bytes:
    buffer = io.BytesIO()
    draw = torch.Generator().manual_seed(seed)
    state = {f"t{i}": torch.randn(40, 30, generator=draw) for i in range(count)}
    torch.save(state, buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def release(path: Path, kind: int, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def expected(seed: int = 0) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(io.BytesIO(saved(seed)), weights_only=True)
    return state


# Folders ------------------------------------------------------------------------------------


def test_a_folder_stands_for_the_averaged_weights_in_it(tmp_path: Path) -> None:
    for name, seed in (("G_ema.pth", 1), ("generator.pth", 2), ("discriminator.pth", 3)):
        (tmp_path / name).write_bytes(saved(seed))
    (tmp_path / "config_command.yaml").write_text("a: 1")
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.path == tmp_path / "G_ema.pth" == weights_file(tmp_path)
    assert torch.equal(checkpoint.root["t0"].load(), expected(1)["t0"])
    (tmp_path / "G_ema.pth").unlink()
    assert read_checkpoint(tmp_path).path == tmp_path / "generator.pth"


def test_it_may_lie_deeper_but_must_be_the_only_one(tmp_path: Path) -> None:
    deep = tmp_path / "train_ffhq" / "resume_iter1"
    deep.mkdir(parents=True)
    (deep / "G_ema.pth").write_bytes(saved())
    assert read_checkpoint(tmp_path).path == deep / "G_ema.pth"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "G_ema.pth").write_bytes(saved())
    with pytest.raises(CheckpointError, match=r"2 models \(other.*; choose one"):
        read_checkpoint(tmp_path)
    (tmp_path / "G_ema.pth").write_bytes(saved())
    assert read_checkpoint(tmp_path).path == tmp_path / "G_ema.pth"


def test_folders_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    too_deep = tmp_path.joinpath("a", "b", "c", "d", "e")
    too_deep.mkdir(parents=True)
    (too_deep / "G_ema.pth").write_bytes(saved())
    with pytest.raises(CheckpointError, match=r"is a folder without a G_ema\.pth"):
        read_checkpoint(tmp_path)


# Archives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("legacy", [False, True])
def test_archives_are_read_as_they_are(tmp_path: Path, kind: int, legacy: bool) -> None:
    data = saved(4, _use_new_zipfile_serialization=not legacy)
    files = {"run/G_ema.pth": data, "run/generator.pth": saved(5), "run/a.yaml": b"a: 1"}
    path = release(tmp_path / "run.zip", kind, **files)
    checkpoint = read_checkpoint(path)
    assert checkpoint.path == path == weights_file(path)
    assert checkpoint.container == ("torch-legacy" if legacy else "torch-zip")
    state = expected(4)
    assert list(checkpoint.root) == list(state)
    for name in reversed(state):  # backwards: unpacking starts again from its marks
        assert torch.equal(checkpoint.root[name].load(), state[name])
    assert [path.name for path in tmp_path.iterdir()] == ["run.zip"]


def test_archives_with_several_models_or_none(tmp_path: Path) -> None:
    path = release(
        tmp_path / "x.zip", zipfile.ZIP_STORED, **{"a/G_ema.pth": b"1", "b/G_ema.pth": b"2"}
    )
    with pytest.raises(CheckpointError, match=r"several models \(a/G_ema"):
        read_checkpoint(path)
    path = release(tmp_path / "y.zip", zipfile.ZIP_STORED, **{"a/G_ema.pth": b"no model"})
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read_checkpoint(path)
    path = release(tmp_path / "z.zip", zipfile.ZIP_BZIP2, **{"a/G_ema.pth": saved()})
    with pytest.raises(CheckpointError, match="unusual way"):
        read_checkpoint(path)


def test_an_archive_in_the_archive_is_no_model(tmp_path: Path) -> None:
    inner = release(tmp_path / "in.zip", zipfile.ZIP_STORED, **{"G_ema.pth": saved()})
    path = release(tmp_path / "out.zip", zipfile.ZIP_STORED, **{"G_ema.pth": inner.read_bytes()})
    with pytest.raises(CheckpointError, match="several files"):
        read_checkpoint(path)


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = release(
        tmp_path / "x.zip", zipfile.ZIP_DEFLATED, **{"G_ema.pth": b"\x80" + bytes(1 << 26)}
    )
    assert path.stat().st_size < 1 << 17
    with pytest.raises(CheckpointError, match="not opened, to be safe"):
        read_checkpoint(path)


def test_damaged_archives_are_told(tmp_path: Path) -> None:
    whole = release(tmp_path / "x.zip", zipfile.ZIP_DEFLATED, **{"G_ema.pth": saved()})
    data = bytearray(whole.read_bytes())
    for at in range(100, len(data) - 200, len(data) // 40):
        broken = bytearray(data)
        broken[at : at + 64] = bytes(64)
        whole.write_bytes(broken)
        try:
            state = read_checkpoint(whole).root
            for tensor in state.values():
                tensor.load()
        except CheckpointError:
            continue
    whole.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="damaged or incomplete"):
        read_checkpoint(whole)


# Pieces -------------------------------------------------------------------------------------


def inflated(data: bytes) -> tuple[InflatedSource, int]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", data)
        entry = archive.getinfo("x")
    start = 30 + 1
    packed = buffer.getvalue()
    return InflatedSource(BytesSource(packed), start, entry.compress_size, len(data)), len(packed)


def test_any_place_in_any_order() -> None:
    data = torch.randint(0, 50, (5_000_000,), generator=torch.Generator().manual_seed(0))
    raw = data.to(torch.uint8).numpy().tobytes()
    source, _ = inflated(raw)
    assert source.size == len(raw)
    places = [0, 4_999_000, 10, 2_500_000, 2_500_001, 1_000_000, 4_999_999, 0]
    for place in places:
        count = min(777_777, len(raw) - place)
        assert source.read_at(place, count) == raw[place : place + count]
    assert source.read_at(len(raw), 0) == b""
    for offset, count in ((len(raw), 1), (-1, 1), (0, -1), (0, len(raw) + 1)):
        with pytest.raises(Damaged):
            source.read_at(offset, count)


def test_unpacking_keeps_nothing_of_what_it_unpacked() -> None:
    raw = os.urandom(24 << 20)
    source, _ = inflated(raw)
    tracemalloc.start()
    try:
        for place in range(0, len(raw), 1 << 20):
            assert source.read_at(place, 1000) == raw[place : place + 1000]
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_part_keeps_to_its_bounds() -> None:
    part = PartOfSource(BytesSource(b"0123456789"), 2, 5)
    assert part.size == 5 and part.read_at(1, 3) == b"345" and part.read_at(5, 0) == b""
    for offset, count in ((3, 3), (-1, 1), (0, 6)):
        with pytest.raises(Damaged):
            part.read_at(offset, count)
