"""Project files: what is written comes back; what anybody else wrote does no harm."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app import document as d
from app import project as p
from app.document import Document
from app.project import Project, read_project, thumbnail, write_project
from engine import zip_parts
from engine.camera import OrbitPose
from engine.errors import MAX_SENTENCE, ExportError, UserError
from engine.recipe import ModelRef, Recipe
from tests.fuzzing.containers import Part, zipped


def some_document() -> Document:
    recipe = Recipe(
        model=ModelRef("/m/zoë \udcff.pkl", "ab" * 32, "Zoë"),
        seed=4_294_967_295,
        psi=0.1 + 0.2,
        cutoff=3,
        pose=OrbitPose(1 / 3, -12.5, 4.0, 2.7, 18.837, (0.1, 0.2, 0.3), (-1e-9, 0.0, 0.2)),
        view="normals",
        size=512,
        neural_resolution=96,
        samples=1.5,
        transparent=True,
        settings=(("samples_per_ray", 48), ("white", True)),
    )
    return Document(recipe, OrbitPose(radius=2.7, look_at=(0.0, 0.0, 0.2)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anna.maquette"


def test_a_project_comes_back_to_the_last_bit(path: Path) -> None:
    project = Project(some_document(), b"\x89PNG small", "/elsewhere/anna.maquette")
    write_project(path, project)
    back = read_project(path)
    assert back == replace(project, program=back.program) and back.program
    assert back.document.recipe.pose.yaw == 1 / 3
    assert isinstance(dict(back.document.recipe.settings)["white"], bool)


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write_project(path, Project(some_document()))
    write_project(tmp_path / "b.maquette", read_project(path))
    assert path.read_bytes() == (tmp_path / "b.maquette").read_bytes()


def test_the_parts_are_what_the_documentation_says(path: Path) -> None:
    write_project(path, Project(some_document()))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["document.json", "arrays.npz"]
        data = json.loads(archive.read("document.json"))
        with np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False) as arrays:
            assert arrays.files == []
    assert (
        data["format"] == "maquette-project/1" and data["document"]["version"] == d.DOCUMENT_VERSION
    )
    assert data["document"]["recipe"]["model"]["sha256"] == "ab" * 32


def test_arrays_come_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later document will use them: by name, any shape, exactly."""
    kept = {
        "w": np.arange(28, dtype=np.float32).reshape(14, 2) / 7,
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "none": np.zeros((0, 512), np.float16),
        "one": np.array(-3, np.int64),
    }
    seen: dict[str, Any] = {}
    to_json, from_json = Document.to_json, Document.from_json

    def write(self: Document, arrays: dict[str, Any]) -> dict[str, Any]:
        arrays.update(kept)
        return to_json(self, arrays)

    monkeypatch.setattr(Document, "to_json", write)
    monkeypatch.setattr(
        Document, "from_json", lambda data, arrays: seen.update(arrays) or from_json(data, arrays)
    )
    write_project(path, Project(some_document()))
    read_project(path)
    assert seen.keys() == kept.keys()
    for name, array in kept.items():
        assert seen[name].dtype == array.dtype and np.array_equal(seen[name], array)


def test_an_earlier_version_is_brought_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(path, Project(some_document()))
    present = d.DOCUMENT_VERSION
    monkeypatch.setattr(d, "DOCUMENT_VERSION", present + 2)
    monkeypatch.setitem(d._UPGRADES, present, lambda data: {**data, "step": data["version"]})
    monkeypatch.setitem(
        d._UPGRADES,
        present + 1,
        lambda data: {**data, "recipe": {**data["recipe"], "seed": 40 + data["step"]}},
    )
    assert read_project(path).document.recipe.seed == 40 + present


def test_a_small_picture_of_a_large_one(path: Path) -> None:
    picture = np.zeros((1024, 768, 4), np.float32)
    picture[..., 3] = 1
    picture[:512, :, 0] = 1
    picture[0, 0] = np.nan
    with Image.open(io.BytesIO(thumbnail(picture))) as small:
        assert small.format == "PNG" and small.size == (192, 256)
        assert small.getpixel((96, 10)) == (255, 0, 0, 255)
        assert small.getpixel((96, 250)) == (0, 0, 0, 255)


def test_a_failed_save_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(path, Project(some_document()))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(ExportError, match="disk is full"):
        write_project(path, Project(Document()))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    monkeypatch.undo()
    with pytest.raises(ExportError, match="does not exist"):
        write_project(path.parent / "no" / "folder.maquette", Project(Document()))


# What others wrote --------------------------------------------------------------------------


def plain() -> dict[str, Any]:
    data = Document().to_json({})
    return {"format": "maquette-project/1", "program": "x", "origin": "", "document": data}


def archive(parts: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return out.getvalue()


def document(**changes: object) -> dict[str, bytes]:
    return {"document.json": json.dumps({**plain(), **changes}).encode()}


def recipe(**changes: object) -> dict[str, bytes]:
    data = plain()
    data["document"]["recipe"].update(changes)
    return {"document.json": json.dumps(data).encode()}


def npy(descr: str, shape: str, body: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header = header.ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def with_array(data: bytes) -> dict[str, bytes]:
    return {**document(), "arrays.npz": archive({"w.npy": data})}


def nested(depth: int) -> bytes:
    return b'{"format": "maquette-project/1", "document": ' + b"[" * depth + b"]" * depth + b"}"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"not a project at all" * 100,
    "another program's archive": lambda: archive({"word/document.xml": b"<x/>"}),
    "no JSON": lambda: archive({"document.json": b"\x80\x04\x95pickle"}),
    "a JSON list": lambda: archive({"document.json": b"[1, 2, 3]"}),
    "another format": lambda: archive(document(format="photoshop/9")),
    "NaN": lambda: archive({"document.json": b'{"format": "maquette-project/1", "a": NaN}'}),
    "1e999": lambda: archive({"document.json": b'{"format": "maquette-project/1", "a": 1e999}'}),
    "endless number": lambda: archive({"document.json": b'{"format": ' + b"9" * 100_000 + b"}"}),
    "huge number": lambda: archive(recipe(seed=10**400)),
    "half a character": lambda: archive(
        {"document.json": b'{"format": "maquette-project/1", "a": "\\ud800"}'}
    ),
    "NUL in a path": lambda: archive(recipe(model={"path": "a\0b", "sha256": "", "name": ""})),
    "deep": lambda: archive({"document.json": nested(200)}),
    "very deep": lambda: archive({"document.json": nested(1_000_000)}),
    "no document": lambda: archive(document(document=None)),
    "a document without recipe": lambda: archive(document(document={"version": 1})),
    "version zero": lambda: archive(document(document={"version": 0})),
    "a seed out of range": lambda: archive(recipe(seed=-1)),
    "an infinite seed": lambda: archive(recipe(seed="1e9")),
    "a camera of one": lambda: archive(recipe(pose={"yaw": 1})),
    "an unknown view": lambda: archive(recipe(view=["picture"])),
    "an extra entry": lambda: archive(recipe(run="rm")),
    "a JSON bomb": lambda: archive({"document.json": b" " * (17 << 20)}),
    "a thumbnail bomb": lambda: archive({**document(), "thumbnail.png": bytes(3 << 20)}),
    "two documents": lambda: archive(document())[:-22] + b"",
    "bzip2": lambda: archive(document(), zipfile.ZIP_BZIP2),
    "an array of objects": lambda: archive(with_array(npy("'|O'", "(1,)", b"cos\nsystem\n"))),
    "an array of records": lambda: archive(with_array(npy("[('a', '<f4')]", "(1,)", bytes(4)))),
    "an array beyond all memory": lambda: archive(with_array(npy("'<f4'", f"({10**15},)"))),
    "a negative array": lambda: archive(with_array(npy("'<f4'", "(-1, -1)", bytes(4)))),
    "an array that is code": lambda: archive(
        with_array(npy("__import__('os').system('touch pwned')", "(1,)"))
    ),
    "an array that ends early": lambda: archive(with_array(npy("'<f4'", "(3,)", bytes(8)))),
    # numpy's own reader gives these to Python's tokenizer, parser and compiler.
    "an array that does not end": lambda: archive(with_array(npy("'<f4\0'", "((", bytes(4)))),
    "an array of many brackets": lambda: archive(
        with_array(b"\x93NUMPY\1\0\x20\x4e" + b"(" * 20_000)
    ),
    "an array of many signs": lambda: archive(with_array(npy("'<f4'", "-" * 9000 + "1", bytes(4)))),
    "an array of blanks": lambda: archive(
        with_array(npy("'<f4'", "(1,)" + " " * 9000 + "x", bytes(4)))
    ),
    "an array of many sides": lambda: archive(
        with_array(npy("'<f4'", f"({'1, ' * 40})", bytes(4)))
    ),
    "a distant camera": lambda: archive(
        recipe(pose={**OrbitPose().to_json(), "look_at": [1e308, 0.0, 0.0]})
    ),
    "many unknown entries": lambda: archive(recipe(**{"\x7f" + "x" * n: 1 for n in range(200)})),
    "no npz": lambda: archive({**document(), "arrays.npz": b"\x80\x04."}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(UserError) as caught:
        read_project(path)
    sentence = str(caught.value)
    assert str(path) in sentence and sentence.isprintable() and len(sentence) <= MAX_SENTENCE
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_version_says_so(path: Path) -> None:
    for content in (document(format="maquette-project/2"), document(document={"version": 99})):
        path.write_bytes(archive({**content, "arrays.npz": b"of another kind"} if len(
            content) > 1 else content))  # fmt: skip
        with pytest.raises(UserError, match="newer version of Maquette"):
            read_project(path)


def test_what_inflates_beyond_its_word_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size in the list of entries is a lie; the true size is found while reading."""
    monkeypatch.setitem(p._MAX_PARTS, "document.json", 1000)
    data = bytearray(archive({"document.json": b" " * 5000}))
    at = data.rindex(b"PK\x01\x02")
    assert struct.unpack_from("<L", data, at + 24)[0] == 5000
    struct.pack_into("<L", data, at + 24, 10)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged|too large"):
        read_project(path)


def test_many_entries_are_refused_before_they_are_listed(path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for number in range(30_000):
            made.writestr(f"{number:05d}", b"")
    path.write_bytes(out.getvalue())
    with pytest.raises(UserError, match="more parts"):
        read_project(path)


@pytest.mark.parametrize(
    "name", ["../../outside.txt", "/etc/outside", "a/../../b", "a\\b", "C:/x", "..", "\\\\h\\s"]
)
def test_names_that_lead_out_of_the_archive_are_refused(path: Path, name: str) -> None:
    """In the archive and in that of its arrays; they would be harmless, and nobody honest writes them."""
    evil = archive({name: b"x"})
    for content in (
        archive({name: b"x", **document()}),
        archive({**document(), "arrays.npz": evil}),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match="leads out of the archive"):
            read_project(path)
    assert list(path.parent.iterdir()) == [path]


def test_links_in_the_archive_are_refused(path: Path) -> None:
    secret = path.parent / "secret"
    secret.write_bytes(document()["document.json"])
    link = zipfile.ZipInfo("document.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(link, str(secret))
    with pytest.raises(UserError, match="it is a link"):
        read_project(path)


def test_parts_of_a_later_version_are_left_alone(path: Path) -> None:
    others = [Part(b"later.part", b"x"), Part(b"folder/", b""), Part(b"", b"")]
    path.write_bytes(zipped([*others, Part(b"document.json", document()["document.json"])]))
    assert read_project(path).document == Document()


def test_a_small_file_cannot_hold_large_arrays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part keeps to its own limit; together they are a thousand times as large as the file."""
    monkeypatch.setattr(zip_parts, "INFLATED", 1 << 20)
    zeros = npy("'<f4'", f"({1 << 17},)", bytes(4 << 17))
    for content in (
        {**document(), "arrays.npz": archive({f"{n}.npy": zeros for n in range(8)})},
        {**document(), "arrays.npz": archive({"0.npy": zeros}) + bytes(8 << 20)},
    ):
        path.write_bytes(archive(content))
        with pytest.raises(UserError, match="too large"):
            read_project(path)
    path.write_bytes(archive({**document(), "arrays.npz": archive({"0.npy": zeros})}))
    assert read_project(path).document == Document()


def test_a_file_cut_anywhere_or_flipped_anywhere(path: Path) -> None:
    write_project(path, Project(some_document(), thumbnail(np.ones((8, 8, 4), np.float32))))
    whole = path.read_bytes()
    wanted = read_project(path)
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError):
            read_project(path)
    unharmed = 0
    for at in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[at] ^= 0x40
        path.write_bytes(flipped)
        try:
            found = read_project(path)
        except UserError:
            continue
        # Bytes that carry nothing (times, attributes), or the picture's: never another document.
        assert found.document == wanted.document
        unharmed += 1
    assert unharmed < len(whole) / 3 / 2


def test_places_that_hold_no_file(tmp_path: Path) -> None:
    for wrong, words in (
        (tmp_path / "none.maquette", "no project at"),
        (tmp_path, "not a file"),
        (Path("/dev/zero"), "not a file"),
        (Path("a\0b.maquette"), "There is no project|cannot be read"),
    ):
        with pytest.raises(UserError, match=words):
            read_project(wrong)
    fifo = tmp_path / "pipe.maquette"
    os.mkfifo(fifo)
    with pytest.raises(UserError, match="not a file"):
        read_project(fifo)
