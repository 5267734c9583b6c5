"""Folders and archives that mean harm, or are merely odd."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import UserError
from engine.training.data import files as files_module
from engine.training.data import scan as scan_module
from engine.training.data.decode import Unreadable, decode
from engine.training.data.files import open_files
from engine.training.data.labels import read_labels
from engine.training.data.scan import scan
from engine.training.data.training_data import TrainingData
from tests.fuzzing.containers import Part, zipped
from tests.training.data.sets import numbers_of, picture, png, write_folder, zip_of


def test_names_that_lead_out_of_an_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", png(picture(1)))
        for name in ("../evil.png", "/abs.png", "a/../../b.png", "a\\b.png", "C:/x.png"):
            archive.writestr(name, png(picture(2)))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("__MACOSX/._good.png", "resource")
        archive.writestr("strong.png", png(picture(3)), zipfile.ZIP_LZMA)
    data = TrainingData.open(path, 16)
    assert data.names == ("good.png",)
    reasons = {s.name: s.reason for s in data.skipped}
    assert set(reasons) == {
        "../evil.png", "/abs.png", "a/../../b.png", "a\\b.png", "C:/x.png", "link.png",
        "strong.png",
    }  # fmt: skip
    assert reasons["link.png"] == "it is a link" and "deflate" in reasons["strong.png"]
    assert sum("leads out" in reason for reason in reasons.values()) == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.maquette-scan.json", "set.zip"]


def test_links_in_a_folder_do_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(picture(9)))
    folder = write_folder(tmp_path / "set", 2, posed=False)
    (folder / "out.png").symlink_to(outside)
    (folder / "inside.png").symlink_to(folder / "00000" / "img00000000.png")
    (folder / "round").symlink_to(folder)
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    (folder / "itself.png").symlink_to(folder / "itself.png")
    os.mkfifo(folder / "pipe.png")
    data = TrainingData.open(folder, 16)
    assert data.names == ("00000/img00000000.png", "00001/img00000001.png", "inside.png")
    reasons = {s.name: s.reason for s in data.skipped}
    assert set(reasons) == {"out.png", "nowhere.png", "itself.png", "pipe.png"}
    assert "leads out" in reasons["out.png"] and "ordinary" in reasons["pipe.png"]


def test_an_archive_may_hold_a_file_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    good = Part(b"a/good.png", png(picture(1)))
    path.write_bytes(zipped([Part(b"", b"x"), Part(b"a/", b""), good]))
    assert TrainingData.open(path, 16).names == ("a/good.png",)


@pytest.mark.parametrize("name", ["maquette-scan.json", "maquette-choices.json"])
def test_files_of_ours_are_never_written_through_a_link(tmp_path: Path, name: str) -> None:
    """Who gives away a folder would choose which file of its user's is written over."""
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    folder = write_folder(tmp_path / "set", 2)
    (folder / name).symlink_to(precious)
    with pytest.raises(UserError, match="is a link, which Maquette does not follow"):
        TrainingData.open(folder, 16)
    assert precious.read_text() == "mine" and sorted(p.name for p in tmp_path.iterdir()) == [
        "precious.txt", "set",
    ]  # fmt: skip


def test_labels_are_only_compared_with_what_is_there(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 1)
    (tmp_path / "secret.png").write_bytes(png(picture(9)))
    labels = json.loads((folder / "dataset.json").read_text())["labels"]
    labels.append(["../secret.png", numbers_of(3)])
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert TrainingData.open(folder, 16).names == ("00000/img00000000.png",)
    (folder / "dataset.json").unlink()
    (tmp_path / "labels.json").write_text(json.dumps({"labels": labels}))
    (folder / "dataset.json").symlink_to(tmp_path / "labels.json")
    assert TrainingData.open(folder, 16).summary.posed is False


def test_bombs_are_refused_before_they_take_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", png(picture(1)))
        archive.writestr("bomb.png", bytes(5 << 20))
    monkeypatch.setattr(files_module, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(files_module.ZipFiles.read, "__defaults__", (1 << 20,))
    found = {name: seen.trouble for name, seen in scan(open_files(path)).items()}
    assert found == {"good.png": "", "bomb.png": "it is larger than 1 MiB"}
    # The same with a stated size that is a lie.
    data = path.read_bytes()
    at = data.rindex(b"bomb.png") - 46
    lie = data[: at + 24] + struct.pack("<L", 100) + data[at + 28 :]
    path.write_bytes(lie)
    with pytest.raises(Unreadable):
        open_files(path).read("bomb.png")


def test_a_file_that_unpacks_to_far_more_than_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels may be a gigabyte, but not as a thousandth of that in the archive."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dataset.json", b" " * (5 << 20))
        archive.writestr("bomb.png", bytes(5 << 20))
    monkeypatch.setattr(files_module, "INFLATED", 1 << 20)
    with pytest.raises(UserError, match="far more than its size allows"):
        TrainingData.open(path, 16)
    with pytest.raises(Unreadable, match="far more than its size allows"):
        open_files(path).read("bomb.png")


@pytest.mark.filterwarnings("ignore:Image size")
def test_a_picture_of_too_many_pixels_is_refused_by_its_header() -> None:
    head = png(picture(1, 4))
    for side in (10_000, 60_000):
        ihdr = b"IHDR" + struct.pack(">LL", side, side) + head[24:29]
        lie = head[:12] + ihdr + struct.pack(">L", zlib.crc32(ihdr)) + head[33:]
        with pytest.raises(Unreadable, match="million pixels"):
            decode(lie)
    with pytest.raises(Unreadable, match="damaged, or no picture"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_long_lists_of_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zip_of(write_folder(tmp_path / "set", 20), tmp_path / "set.zip")
    monkeypatch.setattr(files_module, "_MAX_DIRECTORY", 200)
    with pytest.raises(UserError, match="its list of files is too long"):
        open_files(path)


def test_archives_of_64_bit_are_read_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    path = zip_of(write_folder(tmp_path / "set", 6), tmp_path / "set.zip")
    assert b"PK\x06\x06" in path.read_bytes()
    assert len(TrainingData.open(path, 16)) == 6
    # As in archives that need it: the old record only says that the new one holds the size.
    data = path.read_bytes()
    at = data.rindex(b"PK\x05\x06") + 12
    path.write_bytes(data[:at] + b"\xff" * 4 + data[at + 4 :])
    assert len(open_files(path).entries) == 6
    monkeypatch.setattr(files_module, "_MAX_DIRECTORY", 200)
    with pytest.raises(UserError, match="its list of files is too long"):
        open_files(path)


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8), st.booleans())
@settings(max_examples=80, deadline=None)
def test_damaged_archives_never_break_anything(place: int, junk: bytes, cut: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        whole = zip_of(write_folder(Path(folder) / "s", 2, width=4), Path(folder) / "s.zip")
        data = whole.read_bytes()
        place %= len(data)
        broken = data[:place] if cut else data[:place] + junk + data[place + len(junk) :]
        whole.write_bytes(broken)
        try:
            data_set = TrainingData.open(whole, 4)
        except UserError:
            return
        assert data_set.batch(0, 4).images.shape == (4, 3, 4, 4)


def test_a_folder_around_everything_is_taken_off(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 3)
    data = TrainingData.open(zip_of(folder, tmp_path / "a.zip", "mine/"), 16)
    assert data.summary.posed and data.names[0] == "00000/img00000000.png"
    bare = write_folder(tmp_path / "bare", 3, posed=False)
    data = TrainingData.open(zip_of(bare, tmp_path / "b.zip", "mine/"), 16)
    assert data.names[0] == "mine/00000/img00000000.png"


def test_two_files_of_one_name_are_one(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", png(picture(1)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", png(picture(2)))
    data = TrainingData.open(path, 16)
    assert data.picture(0)[0, 0, 0] == 1
    assert [s.reason for s in data.skipped] == ["the archive has two files of this name"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "lacks the list"),
        ('{"labels": 3}', "lacks the list"),
        ("[" * 100_000, "is no JSON"),
        ("\xff", "lacks the list|is no JSON"),
    ],
)
def test_bad_labels_are_told(tmp_path: Path, text: str, said: str) -> None:
    folder = write_folder(tmp_path / "set", 1)
    (folder / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=said):
        TrainingData.open(folder, 16)


def test_folders_that_may_not_be_looked_into_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", 4)
    scandir, shut = os.scandir, {str(folder / "00001")}

    def looked(path: object) -> object:
        if str(path) in shut:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", looked)
    files = open_files(folder)
    assert files.refused == (("00001", "it cannot be read (Permission denied)"),)
    assert [entry.name for entry in files.entries] == [
        "00000/img00000000.png", "00000/img00000002.png",
    ]  # fmt: skip
    shut.add(str(folder))
    with pytest.raises(
        UserError, match=r"set cannot be read \(Permission denied\); check the path"
    ):
        open_files(folder)


def test_labels_that_may_not_be_read_are_told_without_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_files(write_folder(tmp_path / "set", 1))

    def shut(_name: str, _limit: int = 0) -> bytes:
        raise PermissionError(13, "Permission denied", "dataset.json")

    monkeypatch.setattr(files, "read", shut)
    with pytest.raises(
        UserError, match=r"set cannot be read \(Permission denied\); mend it, or allow"
    ):
        read_labels(files)


def test_odd_labels_are_counted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 3)
    good = numbers_of(3)
    labels = [
        ["00000\\img00000000.png", good], ["a.png", [1]], ["b.png", None], 3, ["c.png"],
        ["d.png", [True] * 25], ["e.png", ["1"] * 25], ["f.png", [10**400, *good[1:]]],
    ]  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    found = read_labels(open_files(folder))
    assert found is not None and list(found.cameras) == ["00000/img00000000.png"]
    assert list(found.bad) == ["f.png"] and found.foreign == 6
    (folder / "dataset.json").write_text('{"labels": null}')
    assert read_labels(open_files(folder)) is None
    (folder / "dataset.json").write_text(json.dumps({"labels": {"a.png": good}}))
    found = read_labels(open_files(folder))
    assert found is not None and list(found.cameras) == ["a.png"]


# ------------------------------------------------------------------ looking once


def test_a_second_opening_looks_only_at_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", 4, posed=False)
    looked: list[str] = []
    real = scan_module._look_at

    def counted(files: files_module.Files, entry: files_module.Entry) -> scan_module.Seen:
        looked.append(entry.name)
        return real(files, entry)

    monkeypatch.setattr(scan_module, "_look_at", counted)
    first = scan(open_files(folder))
    assert len(looked) == 4
    looked.clear()
    assert scan(open_files(folder)) == first and not looked
    changed = folder / "00000" / "img00000002.png"
    changed.write_bytes(png(picture(77, 20)))
    (folder / "new.png").write_bytes(png(picture(78)))
    (folder / "00001" / "img00000001.png").unlink()
    second = scan(open_files(folder))
    assert sorted(looked) == ["00000/img00000002.png", "new.png"] and len(second) == 4
    assert second["00000/img00000002.png"].width == 20
    bitmap = folder / "flat.bmp"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(bitmap)
    before = scan(open_files(folder))["flat.bmp"]
    Image.new("RGB", (8, 8), (9, 8, 7)).save(bitmap)
    os.utime(bitmap, ns=(before.stamp + 1, before.stamp + 1))
    assert bitmap.stat().st_size == before.size
    second = scan(open_files(folder))
    assert second["flat.bmp"].sha256 != before.sha256
    told: list[tuple[int, int]] = []
    (folder / "maquette-scan.json").write_text("{")
    looked.clear()
    assert scan(open_files(folder), lambda *done: told.append(done)) == second
    assert len(looked) == 5 and told == [(5, 5)]


@pytest.mark.parametrize(
    "change",
    [
        {"width": "16"}, {"look": "zz"}, {"look": "00"}, {"width": 0}, {"extra": 1},
        {"sha256": None},
    ],
)  # fmt: skip
def test_a_scan_of_somebody_elses_making_is_not_believed(
    tmp_path: Path, change: dict[str, object]
) -> None:
    folder = write_folder(tmp_path / "set", 2, posed=False)
    good = scan(open_files(folder))
    path = folder / "maquette-scan.json"
    stated = json.loads(path.read_text())
    next(iter(stated["seen"].values())).update(change)
    path.write_text(json.dumps(stated))
    assert scan(open_files(folder)) == good
    assert json.loads(path.read_text())["seen"].keys() == good.keys()


def test_data_that_cannot_be_written_to_is_opened_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "set", 2)

    def full(path: Path, data: bytes) -> None:
        raise UserError("the disk is full")

    monkeypatch.setattr(scan_module, "write_bytes", full)
    assert len(TrainingData.open(folder, 16)) == 2
    assert not list(folder.glob("maquette-*"))
