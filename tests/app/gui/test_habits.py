"""What hands are used to: the main path by keys alone, texts that can be copied, commas in numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app import commands
from app.project import read_project
from tests.app.gui.driver import App

pytestmark = pytest.mark.gui
Start = Callable[[], App]


@pytest.fixture
def keys(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> App:
    """A window whose mouse rests in a corner, and whose home is a path with few letters."""
    monkeypatch.setenv("HOME", str(tmp_path))
    app = start()
    app.point(2, 2)
    return app


def typed(app: App, key: str, box: str, text: str, enter: bool = True) -> None:
    """Go to a box by a key, and put a text into it."""
    app.key(key)
    app.write_over(box, text, enter)


def asked(app: App, answer: str) -> None:
    """Wait until Enter would give that answer."""
    app.wait(f"{answer} to be proposed", lambda s: s["answer"] == answer)


def test_the_main_path_needs_no_mouse(keys: App, tmp_path: Path) -> None:
    app = keys
    # Opened, chosen, turned.
    other = tmp_path / "o.head"
    other.write_text("another")
    typed(app, "ctrl+l", "model_path", "~/o.head")
    app.settled(lambda s: s["model_path"] == str(other) and s["opening"] is None)
    typed(app, "ctrl+g", "seed", "1234")
    app.settled(lambda s: s["recipe"]["seed"] == 1234)
    before = app.state["recipe"]["pose"]
    app.key("Left", "Left", "Up")
    app.settled(lambda s: s["recipe"]["pose"] != before)

    # Exported; what is there already is kept or replaced, as the arrows and Enter say.
    path = tmp_path / "face.png"
    path.write_text("mine")
    typed(app, "ctrl+shift+e", "picture_path", "~/face.png")
    asked(app, "confirm_yes")
    app.key("Right")
    asked(app, "confirm_no")
    app.key("Return")
    app.wait("no question", lambda s: s["project"]["question"] is None)
    assert path.read_text() == "mine" and not app.state["jobs"]
    app.key("ctrl+e")
    asked(app, "confirm_yes")
    for key, answer in (("Left", "confirm_no"), ("Tab", "confirm_yes")):
        app.key(key)
        asked(app, answer)
    app.key("Return")
    app.wait("the file", lambda s: s["exports"].get("picture", {}).get("state") == "finished", 30)
    with Image.open(path) as image:
        assert image.format == "PNG"

    # Saved, and left.
    app.key("ctrl+s")
    app.wait("the prompt", lambda s: "prompt_path" in s["active"])
    app.type("~/kept.maquette")
    app.key("Return")
    app.wait("the project", lambda s: s["project"]["title"] == "kept")
    assert read_project(tmp_path / "kept.maquette").document.recipe.seed == 1234
    app.key("r")
    app.wait("a change", lambda s: s["project"]["dirty"])
    app.key("ctrl+q")
    asked(app, "unsaved_save")
    app.key("Escape")
    app.wait("the window", lambda s: s["project"]["question"] is None)
    app.key("ctrl+q")
    asked(app, "unsaved_save")
    app.key("Down")
    asked(app, "unsaved_discard")
    app.key("Return")
    assert app.ended() == 0
    assert read_project(tmp_path / "kept.maquette").document.recipe.seed == 1234


def test_faces_are_mixed_and_meshes_made_without_a_mouse(keys: App, tmp_path: Path) -> None:
    app = keys

    def ordered(command: str) -> None:
        app.key("ctrl+p")
        app.type(commands.command(command).title)
        app.wait("it", lambda s: s["palette"] and s["palette"]["listed"][:1] == [command])
        app.key("Return")

    # Whose layers, and how much of them.
    ordered("mix_add")
    app.wait("another face", lambda s: s["recipe"].get("mixes"))
    ordered("mix_type")
    app.write_over("mix_b_seed", "77", enter=False)
    app.key("Tab")
    app.wait("the keyboard in its slider", lambda s: "mix_b_weight" in s["active"])
    app.with_ctrl("a")
    app.type("40")
    app.key("Return")
    app.wait(
        "the mix",
        lambda s: [(m["seed"], m["weight"]) for m in s["recipe"]["mixes"]] == [(77, 0.4)],
    )
    app.key("ctrl+z", "ctrl+z", "ctrl+z")
    app.wait("the face alone", lambda s: not s["recipe"].get("mixes"))

    ordered("blend_start")
    app.wait("a blend", lambda s: s["recipe"].get("blend"))
    ordered("blend_type")
    app.write_over("blend_seed", "78")
    app.wait("the other one", lambda s: s["recipe"]["blend"]["seeds"][1] == 78)

    # A mesh, with a number that is its own.
    ordered("export_mesh")
    typed(app, "ctrl+shift+e", "mesh_path", "~/head.glb", enter=False)
    app.key("shift+Tab")
    state = app.wait("another box", lambda s: s["active"] not in ([], ["mesh_path"]))
    assert state["active"][0].startswith("mesh_")
    app.key("Escape")
    typed(app, "ctrl+shift+e", "mesh_path", "~/head.glb")
    app.wait("the mesh", lambda s: s["exports"].get("mesh", {}).get("state") == "finished")
    assert (tmp_path / "head.glb").read_bytes().startswith(b"glTF")


def test_enter_that_is_held_answers_only_what_it_was_pressed_for(keys: App, tmp_path: Path) -> None:
    app, path = keys, tmp_path / "face.png"
    path.write_text("mine")
    typed(app, "ctrl+shift+e", "picture_path", "~/face.png", enter=False)
    app.xdotool("keydown", "Return", "sleep", 1.5, "keyup", "Return")
    assert app.state["project"]["question"] and path.read_text() == "mine"
    app.key("Escape")
    app.wait("no question", lambda s: s["project"]["question"] is None)
    assert path.read_text() == "mine"


def test_a_message_and_a_path_are_copied(keys: App, tmp_path: Path) -> None:
    app = keys
    missing = str(tmp_path / "nothing.pkl")
    typed(app, "ctrl+l", "model_path", "~/nothing.pkl")
    state = app.wait("the message", lambda s: any(missing in text for _, text in s["notices"]))
    message = next(text for _, text in state["notices"] if missing in text)

    def pasted(piece: str) -> str:
        app.point(2, 2)
        app.key("ctrl+l")
        app.wait("the keyboard", lambda s: "model_path" in s["active"])
        app.with_ctrl("a")
        app.with_ctrl("v")
        state = app.wait(f"{piece} in the box", lambda s: piece in s["texts"]["model_path"])
        app.key("Escape")
        app.wait("the keys again", lambda s: "model_path" not in s["active"])
        return str(state["texts"]["model_path"])

    # The hash tells which file it is, wherever it lies.
    app.click_right("model_facts")
    app.wait("the notice", lambda s: any(t.startswith("Copied: ") for _, t in s["notices"]))
    pasted(app.state["recipe"]["model"]["sha256"])
    # It is the message that is copied, not that something was.
    app.key("ctrl+shift+c")
    start = f"Copied: {message[:20]}"
    app.wait("its notice", lambda s: any(t.startswith(start) for _, t in s["notices"]))
    assert pasted(message[-20:]) == message


def test_a_comma_and_a_point_are_the_same_number(keys: App) -> None:
    for text, number in (("0,55", 0.55), ("0.25", 0.25)):
        keys.retype("psi_number", text)
        keys.wait(f"{number}", lambda s, number=number: s["recipe"]["psi"] == pytest.approx(number))
