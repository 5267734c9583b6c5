"""Hours of random input on the real window: does it crash, does it hang, does its memory grow?

    python -m tests.faults.soak --minutes 120 [--seed 1] [--head] [--folder DIR]

The window runs on a virtual screen of its own, with a folder of its own for everything that it writes.
Mouse and keys are real events (XTEST). Random, but seeded: what is done next depends on the seed and on
what the window shows. Left out is only what would leave the window (Ctrl+Q, Quit); where chance leaves it
all the same, the next window goes on. Prints the last events before a crash, and exits with 1 for
a crash, a hang or memory, descriptors or threads that are not flat.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path
from types import FrameType

from tests.app.gui.driver import App
from tests.app.gui.screens import screen
from tests.faults.acts import Acts
from tests.faults.flat import Look, judge
from tests.faults.hands import Hands
from tests.faults.painted import Painted
from tests.faults.vitals import children, vitals

#: Seconds between two looks at the processes, and without a sign of life before a window is hung.
LOOK_SECONDS, HUNG_SECONDS = 10.0, 60.0
#: Events that are told before a crash.
TOLD = 40
_ZENITY = """#!/bin/sh
# Answers as the file next to it says, or like somebody who changes his mind.
answer="$(cat "ANSWER" 2>/dev/null)"
[ -n "$answer" ] && echo "$answer" || exit 1
"""


class Ended(Exception):
    """The window is gone."""


class Soak:
    """One window after the other until the time is over.

    Args:
        folder: for everything that is written.
        display: the virtual screen.
        screen_pid: of its server.
        seed: of the events.
        head: the analytic head of the window's tests instead of the bundled generator.
    """

    def __init__(self, folder: Path, display: str, screen_pid: int, seed: int, head: bool) -> None:
        self.folder, self._display, self._screen, self._head = folder, display, screen_pid, head
        self.looks: list[Look] = []
        self.gaps: list[tuple[float, float]] = []
        self.ends: list[str] = []
        self.counts: Counter[str] = Counter()
        self.longest, self.frames, self.events, self.lives = 0.0, 0, 0, 0
        self.stopped = False
        self._last: deque[str] = deque(maxlen=TOLD)
        self._log = (folder / "events.jsonl").open("w", encoding="utf-8")
        self._prepare()
        self.acts = Acts(seed, self.work, folder / "answer")

    def _prepare(self) -> None:
        """A home, a folder for files, and programs that stand in for those of a desktop."""
        self.work = self.folder / "work"
        for name in ("work", "bin", "home", "config"):
            (self.folder / name).mkdir(exist_ok=True)
        zenity, opener = self.folder / "bin" / "zenity", self.folder / "bin" / "xdg-open"
        zenity.write_text(_ZENITY.replace("ANSWER", str(self.folder / "answer")))
        opener.write_text("#!/bin/sh\nexit 0\n")
        for program in (zenity, opener):
            program.chmod(0o755)
        settings = {
            "format": "maquette-settings/1", "window_size": [1280, 820], "window_position": [40, 40],
            "export_folder": str(self.work),
        }  # fmt: skip
        (self.folder / "config" / "settings.json").write_text(json.dumps(settings))

    def _start(self) -> App:
        home, model = self.folder / "home", self.folder / "Study head.head"
        model.touch()
        program = ("tests.app.gui.launch",) if self._head else ("app", "--device", "cpu")
        app = App(
            self.folder, self._display, model if self._head else "", extra_path=self.folder / "bin", cwd=self.work,
            command=("-X", "faulthandler", "-m", *program),
            # Nothing is fetched, and nothing is written elsewhere.
            variables={
                "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "TMPDIR": str(self.work),
                "PIP_NO_INDEX": "1", "MAQUETTE_PHOTOS_PYTHON": "",
                "MAQUETTE_TEST_TIMES": str(self.folder / "times.jsonl"),
            },
        )  # fmt: skip
        app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY", 900)
        self.lives += 1
        return app

    def run(self, minutes: float) -> None:
        """Go on for so long, through as many windows as it takes."""
        end = time.monotonic() + minutes * 60.0
        while time.monotonic() < end and not self.stopped:
            app = self._start()
            hands, painted = Hands(app), Painted(self.folder / "times.jsonl")
            try:
                self._live(app, hands, painted, end)
            except Ended:
                pass
            finally:
                hands.close()
                status = app.process.poll()
                if status is None:
                    status = app.close()
                painted.look()
                self.gaps += painted.long_ones
                self.longest = max(self.longest, painted.longest)
                self.frames += painted.frames
                self._note_end(app, status)

    def _live(self, app: App, hands: Hands, painted: Painted, end: float) -> None:
        """Random input on one window."""
        next_look = 0.0
        while (now := time.monotonic()) < end and not self.stopped:
            try:
                if now >= next_look:
                    next_look = now + LOOK_SECONDS
                    self._look(app, painted)
                if app.process.poll() is not None:
                    raise Ended
                hands.look()
                kind, what = self.acts.next(app, hands)
            except (subprocess.SubprocessError, IndexError, KeyError, ValueError):
                # The window has just gone, or is being closed.
                time.sleep(0.5)
                if app.process.poll() is not None:
                    raise Ended from None
                continue
            except AssertionError:
                self._note_silence(app)
                raise Ended from None
            self.events += 1
            self.counts[kind] += 1
            line = json.dumps([round(time.time(), 2), self.lives, kind, what])
            self._last.append(line)
            self._log.write(line + "\n")

    def _look(self, app: App, painted: Painted) -> None:
        """Measure the processes, and see whether the window is alive."""
        painted.look()
        self._log.flush()
        state = app.wait("its account of itself", lambda _state: True, HUNG_SECONDS)
        now = time.monotonic()
        window, pid = vitals(app.process.pid), state["engine_pid"]
        engine = vitals(pid) if pid else None
        server = vitals(self._screen)
        if window and server:
            others = len([child for child in children(app.process.pid) if child != pid])
            steps = state["steps"]
            look = Look(now, self.lives, pid or 0, window, engine, server, others, steps)
            self.looks.append(look)
            with (self.folder / "looks.jsonl").open("a") as file:
                file.write(json.dumps(look.to_json()) + "\n")

    def _note_silence(self, app: App) -> None:
        """What does not tell what it shows has ended, or hangs: then it is made to say where."""
        if app.process.poll() is None:
            app.process.send_signal(signal.SIGABRT)
            app.process.wait(30)
            self.ends.append("hung")

    def _note_end(self, app: App, status: int) -> None:
        """Keep what the window left, and say how it ended."""
        text = app.log.read_text(errors="replace")
        kept = self.folder / f"window-{self.lives}.log"
        kept.write_text(text)
        if status in (0, 143, -signal.SIGTERM) and "Traceback" not in text:
            self.counts["(left the window)"] += status == 0
            return
        self.ends.append(f"window {self.lives} ended with {status}; see {kept}")
        print(f"--- window {self.lives} ended with {status}\n{text[-6000:]}\n--- before it:")
        print("\n".join(self._last), flush=True)


def main() -> int:
    """Run the command; 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--head", action="store_true", help="the tests' analytic head")
    parser.add_argument("--folder", type=Path, help="for what is written; kept (else a new one)")
    words = parser.parse_args()
    folder = words.folder or Path(tempfile.mkdtemp(prefix="maquette-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    with screen() as display:
        server = next(pid for pid in children(os.getpid()) if _is_screen(pid))
        soak = Soak(folder.resolve(), display, server, words.seed, words.head)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            soak.stopped = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        soak.run(words.minutes)
    return report(soak)


def report(soak: Soak) -> int:
    """Print what was seen; 1 if something was wrong."""
    lines, is_flat = judge(soak.looks)
    print(f"{soak.events} events, {soak.lives} windows, {soak.frames} frames painted")
    print(", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items())))
    print(
        f"longest time between two frames {soak.longest:.2f} s, longer than 2 s: {len(soak.gaps)}"
    )
    print("\n".join(lines))
    for end in soak.ends:
        print(end)
    return 0 if is_flat and not soak.ends else 1


def _is_screen(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == "Xvfb"


if __name__ == "__main__":
    sys.exit(main())
