"""How the window feels on the bundled generator: the table "Feel" of docs/performance.md.

    python -m tests.benchmarks.bench_feel [--seconds 2] [--rate 100] [--only psi,yaw] [--out FILE.md]

Starts the real window on a virtual screen of its own and moves the real mouse (XTEST), writing down
when; the window notes when its requests leave and its pictures come (:mod:`app.timing_hook`). Nobody
else should use the machine meanwhile; what others did use is printed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.app.gui.driver import App
from tests.app.gui.screens import screen
from tests.app.gui.test_mixing import press, reveal
from tests.app.gui.test_timeline import at_time, keys
from tests.benchmarks.feel_report import Feel, Record, Stroke, feel, percentile, read
from tests.benchmarks.pointer import Moved, Pointer

STROKES = 3
#: Seconds waited with the button held, and after it was released.
PAUSE = 0.9
#: Seconds of one swing to and fro.
SWING = 2.0


@dataclass(frozen=True)
class Path2D:
    """A swing of the mouse about a point of the window, so far to each side, in pixels; with a
    ``step`` in steps of so many pixels across, where less would change nothing."""

    x: float
    y: float
    across: float
    down: float = 0.0
    step: float = 0.0

    def at(self, seconds: float) -> tuple[float, float]:
        """Where it is."""
        turn = 2 * math.pi * seconds / SWING
        across = self.across * math.sin(turn)
        if self.step:
            across = self.step * round(across / self.step)
        return self.x + across, self.y + self.down * math.sin(2 * turn)


def bar(app: App, widget: str, share: float = 0.35, most: float = 1e9) -> Path2D:
    """Along a widget, so much of its width to each side of its middle."""
    x, y, width, height = reveal(app, widget)
    return Path2D(x + width / 2, y + height / 2, min(share * width, most))


def head(app: App) -> Path2D:
    """Over the picture: yaw, and some pitch."""
    return Path2D(*app.middle(), 110, 25)


def mixing(app: App) -> Path2D:
    """The weight of a face that half of the layers come from."""
    press(app, "mix_add")
    app.wait("another face", lambda s: s["recipe"].get("mixes"))
    app.settled()
    return bar(app, "mix_b_weight")


def blend(app: App) -> Path2D:
    """The way to another face."""
    press(app, "blend_start")
    app.wait("a blend", lambda s: s["recipe"].get("blend"))
    app.settled()
    return bar(app, "blend_amount")


def pad(app: App) -> Path2D:
    """Through the square of seeds."""
    app.key("g")
    app.click("gallery_pad")
    app.wait("the pad", lambda s: s["gallery"]["tab"] == "pad" and s["gallery"]["waiting"] == 0, 60)
    x, y, width, height = app.state["widgets"]["pad"]
    return Path2D(x + width / 2, y + height / 2, 0.4 * width, 0.3 * height)


def two_keys(app: App) -> None:
    """The timeline open, with a face at the start and another one, turned, at 4 s."""
    app.key("Escape", "t")
    app.wait("the timeline", lambda s: s["timeline"]["open"])
    app.click("timeline_add")
    app.wait("a key", lambda s: len(keys(s)) == 1)
    at_time(app, 4.0)
    app.point(*app.middle())
    app.key("bracketright")
    app.drag(90, 0)
    app.click("timeline_add")
    app.point(*app.middle())
    app.settled(lambda s: len(keys(s)) == 2)


def scrub(app: App) -> Path2D:
    """Along the ruler, between the keys, from frame to frame of the video: a movement within one
    changes nothing and asks for nothing."""
    two_keys(app)
    x, y, width, height = app.state["widgets"]["timeline_ruler"]
    line = app.state["timeline"]
    second = width / line["duration"]
    # The middle, 2 s, is a frame at whole numbers of frames a second.
    return Path2D(x + 2 * second, y + height / 2, 1.8 * second, step=second / line["fps"])


#: Name -> what it is called, and how to come to it. The order matters: later ones need what earlier
#: ones opened.
CONTROLS: dict[str, tuple[str, Callable[[App], Path2D]]] = {
    "head": ("head (orbit)", head),
    "yaw": ("yaw", lambda app: bar(app, "yaw", most=100)),
    "fov": ("field of view", lambda app: bar(app, "fov", most=40)),
    "psi": ("truncation ψ", lambda app: bar(app, "psi", share=0.3)),
    "blend": ("blend", blend),
    "mixing": ("mixing weight", mixing),
    "pad": ("latent pad", pad),
    "scrub": ("timeline, scrubbed", scrub),
}


class Bench:
    """A window with a mouse on it.

    Args:
        app: the window.
        pointer: its mouse.
        seconds: of movement in a stroke.
        rate: events a second.
    """

    def __init__(self, app: App, pointer: Pointer, seconds: float, rate: float) -> None:
        self.app, self._pointer = app, pointer
        self._seconds, self._rate = seconds, rate
        self.origin = app._origin()
        self.notes = app.folder / "times.jsonl"

    def record(self) -> Record:
        """All that the window has noted; it writes while it rests."""
        time.sleep(1.6)
        return read(self.notes, self.origin)

    def strokes(self, path: Path2D) -> list[Stroke]:
        """Drag along a path a few times."""
        left, top = self.origin
        done = []
        for _ in range(STROKES):
            x, y = path.at(0.0)
            self._pointer.move(left + x, top + y)
            time.sleep(0.3)
            self._pointer.button(True)
            time.sleep(0.3)
            moves = self._swing(path)
            time.sleep(PAUSE)
            released = self._pointer.button(False)
            time.sleep(PAUSE)
            done.append(Stroke(moves, released, time.monotonic()))
        return done

    def _swing(self, path: Path2D) -> tuple[Moved, ...]:
        """Move for a while; events that would not change the pixel are left out, as a mouse does."""
        left, top = self.origin
        first, began = len(self._pointer.moves), time.monotonic()
        last = tuple(round(v) for v in path.at(0.0))
        for step in range(1, round(self._seconds * self._rate)):
            at = tuple(round(v) for v in path.at(step / self._rate))
            time.sleep(max(0.0, began + step / self._rate - time.monotonic()))
            if at != last:
                last = at
                self._pointer.move(left + at[0], top + at[1])
        return tuple(self._pointer.moves[first:])


def row(name: str, felt: Feel) -> str:
    """A line of the table."""

    def ms(values: tuple[float, ...], *shares: float) -> str:
        if not values:
            return "-"
        return " / ".join(f"{1000 * percentile(values, share):.0f}" for share in shares)

    side = f"{percentile(felt.resolutions, 0.5)}" if felt.resolutions else "-"
    return (
        f"| {name} | {felt.rate:.1f} | {side} | {percentile(felt.engine, 0.5):.0f} "
        f"| {ms(felt.latencies, 0.5, 0.95, 1.0)} | {ms(felt.behind, 0.5, 0.95)} "
        f"| {ms(felt.rest, 0.5, 1.0)} | {ms(felt.let_go, 0.5, 1.0)} "
        f"| {felt.dropped} of {felt.moves}{'' if not felt.missing else f', {felt.missing} never'} "
        f"| {ms(felt.loop, 0.5, 0.95)} |"
    )


HEAD = """| dragged | pictures/s | volume, px | engine, ms | event to request, ms: p50 / p95 / max \
| event to picture, ms: p50 / p95 | rest to full picture, ms: p50 / max \
| release to full picture, ms: p50 / max | events not followed | window's loop, ms: p50 / p95 |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def play(bench: Bench, seconds: float) -> str:
    """The line of the timeline playing. Nobody moves the mouse then: the time to the request is
    from when the window wanted the picture, the release is the key that stops it."""
    app = bench.app
    at_time(app, 0.0)
    app.point(*app.middle())
    app.settled()
    app.key("space")
    time.sleep(1.0)
    began = time.monotonic()
    time.sleep(min(seconds, 2.5))
    ended = time.monotonic()
    app.key("space")
    time.sleep(2 * PAUSE)
    noted = bench.record()
    shown = [s for s in noted.shown if began <= s.drawn <= ended]
    delays = tuple(
        noted.sent[a.generation] - a.time
        for a in noted.asked
        if began <= a.time <= ended and a.generation in noted.sent
    )
    full = [s.drawn - ended for s in noted.shown if s.drawn > ended and s.full]
    turns = tuple(t.ended - t.began for t in noted.loops if began <= t.began <= ended)
    felt = Feel(
        len(shown) / (ended - began), delays, (), 0, 0, (), tuple(full[:1]), int(not full),
        tuple(s.resolution for s in shown), tuple(s.milliseconds for s in shown), turns,
    )  # fmt: skip
    return row("timeline, playing", felt)


def busy() -> tuple[float, float]:
    """Seconds that all processors were busy since the machine started, and the present time."""
    values = [int(v) for v in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = values[3] + values[4]
    return (sum(values[:8]) - idle) / os.sysconf("SC_CLK_TCK"), time.monotonic()


def main(words: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How the window feels while dragging.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of movement in each stroke")
    parser.add_argument("--rate", type=float, default=100.0, help="mouse events a second")
    parser.add_argument("--only", default="", help="names with commas: " + ", ".join(CONTROLS))
    parser.add_argument("--out", type=Path, help="a file to write the table to")
    parser.add_argument("--keep", type=Path, help="a folder to keep what the window noted in")
    options = parser.parse_args(words)
    only = [name for name in options.only.split(",") if name] or list(CONTROLS)
    load = os.getloadavg()
    before = busy()
    time.sleep(2.0)
    after = busy()
    others = (after[0] - before[0]) / (after[1] - before[1])
    threads = os.environ.get("OMP_NUM_THREADS", "")
    lines = [
        f"{os.cpu_count()} cores, {platform.machine()}; torch's threads: {threads or 'default'}; "
        f"load {load[0]:.2f}, {load[1]:.2f}, {load[2]:.2f} at the start, when other programs used "
        f"{others:.2f} of the cores; {options.rate:.0f} events a second; "
        f"{STROKES} strokes of {options.seconds:.0f} s each.",
        "",
        HEAD,
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder, screen() as display:
        where = options.keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        notes = where / "times.jsonl"
        # So high that little has to be scrolled.
        (where / "config").mkdir(exist_ok=True)
        settings = {"format": "maquette-settings/1", "window_size": [1280, 940]}
        (where / "config" / "settings.json").write_text(json.dumps(settings))
        variables = {"MAQUETTE_TEST_TIMES": str(notes), "OMP_NUM_THREADS": threads}
        app = App(where, display, "", command=("-m", "app"), variables=variables)
        pointer = Pointer(display)
        try:
            app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY", 90)
            app.settled()
            bench = Bench(app, pointer, options.seconds, options.rate)
            for name in only:
                title, find = CONTROLS[name]
                path = find(app)
                app.settled()
                strokes = bench.strokes(path)
                lines.append(row(title, feel(strokes, bench.record())))
                print(lines[-1], flush=True)
                if name == "scrub":
                    lines.append(play(bench, 2.5))
                    print(lines[-1], flush=True)
        finally:
            pointer.close()
            app.close()
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
