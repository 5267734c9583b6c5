"""From photographs to a data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import Cancelled, UserError
from engine.training.data.cameras import angles_of as angles_of_label
from engine.training.data.photos.faces import Face
from engine.training.data.photos.points import read_points, write_points
from engine.training.data.photos.pose import BUNDLED_ORBIT, project
from engine.training.data.photos.prepare import Prepared, PrepareJob, prepare
from engine.training.data.training_data import TrainingData
from tests.training.data.photo_sets import KnowingFinder, average_corners, dots, face_at, photo
from tests.training.data.sets import zip_of

#: (name, size of the photograph, yaw, pitch, side of the head's square, left, top, roll).
PEOPLE = [
    ("ann.png", (320, 240), 0.0, 0.0, 150.0, 80.0, 40.0, 0.0),
    ("bob.jpg", (300, 300), 25.0, -8.0, 180.0, 60.0, 50.0, 20.0),
    ("carl.png", (260, 330), -35.0, 10.0, 160.0, 50.0, 80.0, -35.0),
]


def write_photos(folder: Path) -> KnowingFinder:
    folder.mkdir()
    faces: dict[tuple[int, int], list[Face]] = {}
    for name, size, yaw, pitch, side, left, top, roll in PEOPLE:
        face = face_at(yaw, pitch, side, left, top, roll)
        photo(face, *size).save(folder / name, quality=97)
        faces[size] = [face]
    return KnowingFinder(faces)


@pytest.mark.parametrize("framing", ["ffhq", "bundled"])
def test_faces_are_cut_to_the_same_place_with_their_cameras(tmp_path: Path, framing: str) -> None:
    finder = write_photos(tmp_path / "photos")
    job = PrepareJob(tmp_path / "photos", tmp_path / "out", 96, framing)  # type: ignore[arg-type]
    told: list[tuple[int, int]] = []
    result = prepare(job, finder, lambda *done: told.append(done))
    assert [made.photo for made in result.made] == ["ann.png", "bob.jpg", "carl.png"]
    assert told == [(0, 3), (1, 3), (2, 3)]
    data = TrainingData.open(tmp_path / "out", 96)
    assert data.names == tuple(f"00000/img{n:08d}.png" for n in range(3)) and data.summary.posed
    labels = json.loads((tmp_path / "out" / "dataset.json").read_text())["labels"]
    for number, (_, label) in enumerate(labels):
        _, _, yaw, pitch, *_, roll = PEOPLE[number]
        made = result.made[number]
        assert made.angles is not None
        assert (made.angles.yaw, made.angles.pitch) == pytest.approx((yaw, pitch), abs=4.0)
        assert made.angles.roll == pytest.approx(roll, abs=4.0)
        seen = dots(data.picture(number))
        if framing == "bundled":
            assert angles_of_label(np.array(label)) == pytest.approx((yaw, pitch), abs=4.0)
            camera = BUNDLED_ORBIT.turned(yaw, pitch).camera()
            np.testing.assert_allclose(seen, project(camera, average_corners()), atol=0.02)
        else:
            # FFHQ: the middle lies a tenth of the way from the eyes to the mouth.
            eyes, mouth = seen[:2].mean(0), seen[2:].mean(0)
            np.testing.assert_allclose(eyes + 0.1 * (mouth - eyes), (0.5, 0.5), atol=0.01)
            apart = np.hypot(*(seen[1] - seen[0])), np.hypot(*(mouth - eyes))
            assert max(4.0 * apart[0], 3.6 * apart[1]) == pytest.approx(1.0, abs=0.04)
    report = json.loads((tmp_path / "out" / "maquette-prepared.json").read_text())
    assert report["finder"] == "a finder that knows" and report["framing"] == framing
    assert [p["photo"] for p in report["pictures"]] == ["ann.png", "bob.jpg", "carl.png"]
    assert str(tmp_path) not in json.dumps(report)


def test_mirrored_pictures_have_mirrored_cameras(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    job = PrepareJob(tmp_path / "photos", tmp_path / "out", 64, "bundled", mirror=True)
    result = prepare(job, finder)
    assert len(result.made) == 6 and [m.mirrored for m in result.made] == [False, True] * 3
    data = TrainingData.open(tmp_path / "out", 64)
    np.testing.assert_array_equal(data.picture(3), data.picture(2)[:, ::-1])
    cameras = data.all_cameras()
    assert cameras is not None
    yaws = [angles_of_label(c)[0] for c in cameras.numpy()[:6]]
    assert yaws[1::2] == pytest.approx([-yaw for yaw in yaws[::2]], abs=1e-4)


def test_what_cannot_be_used_is_listed_and_never_fatal(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    folder = tmp_path / "photos"
    (folder / "broken.jpg").write_bytes(b"no picture")
    photo(None, 111, 100).save(folder / "empty.png")
    edge = face_at(0, 0, 100, 60, 40)
    photo(edge, 112, 100).save(folder / "edge.png")
    tiny = face_at(0, 0, 12, 50, 50)
    photo(tiny, 113, 100).save(folder / "tiny.png")
    steep = face_at(0, 75, 60, 30, 20)
    photo(steep, 114, 100).save(folder / "steep.png")
    finder.faces |= {(112, 100): [edge], (113, 100): [tiny], (114, 100): [steep]}
    result = prepare(PrepareJob(folder, tmp_path / "out", 64), finder)
    assert len(result.made) == 3
    assert set(result.skipped) == {"broken.jpg", "edge.png", "empty.png", "steep.png", "tiny.png"}
    assert result.skipped["broken.jpg"] == "it is damaged, or no picture"
    assert result.skipped["empty.png"] == "no face was found"
    assert "beyond the photograph" in result.skipped["edge.png"]
    assert "too small" in result.skipped["tiny.png"]
    assert "degrees above or below" in result.skipped["steep.png"]


def notes(result: Prepared) -> str:
    return " ".join(result.notes)


def test_several_faces_small_faces_and_edges_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    first, second = face_at(0, 0, 100, 20, 50), face_at(10, 0, 90, 150, 50)
    photo(first, 300, 200).save(folder / "two.png")
    finder = KnowingFinder({(300, 200): [first, second]})
    one = prepare(PrepareJob(folder, tmp_path / "one", 128), finder)
    assert len(one.made) == 1 and "1 photographs show several faces" in notes(one)
    assert "1 of 1 faces are smaller than 128 pixels" in notes(one)
    both = prepare(PrepareJob(folder, tmp_path / "both", 32, every_face=True), finder)
    assert len(both.made) == 2 and "several" not in notes(both)
    low = face_at(0, 0, 100, 20, -15)
    photo(low, 300, 201).save(folder / "two.png")
    cut = prepare(
        PrepareJob(folder, tmp_path / "cut", 32, "bundled"), KnowingFinder({(300, 201): [low]})
    )
    assert "reach beyond their photographs" in notes(cut)


def test_few_and_double_photographs_are_told(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    copy = (tmp_path / "photos" / "ann.png").read_bytes()
    (tmp_path / "photos" / "ann again.png").write_bytes(copy)
    result = prepare(PrepareJob(tmp_path / "photos", tmp_path / "out", 64), finder)
    assert "Only 4 pictures" in notes(result) and "there twice" in notes(result)
    report = json.loads((tmp_path / "out" / "maquette-prepared.json").read_text())
    assert report["notes"] == list(result.notes)
    # The look at the finished set is kept and still good.
    scan = tmp_path / "out" / "maquette-scan.json"
    before = scan.stat().st_mtime_ns
    assert len(TrainingData.open(tmp_path / "out", 64)) == 4
    assert scan.stat().st_mtime_ns == before


def test_guesses_wait_until_they_are_confirmed(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    for size, faces in finder.faces.items():
        finder.faces[size] = [Face(f.eyes, f.mouth, certain=False) for f in faces]
    waiting = prepare(PrepareJob(tmp_path / "photos", tmp_path / "wait", 64), finder)
    assert not waiting.made and set(waiting.guesses) == {"ann.png", "bob.jpg", "carl.png"}
    assert "3 faces were only guessed" in notes(waiting)
    path = tmp_path / "wait" / "maquette-points.json"
    stated = json.loads(path.read_text())
    for name, (yaw, pitch) in {"ann.png": (0, 0), "bob.jpg": (25, -8)}.items():
        stated["faces"][name][0] |= {"certain": True, "yaw": yaw, "pitch": pitch}
    stated["faces"]["carl.png"][0] |= {"certain": True}
    path.write_text(json.dumps(stated))
    job = PrepareJob(tmp_path / "photos", tmp_path / "out", 64, points=read_points(path))
    done = prepare(job, None)
    assert [m.label is not None for m in done.made] == [True, True, False]
    assert "1 pictures have no camera" in notes(done)
    assert done.made[1].angles is not None and done.made[1].angles.yaw == 25
    data = TrainingData.open(tmp_path / "out", 64)
    assert len(data) == 2 and data.skipped[0].reason == "dataset.json has no camera for it"
    rough = PrepareJob(tmp_path / "photos", tmp_path / "rough", 64, accept_guesses=True)
    assert len(prepare(rough, finder).made) == 3
    assert not (tmp_path / "rough" / "dataset.json").exists()


def test_points_by_hand_go_before_the_finder(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    own = Face(np.array([(100.0, 100), (140, 100)]), np.array([(105.0, 140), (135, 140)]))
    points = {"ann.png": (own,), "bob.jpg": ()}
    result = prepare(PrepareJob(tmp_path / "photos", tmp_path / "out", 64, points=points), finder)
    assert finder.asked == 1
    assert [m.photo for m in result.made] == ["ann.png", "carl.png"]
    assert result.made[0].face.eyes[0].tolist() == [100, 100]
    assert result.skipped == {"bob.jpg": "it has no face"}


def test_points_are_kept_as_they_are(tmp_path: Path) -> None:
    face = Face(
        np.array([(1.25, 2), (30, 4)]), np.array([(5.0, 60), (27, 80)]), None, 12.5, -3.0, False
    )
    write_points(tmp_path / "p.json", {"b.png": [face], "a.png": []})
    found = read_points(tmp_path / "p.json")
    assert found["a.png"] == () and len(found["b.png"]) == 1
    again = found["b.png"][0]
    np.testing.assert_array_equal(again.eyes, face.eyes)
    np.testing.assert_array_equal(again.mouth, face.mouth)
    assert (again.yaw, again.pitch, again.certain) == (12.5, -3.0, False)


@pytest.mark.parametrize("roll", [0.0, 80.0, 170.0, -100.0])
def test_points_that_were_mixed_up_are_put_in_order(tmp_path: Path, roll: float) -> None:
    face = face_at(20.0, 5.0, 100.0, 50.0, 50.0, roll)
    swapped = Face(face.eyes[::-1], face.mouth[::-1])
    write_points(tmp_path / "p.json", {"a": [face], "b": [swapped]})
    found = read_points(tmp_path / "p.json")
    for name in "ab":
        np.testing.assert_allclose(found[name][0].eyes, face.eyes, atol=0.006)
        np.testing.assert_allclose(found[name][0].mouth, face.mouth, atol=0.006)


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "faces": []}',
        '{"format": 1, "faces": {"a": [{}]}}',
        '{"format": 1, "faces": {"a": [{"eyes": [[1, 2]], "mouth": [[1, 2], [3, 4]]}]}}',
        '{"format": 1, "faces": {"a": [{"eyes": [[1, 2], [1, 2]], "mouth": [[1, 2], [1, 2]]}]}}',
        '{"format": 1, "faces": {"a": [{"eyes": [[0, 0], [9, 0]], "mouth": [[0, 9], [9, NaN]]}]}}',
        '{"format": 1, "faces": {"a": [{"eyes": [[0, 0], [9, 0]], "mouth": [[0, 9], [9, 9]], "yaw": 1}]}}',
        '{"format": 1, "faces": {"a": [{"eyes": [[0, 0], [9, 0]], "mouth": [[0, 9], [9, 9]], "yaw": 1, "pitch": 95}]}}',
    ],
)  # fmt: skip
def test_bad_points_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError, match=r"The points in .* cannot be read"):
        read_points(tmp_path / "p.json")


def test_points_that_are_not_there_are_told_without_codes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"points .*/p\.json cannot be read \(No such file or dir"):
        read_points(tmp_path / "p.json")


def test_nothing_is_left_after_a_mistake(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    job = PrepareJob(tmp_path / "photos", tmp_path / "out", 64)
    with pytest.raises(UserError, match=r"No usable face .*ann\.png: no face was found"):
        prepare(job, KnowingFinder({}))
    with pytest.raises(Cancelled):
        prepare(job, finder, cancelled=lambda: finder.asked > 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos"]
    with pytest.raises(UserError, match="16 to 4096"):
        prepare(PrepareJob(tmp_path / "photos", tmp_path / "out", 8), finder)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="holds no photographs"):
        prepare(PrepareJob(tmp_path / "bare", tmp_path / "out"), finder)
    prepare(job, finder)
    with pytest.raises(UserError, match="is not empty"):
        prepare(job, finder)


def test_photographs_in_an_archive(tmp_path: Path) -> None:
    finder = write_photos(tmp_path / "photos")
    archive = zip_of(tmp_path / "photos", tmp_path / "photos.zip")
    result = prepare(PrepareJob(archive, tmp_path / "out", 64), finder)
    assert len(result.made) == 3


def test_a_portrait_that_was_pointed_at(tmp_path: Path) -> None:
    """The picture itself, not only its numbers: the dots of the eyes end where FFHQ has them."""
    face = face_at(0.0, 0.0, 400.0, 300.0, 200.0, roll=15.0)
    big = photo(face, 1200, 900)
    (tmp_path / "photos").mkdir()
    big.save(tmp_path / "photos" / "a.png")
    points = {"a.png": (Face(face.eyes, face.mouth, yaw=0.0, pitch=0.0),)}
    prepare(PrepareJob(tmp_path / "photos", tmp_path / "out", 64, points=points), None)
    with Image.open(tmp_path / "out" / "00000" / "img00000000.png") as picture:
        seen = dots(np.asarray(picture))
    assert seen[0, 1] == pytest.approx(seen[1, 1], abs=0.01)
    assert seen[:2, 0].mean() == pytest.approx(0.5, abs=0.01)
