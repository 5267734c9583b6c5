"""Finding faces: the child process and its protocol, and the rough finder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from engine.errors import Cancelled, UserError
from engine.training.data.photos import environment, finder
from engine.training.data.photos.environment import find_python, has_mediapipe
from engine.training.data.photos.faces import Face
from engine.training.data.photos.finder import CascadeFinder, EitherFinder, MediaPipeFinder
from tests.training.data.photo_sets import KnowingFinder, face_at, fake_python

#: Where MediaPipe 0.10.21 sees eyes and mouth in the portrait that scikit-image ships.
ASTRONAUT = np.array([(204.6, 100.9), (246.5, 103.0), (201.8, 139.2), (245.0, 141.0)])


def full(face_points: np.ndarray) -> np.ndarray:
    """478 points: ten more for the irises."""
    return np.concatenate([face_points, np.repeat(face_points[:1], 10, axis=0)])


_PLACED = face_at(10.0, 0.0, 100.0, 20.0, 10.0).dense
assert _PLACED is not None
FACE = Face.of_dense(_PLACED)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert FACE.dense is not None
    return fake_python(tmp_path_factory.mktemp("fake"), full(FACE.dense))


@pytest.fixture
def child(python: Path) -> Iterator[MediaPipeFinder]:
    with MediaPipeFinder(python) as found:
        yield found


def grey(width: int, height: int, first: tuple[int, int, int] = (1, 2, 3)) -> Image.Image:
    picture = Image.new("RGB", (width, height), (128, 128, 128))
    picture.putpixel((0, 0), first)
    return picture


def test_points_come_back_from_the_child(child: MediaPipeFinder) -> None:
    assert child.name == "MediaPipe 0.10.21-fake"
    for size in ((120, 90), (64, 200)):
        faces = child.find(grey(*size))
        assert len(faces) == 1 and FACE.dense is not None
        dense = faces[0].dense
        assert dense is not None
        np.testing.assert_allclose(dense, FACE.dense * 0.5, atol=1e-9)
        np.testing.assert_allclose(faces[0].eyes, FACE.eyes * 0.5, atol=1e-6)
        np.testing.assert_allclose(faces[0].mouth, FACE.mouth * 0.5, atol=1e-6)
        assert faces[0].certain


def test_the_largest_face_is_first_and_large_photos_are_shrunk(child: MediaPipeFinder) -> None:
    for blue in (255, 254):  # in either order
        large, small = child.find(grey(100, 80, (0, 0, blue)))
        np.testing.assert_allclose(large.eyes, FACE.eyes, atol=1e-6)
        assert small.size == pytest.approx(large.size / 2)
    huge = Image.new("RGB", (2 * finder.FIND_SIDE, 300), (1, 2, 3))
    np.testing.assert_allclose(child.find(huge)[0].eyes, FACE.eyes, atol=1e-6)


def test_small_faces_are_looked_at_again_from_near(child: MediaPipeFinder) -> None:
    picture = grey(400, 400, (0, 255, 0))
    assert child.find(picture) == []
    picture.putpixel((399, 399), (9, 0, 0))
    # The box is at 200 to 300; the square around it, twice as wide, begins at 150.
    np.testing.assert_allclose(child.find(picture)[0].eyes, FACE.eyes * 0.5 + 150, atol=1e-6)


def test_a_child_that_dies_is_told_with_its_last_words(python: Path) -> None:
    with MediaPipeFinder(python) as child:
        with pytest.raises(UserError, match="something native broke"):
            child.find(grey(50, 50, (255, 0, 0)))
        with pytest.raises(UserError, match="MediaPipe ended"):
            child.find(grey(50, 50))


def test_a_child_that_does_not_answer_is_ended(
    child: MediaPipeFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "_FACE_SECONDS", 0.0)
    with pytest.raises(UserError, match="did not answer"):
        child.find(grey(900, 900))
    assert child._process.poll() is not None


def test_a_python_without_mediapipe_is_told(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "own_folder", lambda: tmp_path / "none")
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    assert find_python() is None
    assert find_python(str(python)) == python
    monkeypatch.setenv(environment.VARIABLE, str(python))
    assert find_python() == python
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"There is no Python at .* MAQUETTE_PHOTOS_PYTHON names"):
        find_python()
    bare = fake_python(tmp_path, np.zeros((478, 3)), mediapipe=False)
    assert not has_mediapipe(bare)
    # What is no Python at all may complain, of what nobody asked for.
    loud = tmp_path / "loud"
    loud.write_text("#!/bin/sh\necho no such option; echo no such option >&2; exit 2\n")
    loud.chmod(0o755)
    assert not has_mediapipe(loud) and capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match="has no MediaPipe"):
        find_python(str(bare))
    with pytest.raises(UserError, match=r"MediaPipe ended or did not answer.*No module named"):
        MediaPipeFinder(bare)
    with pytest.raises(UserError, match="cannot be started"):
        MediaPipeFinder(tmp_path)


def test_an_installation_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    ran: list[list[str]] = []

    def failing(words: list[str], *_: object) -> int:
        ran.append(words)
        return 1

    def bare(folder: Path, with_pip: bool) -> None:
        (folder / "bin").mkdir(parents=True)

    monkeypatch.setattr(environment.venv, "create", bare)
    # Whichever Python runs the tests will do.
    monkeypatch.setattr(environment, "_PYTHONS", (sys.version_info[:2],))
    monkeypatch.setattr(environment, "_run", failing)
    with pytest.raises(UserError, match="could not be installed"):
        environment.install(said.append, tmp_path / "own")
    assert not list(tmp_path.iterdir())
    assert "mediapipe==0.10.21" in ran[-1] and "--no-deps" in ran[-1]
    assert any(word.startswith("numpy==1.") for word in ran[-1])
    monkeypatch.setattr(environment, "_run", lambda *_: 0)
    python = environment.install(said.append, tmp_path / "own")
    assert python.parent.parent == tmp_path / "own" and python.parent.is_dir()
    monkeypatch.setattr(environment.sys, "version_info", (3, 14, 0))
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"needs Python 3\.11 or 3\.12"):
        environment.install(said.append, tmp_path / "other")


def test_an_installation_is_cancelled_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bare(folder: Path, with_pip: bool) -> None:
        (folder / "bin").mkdir(parents=True)
        # Stands for pip, and would go on for an hour.
        pip = folder / "bin" / "python"
        pip.write_text(f"#!/bin/sh\ntouch {tmp_path}/began\nexec sleep 3600\n")
        pip.chmod(0o755)

    monkeypatch.setattr(environment.venv, "create", bare)
    monkeypatch.setattr(environment, "_PYTHONS", (sys.version_info[:2],))
    began = tmp_path / "began"
    with pytest.raises(Cancelled):
        environment.install(lambda _: None, tmp_path / "own", began.exists)
    assert [path.name for path in tmp_path.iterdir()] == ["began"]


def test_the_second_finder_is_asked_where_the_first_finds_nothing() -> None:
    first = KnowingFinder({(30, 30): [FACE]})
    second = KnowingFinder({(30, 30): [], (40, 40): [FACE, FACE]})
    either = EitherFinder(first, second)
    assert either.find(Image.new("RGB", (30, 30))) == [FACE] and second.asked == 0
    assert either.find(Image.new("RGB", (40, 40))) == [FACE, FACE] and first.asked == 2
    with either:
        pass
    assert first.closed and second.closed


def test_the_rough_finder_finds_a_portrait_and_is_never_certain() -> None:
    picture = Image.fromarray(data.astronaut())
    faces = CascadeFinder().find(picture)
    assert faces and not any(face.certain for face in faces)
    found = np.concatenate([faces[0].eyes, faces[0].mouth])
    apart = np.hypot(*(ASTRONAUT[1] - ASTRONAUT[0]))
    assert np.hypot(*(found - ASTRONAUT).T).max() < 0.35 * apart
    larger = picture.resize((1024, 1024))
    again = CascadeFinder().find(larger)[0]
    assert (
        np.hypot(*(np.concatenate([again.eyes, again.mouth]) - 2 * found).T).max() < 0.3 * 2 * apart
    )
    assert CascadeFinder().find(Image.new("RGB", (300, 200))) == []
    assert CascadeFinder().find(Image.new("RGB", (8, 3000))) == []
