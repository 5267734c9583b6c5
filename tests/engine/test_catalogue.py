"""The catalogue of released checkpoints, and finding them in folders."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine import catalogue, folder_scan
from engine.catalogue import Release, identify, releases, size_text
from engine.errors import Cancelled, UserError
from engine.folder_scan import Scan, scan

CONTENT = b"a checkpoint" * 1000
A = Release("a", "stylesdf", "StyleSDF", "faces", 64, ("a.pt",), len(CONTENT),
            md5=hashlib.md5(CONTENT).hexdigest())  # fmt: skip
B = Release("b", "stylesdf", "StyleSDF", "cats", 64, ("b.pt",), len(CONTENT), md5="0" * 32)
C = Release("c", "eg3d", "EG3D", "cars", 128, ("cars.pkl",), size=500)
D = Release("d", "epigraf", "EpiGRAF", "plants", 256, about=90_000)
E = Release("e", "pigan", "pi-GAN", "faces", 64, ("generator.pth", "CelebA/generator.pth"),
            about=7000, beside=("ema.pth", "ema2.pth"))  # fmt: skip
F = replace(E, key="f", shows="cats", names=("generator.pth", "Cats/generator.pth"))
KNOWN = (A, B, C, D, E, F)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The imaginary releases stand in for the real ones, but for the tests of those."""
    if "real" not in request.node.name:
        monkeypatch.setattr(catalogue, "releases", lambda: KNOWN)


def put(path: Path, content: bytes | int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else b"x" * content)
    return path


# ---- what is known ------------------------------------------------------------------------


def test_the_real_catalogue_is_sound() -> None:
    known = releases()
    assert len({release.key for release in known}) == len(known) == 26
    assert {r.family for r in known} == {
        "eg3d", "stylenerf", "stylesdf", "cips3d", "epigraf", "pigan",
    }  # fmt: skip
    for release in known:
        assert release.page.startswith("https://") and release.licence and release.paper
        assert release.names or release.about or release.size, release.key
        assert not release.md5 or (re.fullmatch(r"[0-9a-f]{32}", release.md5) and release.size)
        assert release.size is None or release.about is None
        assert json.loads(json.dumps(release.to_json()))["key"] == release.key


def test_real_sizes_and_sums_of_stylesdf() -> None:
    """As its authors' download script states them."""
    full = next(r for r in releases() if r.key == "stylesdf-ffhq")
    assert (full.size, full.md5) == (202_570_217, "1ab9522157e537351fcf4faed9c92abb")
    volumes = [r for r in releases() if r.size == 63_736_197]
    assert len(volumes) == 3 and len({r.md5 for r in volumes}) == 3
    assert full.title == "StyleSDF (faces, 1024 px)" and full.size_text == "202.6 MB"


def test_the_real_catalogue_needs_no_network_and_no_torch() -> None:
    for module in (catalogue, folder_scan):
        text = Path(module.__file__ or "").read_text()
        assert not re.search(r"^\s*(import|from) (torch|urllib|http|socket|requests)", text, re.M)


@pytest.mark.parametrize(
    ("size", "text"),
    [(12, "12 bytes"), (1500, "1.5 kB"), (7_700_000, "7.7 MB"), (134_000_000, "134 MB"),
     (2_345_000_000, "2.3 GB")],
)  # fmt: skip
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


# ---- naming a file ------------------------------------------------------------------------


def test_size_and_md5_name_a_file_whatever_it_is_called(tmp_path: Path) -> None:
    found = identify(put(tmp_path / "renamed.bin", CONTENT), len(CONTENT), KNOWN)
    assert (found.releases, found.certainty) == ((A,), "is")
    assert found.text == "is StyleSDF (faces, 64 px)"


def test_the_right_size_with_another_content_is_told(tmp_path: Path) -> None:
    other = bytes(len(CONTENT))
    found = identify(put(tmp_path / "x.pt", other), len(other), KNOWN)
    assert not found.releases and "another content" in found.note
    named = identify(put(tmp_path / "b.pt", other), len(other), KNOWN)
    assert named.releases == (B,) and named.certainty == "named like" and named.note


def test_a_size_alone_looks_like(tmp_path: Path) -> None:
    found = identify(put(tmp_path / "x.pkl", 500), 500, KNOWN)
    assert found.text == "looks like EG3D (cars, 128 px)" and not found.note


def test_only_files_of_a_known_size_are_read(tmp_path: Path) -> None:
    missing = tmp_path / "gone.pt"
    assert identify(missing, 123, KNOWN).certainty is None
    with pytest.raises(OSError, match="gone"):
        identify(missing, len(CONTENT), KNOWN)


def test_a_name_alone_is_named_like_and_a_wrong_size_is_told() -> None:
    found = identify(Path("/somewhere/Cars.PKL"), 400, KNOWN)
    assert (found.releases, found.certainty) == ((C,), "named like")
    assert "500 bytes" in found.note and "cut short" in found.note


def test_the_folder_tells_files_of_one_name_apart() -> None:
    either = identify(Path("generator.pth"), 7010, KNOWN)
    assert either.text == "named like pi-GAN (faces, 64 px) or pi-GAN (cats, 64 px)"
    assert identify(Path("/m/Cats/generator.pth"), 7010, KNOWN).releases == (F,)
    assert "about 7 kB" in identify(Path("generator.pth"), 9000, KNOWN).note


def test_a_rounded_size_without_a_name_may_be() -> None:
    assert identify(Path("model.pkl"), 91_000, KNOWN).text == "may be EpiGRAF (plants, 256 px)"
    assert identify(Path("model.pkl"), 95_000, KNOWN).certainty is None


# ---- folders ------------------------------------------------------------------------------


def test_a_folder_is_searched_to_its_depth(tmp_path: Path) -> None:
    put(tmp_path / "deep" / "er" / "renamed.pt", CONTENT)
    put(tmp_path / "a.pkl", 77)
    put(tmp_path / ".hidden" / "a.pt", CONTENT)
    put(tmp_path / "notes.txt", CONTENT)
    put(tmp_path / "data.zip", 77)
    put(tmp_path / "empty.pt", 0)
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    result = scan(tmp_path)
    assert [f.path.relative_to(tmp_path).as_posix() for f in result.found] == [
        "deep/er/renamed.pt",
        "a.pkl",
    ]
    assert result.folders == 3 and result.complete and not result.unreadable
    assert result.summary == f"1 known model and 1 other file in {tmp_path}."


def test_what_accompanies_a_release_is_not_listed(tmp_path: Path) -> None:
    for name in ("generator.pth", "ema.pth", "ema2.pth", "extra.pth"):
        put(tmp_path / "CelebA" / name, 7000)
    put(tmp_path / "else" / "ema.pth", 10)
    names = [f.path.relative_to(tmp_path).as_posix() for f in scan(tmp_path).found]
    assert names == ["CelebA/generator.pth", "CelebA/extra.pth", "else/ema.pth"]


def test_converted_models_are_named(tmp_path: Path) -> None:
    facts = {"format": "maquette-generator/1", "name": "My faces", "family": "eg3d"}
    put(tmp_path / "faces.json", json.dumps(facts).encode())
    put(tmp_path / "faces.safetensors", 5000)
    put(tmp_path / "alone.json", json.dumps(facts).encode())
    put(tmp_path / "other.json", b"[1, 2")
    put(tmp_path / "other.safetensors", 5)
    (found,) = scan(tmp_path).found
    assert found.text == "converted model: My faces" and found.path.name == "faces.json"
    assert found.size > 5000 and found.to_json()["converted"] == "My faces"


def test_limits_are_kept_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        put(tmp_path / f"folder{number}" / "x.pt", 5)
    put(tmp_path / "1" / "2" / "3" / "x.pt", 5)
    monkeypatch.setattr(folder_scan, "MAX_DEPTH", 2)
    result = scan(tmp_path)
    assert not result.complete and len(result.found) == 6
    assert "more than is searched" in result.summary
    monkeypatch.setattr(folder_scan, "MAX_FILES", 4)
    assert len(scan(tmp_path).found) == 4 and not scan(tmp_path).complete
    monkeypatch.setattr(folder_scan, "MAX_FOLDERS", 3)
    assert scan(tmp_path).folders == 3


def test_a_search_can_be_stopped_even_while_it_reads(tmp_path: Path) -> None:
    put(tmp_path / "a.pt", CONTENT)
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked >= 3:  # the folder, the file, then the first block that is hashed
            raise Cancelled

    with pytest.raises(Cancelled):
        scan(tmp_path, check)
    assert asked == 3


def test_progress_tells_what_there_is_so_far(tmp_path: Path) -> None:
    put(tmp_path / "a.pt", 5)
    put(tmp_path / "b" / "c.pt", 5)
    seen: list[tuple[int, int]] = []

    def progress(so_far: Scan) -> None:
        seen.append((so_far.folders, len(so_far.found)))

    scan(tmp_path, progress=progress)
    assert seen == [(1, 1), (2, 2)]


def test_folders_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        scan(tmp_path / "gone")
    with pytest.raises(UserError, match="is a file"):
        scan(put(tmp_path / "a.pt", 3))
    with pytest.raises(UserError, match="cannot be read"):
        scan(Path("a\0b"))
