"""Favourites, variations and latents in the real window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.generators.base import latent_from_seed
from tests.app.gui.driver import App, State
from tests.app.gui.test_mixing import press, reveal
from tests.app.gui.test_window import difference

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def tall(running: App) -> Iterator[App]:
    running.resize(1280, 940)
    yield running
    running.resize(1280, 820)


@pytest.fixture
def plain(tall: App) -> App:
    """Seed 5 alone, no favourites."""
    tall.reset()
    if "mixes" in tall.state["recipe"]:
        press(tall, "mix_clear")
    for _ in names(tall.state):
        count = len(names(tall.state))
        press(tall, "favourite_0_remove")
        tall.wait("one less", lambda s, n=count: len(names(s)) == n - 1)
    to_seed(tall, 4)
    tall.key("bracketright")
    if "blend" in tall.state["recipe"]:
        press(tall, "blend_clear")
    tall.point(*tall.middle())
    tall.settled(lambda s: s["recipe"]["seed"] == 5 and not {"blend", "latent"} & set(s["recipe"]))
    return tall


def names(state: State) -> list[str]:
    return [name for name, _ in state["favourites"]]


def to_seed(app: App, seed: int) -> None:
    reveal(app, "seed")
    app.fill("seed", str(seed))
    app.point(*app.middle())
    app.wait(f"seed {seed}", lambda s: s["recipe"]["seed"] == seed)


def test_favourites_are_pinned_named_moved_shown_and_removed(plain: App) -> None:
    for seed in (5, 6, 7):
        to_seed(plain, seed)
        plain.key("f")
        plain.wait("it is pinned", lambda s, n=seed: names(s)[-1:] == [f"Seed {n}"])
    seven = plain.settled() and plain.picture()
    reveal(plain, "favourite_0_name")
    plain.fill("favourite_0_name", "Anna")
    plain.wait("its name", lambda s: names(s) == ["Anna", "Seed 6", "Seed 7"])
    press(plain, "favourite_0_down")
    plain.wait("the second place", lambda s: names(s) == ["Seed 6", "Anna", "Seed 7"])
    press(plain, "favourite_2_up")
    plain.wait("up", lambda s: names(s) == ["Seed 6", "Seed 7", "Anna"])
    steps = plain.state["steps"]
    press(plain, "favourite_2")
    state = plain.settled(lambda s: s["recipe"]["seed"] == 5)
    assert state["steps"] == steps + 1 and state["texts"]["undo_tip"].startswith("Undo: Anna")
    plain.point(*plain.middle())
    assert difference(seven, plain.picture()) > 1
    plain.key("ctrl+z")
    plain.settled(lambda s: s["recipe"]["seed"] == 7)
    press(plain, "favourite_0_remove")
    plain.wait("two left", lambda s: names(s) == ["Seed 7", "Anna"])
    plain.point(*plain.middle())
    plain.key("ctrl+z", "ctrl+z", "ctrl+z", "ctrl+z")
    plain.wait("all undone", lambda s: names(s) == ["Seed 5", "Seed 6", "Seed 7"])
    # A favourite that is shown cannot be pinned again.
    assert "face_pin" in plain.state["disabled"]
    reveal(plain, "favourite_1_name")
    plain.fill("favourite_1_name", " ")
    plain.wait("the notice", lambda s: any("1 to 60" in text for _, text in s["notices"]))
    plain.wait("the old name", lambda s: s["texts"]["favourite_1_name"] == "Seed 6")
    plain.key("Escape")


def test_more_like_this_stays_near_and_can_be_undone(plain: App) -> None:
    alone = plain.picture()
    reveal(plain, "face_strength")
    plain.retype("face_strength", "10")
    press(plain, "face_vary")
    plain.point(*plain.middle())
    state = plain.settled(lambda s: "blend" in s["recipe"])
    blend = state["recipe"]["blend"]
    assert blend["seeds"][0] == 5 and blend["space"] == "z"
    assert blend["weights"] == pytest.approx([0.9, 0.1])
    assert 0 < difference(alone, plain.picture()) < 12
    plain.key("v")
    plain.settled(lambda s: len(s["recipe"].get("blend", {}).get("seeds", ())) == 3)
    plain.key("ctrl+z", "ctrl+z")
    plain.settled(lambda s: "blend" not in s["recipe"])
    assert difference(alone, plain.picture()) < 0.5


def test_a_latent_is_saved_and_loaded_again(plain: App, workplace: Path) -> None:
    alone, path = plain.picture(), workplace / "anna.npz"
    path.unlink(missing_ok=True)
    press(plain, "latent_save")
    plain.wait("the prompt", lambda s: s["project"]["prompt"] == "save latent")
    plain.fill("prompt_path", str(path.with_suffix("")))
    plain.wait("the file", lambda s: s["exports"].get("latent", {}).get("state") == "finished", 40)
    with np.load(path, allow_pickle=False) as file:
        w = file["w"]
    assert w.shape == (1, 8, 6)
    expected = plain.state["recipe"]["psi"] * latent_from_seed(5, 6).numpy()
    assert np.allclose(w[0], expected, atol=1e-6)
    to_seed(plain, 77)
    press(plain, "latent_load")
    plain.wait("the prompt", lambda s: s["project"]["prompt"] == "open latent")
    plain.fill("prompt_path", str(workplace / "none.npz"))
    plain.wait("the fault", lambda s: "no latent" in s["texts"].get("prompt_fault", ""))
    plain.fill("prompt_path", str(path))
    plain.wait("the face", lambda s: s["recipe"].get("latent", {}).get("name") == "anna")
    plain.point(*plain.middle())
    plain.settled(lambda s: "latent" in s["recipe"])
    assert difference(alone, plain.picture()) < 0.5
    assert plain.state["texts"]["seed"] == ""
    # Clicking into the empty box and out of it changes nothing; a seed does.
    reveal(plain, "seed")
    plain.click("seed")
    plain.point(*plain.middle())
    plain.key("Tab")
    assert "latent" in plain.state["recipe"]
    to_seed(plain, 5)
    plain.settled(lambda s: "latent" not in s["recipe"])
    assert difference(alone, plain.picture()) < 0.5
