"""Pictures and cameras as a training loop gets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.errors import Cancelled, UserError
from engine.training.data import choices
from engine.training.data.cameras import angles_of
from engine.training.data.training_data import DataGone, TrainingData
from tests.training.data.sets import numbers_of, picture, png, write_folder, zip_of


def shown(data: TrainingData, position: int, count: int) -> list[tuple[int, bool, int]]:
    """(number, mirrored, yaw of the camera) of each image of a batch."""
    batch = data.batch(position, count)
    found = []
    for image, camera in zip(batch.images, batch.cameras, strict=True):  # type: ignore[arg-type]
        pixels = ((image + 1) * 127.5).round().permute(1, 2, 0).numpy().astype(np.uint8)
        number = int(pixels[0, 0, 0])
        turned = not np.array_equal(pixels, picture(number))
        if turned:
            number = 255 - number
            assert np.array_equal(pixels[:, ::-1], picture(number))
        found.append((number, turned, round(angles_of(camera.numpy())[0])))
    return found


def test_pictures_come_with_their_cameras_and_mirrored_ones_with_mirrored(tmp_path: Path) -> None:
    data = TrainingData.open(write_folder(tmp_path / "set", 5), 16)
    assert len(data) == 5 and data.items == 10
    batch = data.batch(0, 10)
    assert batch.images.shape == (10, 3, 16, 16) and batch.images.dtype == torch.float32
    assert batch.cameras is not None and batch.cameras.dtype == torch.float32
    assert -1 <= batch.images.min() < -0.98 and 0.98 < batch.images.max() <= 1
    expected = [(n, False, n) for n in range(5)] + [(n, True, -n) for n in range(5)]
    assert sorted(shown(data, 0, 10)) == sorted(expected)
    cameras = data.all_cameras()
    assert cameras is not None and cameras.shape == (10, 25)
    assert [round(angles_of(c.numpy())[0]) for c in cameras] == [
        *(0, 2, 4, 1, 3),
        *(0, -2, -4, -1, -3),
    ]


def test_without_mirroring_each_picture_is_shown_once(tmp_path: Path) -> None:
    data = TrainingData.open(write_folder(tmp_path / "set", 5), 16, mirror=False)
    assert data.items == 5
    assert sorted(shown(data, 0, 5)) == [(n, False, n) for n in range(5)]


def test_a_place_of_the_sequence_is_always_the_same(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 7)
    whole = TrainingData.open(folder, 16, seed=3).batch(0, 40).images
    again = TrainingData.open(zip_of(folder, tmp_path / "set.zip"), 16, seed=3)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    for position in (33, 4, 0):
        assert torch.equal(again.batch(position, 5).images, whole[position : position + 5])
    assert torch.equal(torch.get_rng_state(), state)
    other = TrainingData.open(folder, 16, seed=4).batch(0, 40).images
    assert not torch.equal(other, whole)


def test_processes_share_a_batch(tmp_path: Path) -> None:
    data = TrainingData.open(write_folder(tmp_path / "set", 7), 16)
    whole = data.batch(12, 6)
    parts = [data.batch(12, 2, rank, 3) for rank in range(3)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert whole.cameras is not None
    cameras = [part.cameras for part in parts if part.cameras is not None]
    assert torch.equal(torch.cat(cameras), whole.cameras)
    with pytest.raises(ValueError, match="no such batch"):
        data.batch(0, 2, 3, 3)


def test_pictures_are_cut_square_and_resampled(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = (10, 200, 30)
    (tmp_path / "wide.png").write_bytes(png(wide))
    data = TrainingData.open(tmp_path, 4)
    assert (data.picture(0) == (10, 200, 30)).all()
    assert data.batch(0, 1).cameras is None
    assert {w.kind for w in data.warnings} == {"few", "no_pose"}


def test_unreadable_files_are_listed_and_skipped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 4, posed=False)
    whole = (folder / "00000" / "img00000000.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.webp").write_bytes(b"")
    (folder / "notes.txt").write_text("not looked at")
    data = TrainingData.open(folder, 16)
    assert len(data) == 4
    assert [s.name for s in data.skipped] == ["cut.png", "empty.webp", "text.jpg"]
    assert all(s.reason == "it is damaged, or no picture" for s in data.skipped)
    warning = next(w for w in data.warnings if w.kind == "unreadable")
    assert warning.names == ("cut.png", "empty.webp", "text.jpg")
    assert "3 files are of no use" in warning.text and "cut.png" in warning.text


def test_pictures_without_a_camera_are_left_out_where_others_have_one(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 4)
    labels = json.loads((folder / "dataset.json").read_text())["labels"]
    labels[0][1] = [0.0] * 25
    labels[1] = [labels[1][0], 7]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    (folder / "wide.png").write_bytes(png(picture(9, 20, 16)))
    labels.append(["wide.png", numbers_of(0)])
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = TrainingData.open(folder, 16)
    assert data.names == ("00000/img00000002.png", "00001/img00000003.png")
    assert {s.name: s.reason for s in data.skipped} == {
        "00000/img00000000.png": "its camera is not a rotation with a position",
        "00001/img00000001.png": "dataset.json has no camera for it",
        "wide.png": "it has a camera but is not square",
    }
    kinds = {w.kind: w for w in data.warnings}
    assert len(kinds["part_posed"].names) == 3 and "labels" in kinds and "no_pose" not in kinds


def test_warnings_of_small_few_and_double_pictures(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 3, posed=False)
    shutil.copy(folder / "00000" / "img00000000.png", folder / "again.png")
    large = write_folder(tmp_path / "large", 110, posed=False)
    kinds = {w.kind: w for w in TrainingData.open(folder, 32).warnings}
    assert set(kinds) == {"few", "small", "no_pose", "duplicates"}
    assert kinds["duplicates"].names == ("again.png",)
    assert "Only 4 pictures" in kinds["few"].text and len(kinds["small"].names) == 4
    assert {w.kind for w in TrainingData.open(large, 16).warnings} == {"no_pose"}


def test_what_is_ticked_off_stays_off(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 4)
    data = TrainingData.open(folder, 16)
    path = folder / "maquette-choices.json"
    choices.write_dropped(path, ["00001/img00000001.png", "gone.png"])
    fewer = TrainingData.open(folder, 16)
    assert len(fewer) == 3 and "00001/img00000001.png" not in fewer.names
    assert fewer.summary.dropped == 1
    assert fewer.summary.fingerprint != data.summary.fingerprint
    choices.write_dropped(path, data.names)
    with pytest.raises(UserError, match="is ticked off"):
        TrainingData.open(folder, 16)
    path.write_text('{"format": 1, "dropped": 3}')
    with pytest.raises(UserError, match=r"The choice of pictures in .* cannot be read"):
        TrainingData.open(folder, 16)
    archive = zip_of(write_folder(tmp_path / "other", 4), tmp_path / "packed.zip")
    choices.write_dropped(tmp_path / "packed.maquette-choices.json", ["00000/img00000000.png"])
    assert len(TrainingData.open(archive, 16)) == 3


def test_the_summary_tells_what_is_trained_on(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 41)
    summary = TrainingData.open(folder, 16).summary
    assert (summary.name, summary.pictures, summary.posed, summary.mirrored) == (
        "set",
        41,
        True,
        True,
    )
    assert summary.yaw == pytest.approx((2, 38), abs=1e-3)
    assert summary.pitch == pytest.approx((0, 0), abs=1e-3)
    assert json.loads(json.dumps(summary.to_json()))["pictures"] == 41
    assert "41 pictures of 16 pixels" in summary.sentences()[0]
    zipped = TrainingData.open(zip_of(folder, tmp_path / "a.zip"), 16).summary
    assert zipped.fingerprint == summary.fingerprint
    assert str(tmp_path) not in json.dumps(summary.to_json())


def test_data_that_vanishes_is_told_and_can_come_back(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 4)
    data = TrainingData.open(folder, 16)
    folder.rename(tmp_path / "away")
    with pytest.raises(DataGone, match=r"cannot be read any more .*bring the data back"):
        data.batch(0, 8)
    (tmp_path / "away").rename(folder)
    whole = data.batch(0, 8).images
    assert torch.equal(TrainingData.open(folder, 16).batch(0, 8).images, whole)


def test_nothing_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        TrainingData.open(tmp_path / "empty", 16)
    with pytest.raises(UserError, match="is no folder and no zip archive"):
        TrainingData.open(tmp_path / "missing", 16)
    (tmp_path / "empty" / "a.png").write_text("x")
    with pytest.raises(UserError, match=r"No picture of .*\(a\.png: it is damaged"):
        TrainingData.open(tmp_path / "empty", 16)
    with pytest.raises(Cancelled):
        TrainingData.open(write_folder(tmp_path / "set", 2), 16, cancelled=lambda: True)
    (tmp_path / "letter.zip").write_text("dear reader")
    with pytest.raises(
        UserError, match=r"no zip archive .*; choose a folder of pictures or a whole"
    ):
        TrainingData.open(tmp_path / "letter.zip", 16)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_picture(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "a.png")
        expected = round(40000 / 257)
    else:
        kind = "TIFF" if mode == "CMYK" else "PNG"
        grey = Image.new("RGB", (4, 4), (255, 255, 255))
        grey.convert(mode).save(tmp_path / ("a.tif" if kind == "TIFF" else "a.png"), kind)
        expected = 255
    assert (TrainingData.open(tmp_path, 4).picture(0) == expected).all()


def test_clear_pictures_lie_over_white_and_turned_ones_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / "a.png")
    half = np.zeros((4, 4, 3), np.uint8)
    half[:2] = 255
    turned = Image.fromarray(half)
    exif = turned.getexif()
    exif[0x0112] = 3
    turned.save(tmp_path / "b.png", exif=exif)
    data = TrainingData.open(tmp_path, 4)
    assert (data.picture(0) == 255).all()
    assert (data.picture(1) == half[::-1]).all()
