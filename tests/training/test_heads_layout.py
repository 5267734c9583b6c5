"""Shards written out as a folder in EG3D's layout."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import UserError
from engine.training.heads.__main__ import main
from engine.training.heads.attributes import LATENT_SIZE
from engine.training.heads.layout import LayoutJob, write_layout
from engine.training.heads.mesh import Label
from engine.training.heads.world import FOV_Y, RADIUS, orbit_camera

SIZE, YAWS = 32, (0.0, 180.0)


def write_shard(path: Path, heads: list[int], size: int = SIZE, eyes: bool = True) -> None:
    """Left halves red and opaque, right halves clear; the first view shows eyes and lips."""
    shape = (len(heads), len(YAWS), size, size)
    rgba = np.zeros((*shape, 4), np.uint8)
    rgba[:, :, :, : size // 2] = (200, 10, 30, 255)
    seg = np.zeros(shape, np.uint8)
    seg[:, 0, 10:14], seg[:, 0, 20:24] = Label.EYE, Label.LIPS
    poses = np.stack([orbit_camera(yaw, 0.0).cam2world for yaw in YAWS]).astype(np.float32)
    z = np.random.default_rng(3).standard_normal((len(heads), LATENT_SIZE)).astype(np.float32)
    np.savez(
        path,
        index=np.array(heads),
        z=z,
        a=np.zeros((len(heads), 2), np.float32),
        cam2world=np.tile(poses, (len(heads), 1, 1, 1)),
        fov_y=np.float32(FOV_Y),
        rgba=rgba,
        depth=np.zeros(shape, np.float16),
        seg=seg,
    )


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    write_shard(folder / "heads-a.npz", [0, 1, 499])
    write_shard(folder / "heads-b.npz", [500])
    return folder


def run(shards: Path, out: Path, **options: float) -> int:
    return write_layout(LayoutJob(shards, out, **options), report=lambda _: None)  # type: ignore[arg-type]


def test_the_folder_has_eg3ds_layout(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(shards, out) == 8
    names = [
        f"{folder}/img{number:08d}.png"
        for folder, number in (
            ("00000", 0), ("00000", 1), ("00000", 2), ("00000", 3), ("00000", 998), ("00000", 999),
            ("00001", 1000), ("00001", 1001),
        )
    ]  # fmt: skip
    labels = json.loads((out / "dataset.json").read_text())["labels"]
    assert [name for name, _ in labels] == names
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.png")) == names
    assert not list(out.rglob("*.tmp*"))


def test_cameras_are_eg3ds_25_numbers(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "out")
    labels = json.loads((tmp_path / "out" / "dataset.json").read_text())["labels"]
    front, behind = (np.array(numbers) for _, numbers in labels[:2])
    assert front.shape == (25,)
    pose = front[:16].reshape(4, 4)
    # EG3D: +Y up, the face along +Z, cameras look along their own +z, x right, y down.
    np.testing.assert_allclose(pose[:3, 3], [0, 0, RADIUS], atol=1e-6)
    np.testing.assert_allclose(pose[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-6)
    np.testing.assert_allclose(behind[:16].reshape(4, 4)[:3, 3], [0, 0, -RADIUS], atol=1e-5)
    focal = 0.5 / math.tan(math.radians(FOV_Y) / 2)
    expected = [focal, 0, 0.5, 0, focal, 0.5, 0, 0, 1]
    assert front[16:].tolist() == pytest.approx(expected, rel=1e-5)


def test_pictures_lie_over_the_backdrop(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "out", backdrop=0.5)
    with Image.open(tmp_path / "out" / "00000" / "img00000003.png") as picture:
        assert picture.mode == "RGB" and picture.size == (SIZE, SIZE)
        assert picture.getpixel((0, 5)) == (200, 10, 30)
        assert picture.getpixel((SIZE - 1, 5)) == (128, 128, 128)


def test_captions_say_only_what_a_view_shows(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "out", wordings=12)
    captions = json.loads((tmp_path / "out" / "captions.json").read_text())["captions"]
    assert len(captions) == 8 and all(len(texts) == 12 for texts in captions.values())
    behind = " ".join(captions["00000/img00000001.png"])
    assert "eyes" not in behind and "smil" not in behind and "hair" in behind
    faces = " ".join(
        text for name, texts in captions.items() if name[-5] in "02468" for text in texts
    )
    assert "eyes" in faces
    again = tmp_path / "again"
    run(shards, again, wordings=12)
    assert (again / "captions.json").read_text() == (tmp_path / "out" / "captions.json").read_text()


def test_no_wordings_no_captions(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "out", wordings=0)
    assert not (tmp_path / "out" / "captions.json").exists()


def test_a_stopped_run_goes_on(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(shards, out)
    whole = (out / "dataset.json").read_text()
    (out / "dataset.json").unlink()
    lost, kept = out / "00000" / "img00000002.png", out / "00000" / "img00000000.png"
    lost.unlink()
    before = kept.stat().st_mtime_ns
    assert run(shards, out) == 8
    assert lost.exists() and kept.stat().st_mtime_ns == before
    assert (out / "dataset.json").read_text() == whole


def test_what_does_not_belong_together_is_refused(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(shards, out)
    with pytest.raises(UserError, match="begun with other options"):
        run(shards, out, backdrop=1.0)
    write_shard(shards / "heads-c.npz", [501], size=16)
    with pytest.raises(UserError, match=r"heads-c\.npz holds views of another number or size"):
        run(shards, out)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        run(shards, foreign)
    assert [p.name for p in foreign.iterdir()] == ["mine.txt"]


def test_the_command_tells_of_mistakes(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    assert main(["layout", "--heads", str(empty), "--out", str(out)]) == 2
    assert "holds no shards" in capsys.readouterr().err and not out.exists()
    assert main(["layout", "--heads", str(shards), "--out", str(out), "--backdrop", "2"]) == 2
    assert "--backdrop lies in 0 to 1" in capsys.readouterr().err
    (shards / "heads-b.npz").write_bytes(b"PK nonsense")
    assert main(["layout", "--heads", str(shards), "--out", str(out)]) == 2
    assert "heads-b.npz cannot be read" in capsys.readouterr().err
    (shards / "heads-b.npz").unlink()
    assert main(["layout", "--heads", str(shards), "--out", str(out)]) == 0
    assert "holds 6 pictures" in capsys.readouterr().out
