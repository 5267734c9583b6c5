"""What single tasks do to the window, for the pictures of the guide."""

from __future__ import annotations

import time

from tests.app.gui.driver import App
from tests.app.gui.pictures_acts import OTHERS, SEED


def morphing(app: App) -> None:
    """The form of a video from face to face, before a camera that stays."""
    app.fill("video_morph", f"{SEED}, {OTHERS[1]}", enter=False)
    app.choose("video_trajectory", 4, "Still")
    app.fill("video_seconds", "5", enter=False)


def text_leads(app: App) -> None:
    """The form for training by a text."""
    app.click("train")
    app.wait("the window", lambda s: s["train"] is not None)
    app.choose("train_leads", 1, "A text")
    app.fill("train_text", "an old man with a grey beard", enter=False)
    app.fill("train_folder", "old-men", enter=False)
    time.sleep(0.5)
