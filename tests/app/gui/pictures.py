"""Takes the pictures of the documentation: ``python -m tests.app.gui.pictures [NAME...]``.

Starts the real window on the bundled generator, drives it as the tests do, and writes
``docs/images``. A picture is a line of :data:`PICTURES`: its name, what is done first, and which part
of the window is kept. Seeds are given and file names typed, so that nothing of this machine
is to be seen; only times (of a frame, of a job) differ from run to run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.app.gui.driver import ROOT, App
from tests.app.gui.pictures_acts import (
    OTHERS,
    SEED,
    Act,
    all_unfolded,
    asked,
    clicks,
    closed,
    command,
    keys,
    only,
    seed,
    typed,
)
from tests.app.gui.pictures_boxes import (
    EDGE,
    Box,
    around,
    around_newest,
    closely,
    everything,
    in_the_middle,
    newest_notice,
    section,
)
from tests.app.gui.pictures_made import MADE
from tests.app.gui.pictures_tasks import morphing, text_leads
from tests.app.gui.pictures_training import photographed, stopped, training
from tests.app.gui.screens import screen

IMAGES = ROOT / "docs" / "images"
#: A model that has settings of its own.
TUNABLE = ROOT / "tests" / "data" / "goldens" / "stylesdf" / "checkpoint.pt"
#: Two models of one family.
TWINS = {
    "photos.pth": TUNABLE.parents[1] / "cips3d" / "checkpoint.pth",
    "cartoons.pth": TUNABLE.parents[1] / "cips3d" / "second.pth",
}
SIZE = (1280, 820)


# What is done first ------------------------------------------------------------------------


def drawn(app: App) -> None:
    """Wait for the small pictures of the gallery."""
    app.wait(
        "small pictures", lambda s: s["gallery"] and s["gallery"]["drawn"] and not s["gallery"]["waiting"], 240
    )  # fmt: skip


def turned(app: App) -> None:
    """The head from the side."""
    app.drag(90, -24)
    app.settled()


def blended(app: App) -> None:
    """Half-way to another face."""
    app.click("blend_start")
    app.wait("a blend", lambda s: "blend" in s["recipe"])
    app.fill("blend_seed", str(OTHERS[0]))
    app.settled()


def mixed(app: App) -> None:
    """The look of two others, each on some layers."""
    for place, number in enumerate(OTHERS[:2]):
        app.click("mix_add")
        app.settled(lambda s, n=place: len(s["recipe"].get("mixes", ())) > n)  # type: ignore[misc]
        app.fill(f"mix_{'bc'[place]}_seed", str(number))
        app.settled(lambda s, n=number: any(m["seed"] == n for m in s["recipe"]["mixes"]))  # type: ignore[misc]


def three_keys(app: App) -> None:
    """A path of three keys: two faces from three sides."""
    app.key("t")
    app.wait("the timeline", lambda s: s["timeline"]["open"])
    time.sleep(0.5)
    for number, (share, face, turn) in enumerate(
        ((0.0, SEED, -70), (0.5, OTHERS[1], 70), (1.0, SEED, 70))
    ):
        app.click_at("timeline_ruler", share)
        seed(face)(app)
        app.drag(turn, 0)
        app.settled()
        app.point(*app.middle())
        app.key("k")
        app.wait("a key", lambda s, n=number: len(s["timeline"]["keys"]) > n)  # type: ignore[misc]
    app.click_at("timeline_ruler", 0.3)
    app.settled()


def some_steps(app: App) -> None:
    """Steps of several kinds, the last of them taken back."""
    all_unfolded(app)
    seed(OTHERS[1])(app)
    turned(app)
    blended(app)
    keys("1", "ctrl+z")(app)
    app.wait("a step back", lambda s: s["can_redo"])


def unblended(app: App) -> None:
    """One face again."""
    command(app, "clear the blend")
    app.wait("no blend", lambda s: "blend" not in s["recipe"])


def exporting(app: App) -> None:
    """Two videos in the queue."""
    for name in ("anna.mp4", "bela.mp4"):
        app.fill("video_path", name)
        app.wait("a job", lambda s, n=name: any(n in job[3] for job in s["jobs"]))  # type: ignore[misc]
    app.key("ctrl+j")
    app.wait("one under way", lambda s: any(e["done"] > 20 for e in s["exports"].values()), 120)


def tunable(app: App) -> None:
    """Open a model that has settings."""
    only("model")(app)
    app.fill("model_path", str(TUNABLE))
    app.wait("its settings", lambda s: s["widgets"]["fold_model_settings"][2] > 1)
    only("model_settings")(app)


def lending(app: App) -> None:
    """Open a model, and borrow layers of its twin."""
    only("model")(app)
    for name, source in TWINS.items():
        shutil.copy(source, app.folder / name)
    photos, cartoons = TWINS
    app.fill("model_path", photos)
    app.wait("the model", lambda s: s["recipe"]["model"]["path"].endswith(photos))
    only("second_model")(app)
    app.fill("second_path", cartoons)
    app.settled(lambda s: "swap" in s["recipe"])


def edited(app: App) -> None:
    """Two of the model's own ways as edits."""
    only("edit")(app)
    app.click("edit_ways")
    app.wait("the ways", lambda s: s["ways"] and s["ways"]["names"], 300)
    for number, way in enumerate(("way_0_less", "way_4_more")):
        app.click(way)
        app.wait("an edit", lambda s, n=number: len(s["recipe"].get("edits", ())) > n)  # type: ignore[misc]
    closed(app)
    app.click("edit_0")
    app.settled()


def ways_drawn(app: App) -> None:
    """The window of ways with all its pictures."""
    only("edit")(app)
    app.click("edit_ways")
    app.wait("the pictures", lambda s: s["ways"] and s["ways"]["drawn"] == 12, 600)


def unedited(app: App) -> None:
    """The face as it was."""
    closed(app)
    while app.state["recipe"].get("edits"):
        if app.state["edit"]["chosen"] != 0:
            app.click("edit_0")
        app.click("edit_0_remove")
        time.sleep(0.3)


@dataclass(frozen=True)
class Picture:
    """A picture of the documentation.

    Attributes:
        name: of its file.
        keep: which part of the window.
        first: what is done before, in order.
        after: what is done to leave no trace.
    """

    name: str
    keep: Callable[[App], Box]
    first: tuple[Act, ...] = ()
    after: tuple[Act, ...] = (closed,)


def panel(
    name: str, key: str, *first: Act, after: tuple[Act, ...] = (), beside: tuple[str, ...] = ()
) -> Picture:
    """A section of a column; those ``beside`` it are unfolded, too, because they are needed."""
    return Picture(name, section(key), (only(key, *beside), *first), after)


def export(kind: str) -> Picture:
    """A tab of the export section."""
    steps = clicks(f"tab_{kind}"), typed(f"{kind}_path", f"anna.{ENDINGS[kind]}")
    return panel(f"export-{kind}", "export", *steps)


ENDINGS = {"picture": "png", "video": "mp4", "mesh": "glb", "sheet": "png"}

PICTURES: tuple[Picture, ...] = (
    Picture("window", everything, (seed(SEED), turned, typed("picture_path", "anna.png"))),
    panel("model", "model"),
    panel("identity", "identity"),
    panel("camera", "camera"),
    panel("compare", "compare"),
    Picture("split", everything, (all_unfolded, seed(OTHERS[0]), keys("c"), seed(SEED), typed("picture_path", "anna.png")), (clicks("compare_unpin"),)),
    *(export(kind) for kind in ENDINGS),
    panel("export-morph", "export", clicks("tab_video"), typed("video_path", "morph.mp4"), morphing),
    panel("faces", "faces", keys("f"), seed(OTHERS[0]), keys("f"), seed(SEED), beside=("identity",)),
    panel("blend", "blend", blended, after=(clicks("blend_clear"),)),
    panel("mixing-panel", "style_mixing", mixed),
    Picture("mixing", everything, (only("identity", "style_mixing", "camera", "export"), clicks("tab_picture"), typed("picture_path", "anna.png"))),
    Picture("gallery", around("gallery_0"), (clicks("mix_clear"), keys("g"), drawn)),
    Picture("pad", around("pad"), (keys("g"), clicks("gallery_pad"), drawn), (clicks("gallery_seeds"), closed)),
    Picture("ways", around("way_0_more"), (ways_drawn,)),
    Picture("edit", everything, (edited,), (unedited,)),
    Picture("history", around_newest("history_"), (some_steps, keys("ctrl+h")), (closed, unblended)),
    Picture("palette", around("palette_query"), (lambda app: asked(app, "blend"),)),
    Picture("help", in_the_middle, (keys("F1"),)),
    Picture("settings-window", around("settings_close"), (clicks("settings"),)),
    Picture("models", around("models_search"), (only("model"), clicks("models"))),
    Picture("models-released", around("models_copy_eg3d"), (only("model"), clicks("models", "models_tab_released")), (clicks("models_tab_here"), closed)),
    Picture("question", closely("unsaved_save"), (only("identity"), seed(OTHERS[2]), keys("ctrl+n"))),
    Picture("save", around("prompt_ok"), (keys("ctrl+shift+s"), typed("prompt_path", "anna"))),
    Picture("notice", newest_notice, (all_unfolded, clicks("tab_picture"), typed("picture_path", "anna.txt", True))),
    Picture("timeline", everything, (all_unfolded, clicks("tab_picture"), three_keys, typed("picture_path", "anna.png"))),
    Picture("jobs", around("jobs_clear"), (all_unfolded, clicks("tab_video"), exporting), (clicks("jobs_clear"), closed)),
    panel("model-settings", "model_settings", tunable),
    panel("second-model", "second_model", lending),
    Picture("prepare", around("prepare_canvas"), (only("model"), photographed), (closed, closed)),
    Picture("train-text", around("train_state"), (only("model"), text_leads), (closed,)),
    Picture("train", around("train_state"), (only("model"), training), (stopped, closed)),
)  # fmt: skip


def save(picture: Image.Image, name: str) -> int:
    """Write a picture; returns its bytes. Large ones have 256 colours, which halves them."""
    path = IMAGES / f"{name}.png"
    picture.save(path, optimize=True)
    if path.stat().st_size > LARGE:
        picture.convert("RGB").quantize(256).save(path, optimize=True)
    return path.stat().st_size


def trimmed(picture: Image.Image) -> Image.Image:
    """Without empty lines at the foot; a window's border does not count, and stays where there is little to take."""
    whole = np.asarray(picture)
    pixels = whole[:-2, EDGE:-EDGE]
    used = np.flatnonzero((pixels != pixels[-1, :1]).any(axis=(1, 2)))
    last = int(used[-1]) if len(used) else len(pixels) - 1
    foot = min(picture.height, last + 1 + EDGE)
    middle = picture.width // 2
    bordered = bool((whole[-1, middle] != whole[-3, middle]).any())
    if bordered and picture.height - foot < LITTLE:
        return picture
    return picture.crop((0, 0, picture.width, foot))


def take(app: App, picture: Picture) -> None:
    """Make one picture."""
    for act in picture.first:
        act(app)
    app.point(*CORNER)
    time.sleep(0.7)
    left, top = app._origin()
    x0, y0, x1, y1 = picture.keep(app)
    crop = app.screenshot().crop((int(left + x0), int(top + y0), int(left + x1), int(top + y1)))
    if picture.keep is not everything:
        crop = trimmed(crop)
    print(f"{picture.name:16} {crop.width} x {crop.height}, {save(crop, picture.name) // 1024} KB")
    for act in picture.after:
        act(app)


#: Empty lines that a window keeps for its border's sake.
LITTLE = 24
#: Bytes of a picture that are too many.
LARGE = 250_000
#: Where the mouse rests: over the toolbar's empty part.
CORNER = (300.0, 4.0)


def main(names: list[str]) -> int:
    """Take all pictures, or those that are named and what has to be done for them."""
    IMAGES.mkdir(exist_ok=True)
    known = {*MADE, *(picture.name for picture in PICTURES)}
    if not set(names) <= known:
        raise SystemExit(f"There are no pictures {', '.join(sorted(set(names) - known))}.")
    for name, make in MADE.items():
        if not names or name in names:
            with tempfile.TemporaryDirectory() as folder:
                # As many colours as are seen in so few people, in a third of the bytes.
                made = make(Path(folder)).quantize(256)
                print(f"{name:16} {made.width} x {made.height}, {save(made, name) // 1024} KB")
    if names and set(names) <= set(MADE):
        return 0
    with tempfile.TemporaryDirectory() as folder, screen() as display:
        home = Path(folder)
        (home / "config").mkdir()
        text = {
            "format": "maquette-settings/1",
            "window_size": list(SIZE),
            "window_position": [40, 40],
            "export_folder": folder,
        }
        (home / "config" / "settings.json").write_text(json.dumps(text))
        app = App(
            home, display, "", command=("-m", "app", "--device", "cpu"),
            variables={"HOME": folder}, cwd=home,
        )  # fmt: skip
        try:
            app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY", 120)
            for picture in PICTURES:
                if not names or picture.name in names:
                    take(app, picture)
        finally:
            app.close()
        assert "Traceback" not in app.log.read_text(), app.log.read_text()[-3000:]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
