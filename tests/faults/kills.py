"""Kills the engine again and again while somebody works, and counts what came of it.

    python -m tests.faults.kills --times 100 [--seed 1] [--head] [--folder DIR]

The real window runs on a virtual screen of its own. While a real mouse drags the head, real keys
edit the face, or a picture, a mesh or a video is exported, the engine process (in half of the exports the
exporting process) gets SIGKILL at a random moment. After each: the document is what the hand made
of it, in the window and in the recovery file, one undo goes back to before and redo to after;
the full picture is there again; no file is half written and nothing lies beside it; and the window
has painted all the while (time in which other programs had the processor does not count as its own). Prints a table; exits with 1 if anything did not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from app.project import read_project
from engine.errors import UserError
from tests.app.gui.driver import App, State
from tests.app.gui.screens import screen
from tests.faults.hands import Hands, PatientApp
from tests.faults.painted import Painted
from tests.faults.rounds import ACTIVITIES, Doings, Round, whole
from tests.faults.starved import Starved
from tests.faults.vitals import children

#: The window may go so long without painting, seconds.
MOST_GAP = 2.0
#: Deaths are further apart than those after which the engine is left alone (:mod:`app.restarts`).
APART = 10.5
#: Degrees by which two yaws may differ.
NEAR = 0.01


class Kills:
    """Kills on one window.

    Args:
        app: the window, with a picture.
        folder: for exports; empty.
        times: file with its times.
        seed: of everything that is chosen.
    """

    def __init__(self, app: App, folder: Path, times: Path, seed: int) -> None:
        self._app, self._folder = app, folder
        self._chance = random.Random(seed)
        self._hands = Hands(app)
        self._painted = Painted(times, limit=MOST_GAP)
        self._starved = Starved(app.process.pid)
        self._doings = Doings(app, self._hands, folder, self._chance)
        self._last_kill = 0.0
        self.rounds: list[Round] = []

    def run(self, count: int) -> list[Round]:
        """So many rounds."""
        self._doings.prepare()
        for number in range(count):
            activity = ACTIVITIES[number % len(ACTIVITIES)]
            victim = "engine"
            if activity in ("picture", "mesh", "video") and self._chance.random() < 0.5:
                victim = "exporter"
            self.rounds.append(self._round(activity, victim))
            print(f"{number + 1}: {self.rounds[-1]}", flush=True)
        self._hands.close()
        self._starved.close()
        return self.rounds

    def _round(self, activity: str, victim: str) -> Round:
        time.sleep(max(0.0, self._last_kill + APART - time.monotonic()))
        before = self._doings.rest()
        self._painted.look()
        self._painted.restart()
        act, expected, seconds = self._doings.begin(activity, before["recipe"])
        after = self._chance.uniform(0.0, seconds)
        done = Round(activity, victim, after)
        killed: list[float] = []
        killer = threading.Timer(after, lambda: killed.append(self._kill(victim, before)))
        killer.start()
        act()
        killer.join()
        self._last_kill = killed[0]
        ended = "" if activity in ("orbit", "edit") else self._doings.exported(0)
        old = before["engine_pid"] if victim == "engine" else None
        state = self._doings.rest(old)
        done.back = time.monotonic() - killed[0]
        self._check_document(done, before, state, expected)
        if ended:
            self._check_files(done, activity, ended, victim)
        if float(self._app.picture().std()) < 3.0:
            done.wrong.append("nothing is seen in the picture")
        time.sleep(0.5)  # what was painted is written while the window rests
        self._painted.look()
        done.gap = self._painted.longest
        done.starved = self._starved.between(self._painted.at - done.gap, self._painted.at)
        if done.gap - done.starved > MOST_GAP:
            done.wrong.append(f"{done.gap:.2f} s without a frame")
        return done

    def _kill(self, victim: str, before: State) -> float:
        """SIGKILL; when. An exporter is killed once there is one."""
        pid = before["engine_pid"]
        end = time.monotonic() + 60.0
        while victim == "exporter" and time.monotonic() < end:
            exporters = [child for child in children(self._app.process.pid) if _computes(child)]
            running = any(job[2] == "running" for job in self._app.state["jobs"])
            others = [child for child in exporters if child != before["engine_pid"]]
            if others and running:
                pid = others[-1]
                # Not always in its first moment.
                time.sleep(self._chance.uniform(0.0, 1.5))
                break
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return time.monotonic()

    def _check_document(
        self, done: Round, before: State, state: State, expected: dict[str, object]
    ) -> None:
        app = self._app
        if not _same(state["recipe"], expected):
            done.wrong.append(f"the document is {state['recipe']}, not {expected}")
        for name in ("favourites", "model", "home"):
            if state[name] != before[name]:
                done.wrong.append(f"{name} changed")
        steps = state["steps"] - before["steps"]
        if steps:
            app.point(*app.middle())
            if not self._travel("ctrl+z", steps, before["recipe"]):
                done.wrong.append("undo does not go back to before")
            if not self._travel("ctrl+y", steps, state["recipe"]):
                done.wrong.append("redo does not come back")
            state = self._doings.rest()
        if not self._is_kept(state):
            done.wrong.append("the recovery file does not hold the document")

    def _travel(self, key: str, steps: int, recipe: dict[str, object]) -> bool:
        """Undo or redo so often; whether that leads to a recipe."""
        for _ in range(steps):
            self._app.key(key)
        with contextlib.suppress(AssertionError):
            self._app.wait("the step", lambda s: s["recipe"] == recipe, 20)
            return True
        return False

    def _is_kept(self, state: State) -> bool:
        """Whether the recovery file comes to hold the document."""
        folder = self._app.folder / "config" / "state" / "recovery"
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            for path in folder.glob("*.maquette"):
                with contextlib.suppress(UserError):
                    if read_project(path).document.recipe.to_json() == state["recipe"]:
                        return True
            if not state["can_undo"]:
                return True  # nothing was ever changed
            time.sleep(0.1)
        return False

    def _check_files(self, done: Round, kind: str, ended: str, victim: str) -> None:
        if wrong := whole(self._doings.target(kind)):
            done.wrong.append(wrong)
        if victim == "engine" and ended != "finished":
            done.wrong.append(f"the {kind} {ended}, although its process was left alone")
        litter = [path.name for path in self._folder.iterdir() if path.stem != "head"]
        if litter:
            done.wrong.append(f"left behind: {litter}")


def _computes(pid: int) -> bool:
    """Whether a child is one of the window's processes, not Python's own helper."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _same(recipe: dict[str, object], expected: dict[str, object]) -> bool:
    """Whether two recipes are the same but for the rounding of an angle."""
    one, two = dict(recipe), dict(expected)
    pose, other = dict(one.pop("pose")), dict(two.pop("pose"))  # type: ignore[call-overload]
    turn = (float(pose.pop("yaw")) - float(other.pop("yaw")) + 180.0) % 360.0 - 180.0
    return one == two and pose == other and abs(turn) < NEAR


def table(rounds: list[Round]) -> list[str]:
    """The rounds by what was going on."""
    lines = [
        "| while | killed | times | all held | longest time without a frame | of it, waiting for the processor "
        "| picture back, median | longest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in sorted({(r.activity, r.victim) for r in rounds}, key=_order):
        mine = [r for r in rounds if (r.activity, r.victim) == kind]
        held = sum(not r.wrong for r in mine)
        backs = [r.back for r in mine]
        worst = max(mine, key=lambda r: r.gap - r.starved)
        lines.append(
            f"| {kind[0]} | {kind[1]} | {len(mine)} | {held} | {worst.gap:.2f} s | "
            f"{worst.starved:.2f} s | {statistics.median(backs):.1f} s | {max(backs):.1f} s |"
        )
    return lines


def _order(kind: tuple[str, str]) -> tuple[int, str]:
    return ACTIVITIES.index(kind[0]), kind[1]


def run(display: str, folder: Path, count: int, seed: int, head: bool) -> list[Round]:
    """Open a window and kill its engine so often.

    Args:
        display: a virtual screen.
        folder: for everything; must exist.
        count: of kills.
        seed: of everything that is chosen.
        head: the analytic head of the window's tests instead of the bundled generator.
    """
    exports, times = folder / "exports", folder / "times.jsonl"
    exports.mkdir()
    model = folder / "Study head.head"
    model.touch()
    command = ("-m", "tests.app.gui.launch") if head else ("-m", "app", "--device", "cpu")
    app = PatientApp(
        folder, display, model if head else "", command=command,
        variables={"MAQUETTE_TEST_TIMES": str(times)},
    )  # fmt: skip
    try:
        app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY", 180)
        kills = Kills(app, exports, times, seed)
        kills.run(count)
    finally:
        app.close()
    log = app.log.read_text()
    if "Traceback" in log:
        kills.rounds[-1].wrong.append(f"the window's log: {log[-2000:]}")
    return kills.rounds


def main() -> int:
    """Run the command; 1 if something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--head", action="store_true", help="the tests' analytic head")
    parser.add_argument("--folder", type=Path, help="for what is written; new, and kept")
    words = parser.parse_args()
    folder = words.folder or Path(tempfile.mkdtemp(prefix="maquette-kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    with screen() as display:
        rounds = run(display, folder.resolve(), words.times, words.seed, words.head)
    (folder / "rounds.json").write_text(json.dumps([vars(r) for r in rounds], indent=1))
    print("\n".join(table(rounds)))
    bad = [(number, r) for number, r in enumerate(rounds, 1) if r.wrong]
    for number, r in bad:
        print(f"{number}: {r.activity}, {r.victim}: {'; '.join(r.wrong)}")
    print(f"{len(rounds) - len(bad)} of {len(rounds)} held")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
