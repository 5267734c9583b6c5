"""Try a bundle out as somebody would who has nothing but the bundle.

    python3 packaging/check_bundle.py dist/maquette/maquette [--keep FOLDER]

Needs Xvfb and xdotool, and of Python the standard library only. The program under test gets none of it: its
environment is empty but for a home of its own, a screen and a search path with nothing on it. It has to tell
its version, find the machine in order, render, export a mesh and a video, compare a text with a picture, learn a
step, open its window with a picture in it, save a project and export from there, and open that project again.
``--keep`` leaves screenshots and logs in a folder. Any program that starts Maquette can be tried in the same way,
an installed wheel's for instance.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCREEN = (1400, 900)
#: Seconds until a command or a state of the window is given up. The first picture of all waits for functions that
#: are compiled for this machine's processor.
PATIENCE = 300.0
#: More than this many in the middle of the screen are a head, not an empty window.
ENOUGH_COLOURS = 500
#: What no command may say: that it fell, and that a module looked for its source and missed it.
FAULTS = ("Traceback", "Unable to retrieve source")
State = dict[str, Any]


class Failed(Exception):
    """Something does not work; the sentence says what."""


def require(true: object, sentence: str) -> None:
    """Raises :class:`Failed` with the sentence unless ``true``."""
    if not true:
        raise Failed(sentence)


class Bench:
    """A folder to work in, and the environment that the program gets.

    Args:
        program: what starts Maquette.
        folder: for everything that is written.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program.absolute(), folder.absolute()
        tools = self.folder / "bin"
        home = self.folder / "home"
        for one in (tools, home):
            one.mkdir(parents=True, exist_ok=True)
        self.environment = {"HOME": str(home), "PATH": str(tools), "LANG": "C.UTF-8"}
        if "OMP_NUM_THREADS" in os.environ:
            self.environment["OMP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]

    def maquette(self, *words: object, **variables: str) -> str:
        """Run a command; what it prints.

        Raises:
            Failed: it ends with an error, or takes too long.
        """
        command = [str(self.program), *map(str, words)]
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=self.folder, env={**self.environment, **variables},
                capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Failed(
                f"maquette {' '.join(command[1:])} takes more than {PATIENCE} s"
            ) from error
        said = f"{done.stdout}\n{done.stderr}"
        require(
            done.returncode == 0 and not any(fault in said for fault in FAULTS),
            f"maquette {' '.join(command[1:])} ended with {done.returncode}: {said.strip()[-2000:]}",
        )
        print(
            f"ok  {time.monotonic() - started:6.1f} s  maquette {' '.join(command[1:])}", flush=True
        )
        return done.stdout


# --- commands ----------------------------------------------------------------------------


def check_commands(bench: Bench) -> None:
    """Everything that needs no screen."""
    require(re.match(r"maquette \d", bench.maquette("--version")), "it does not know its version")
    text = bench.maquette("render", "--help")
    require("seed" in text.lower() and "truncation" in text.lower(), "--help explains no options")
    bench.maquette("render", "--seed", 7, "--out", "head.png", "--json")
    starts_with(bench.folder / "head.png", b"\x89PNG")
    bench.maquette("render", "--from", "head.png", "--yaw", 25, "--out", "side.png")
    bench.maquette("mesh", "--seed", 7, "--resolution", 64, "--out", "head.glb")
    starts_with(bench.folder / "head.glb", b"glTF")
    bench.maquette("video", "--seed", 7, "--seconds", 1, "--size", 64, "--out", "turn.mp4")
    require((bench.folder / "turn.mp4").read_bytes()[4:8] == b"ftyp", "turn.mp4 is no MP4")
    bench.maquette(
        "render", "--model", "bundled:cips3d", "--seed", 7, "--size", 64, "--out", "other.png"
    )
    bench.maquette("describe", "head.png", "--text", "a man", "--text", "a woman")
    bench.maquette("inspect", "head.png")
    (bench.folder / "pictures").mkdir(exist_ok=True)
    for seed in range(4):
        bench.maquette("render", "--seed", seed, "--size", 64, "--out", f"pictures/{seed}.png")
    words = ("--model", "bundled:cips3d", "--steps", 1, "--batch", 2)
    bench.maquette("train", "pictures", *words, "--out", "run")
    require(list((bench.folder / "run").iterdir()), "training left nothing")


def starts_with(path: Path, magic: bytes) -> None:
    """Raises :class:`Failed` unless a file begins with some bytes."""
    require(
        path.is_file() and path.read_bytes()[: len(magic)] == magic,
        f"{path.name} is not what it should be",
    )


# --- the window ----------------------------------------------------------------------------


@contextmanager
def screen(folder: Path) -> Iterator[str]:
    """A virtual screen whose pixels lie in a file of ``folder``; yields its display's name."""
    read_end, write_end = os.pipe()
    size = f"{SCREEN[0]}x{SCREEN[1]}x24"
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", size, "-fbdir", str(folder), "-nolisten", "tcp"],
        pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write_end)
    try:
        with os.fdopen(read_end) as answer:
            number = answer.readline().strip()
        require(number, "Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


def pixels(folder: Path) -> tuple[int, int, bytes]:
    """Width, height and RGB bytes of the screen (the X window dump format, which Xvfb keeps up to date)."""
    data = (folder / "Xvfb_screen0").read_bytes()
    fields = struct.unpack(">25I", data[:100])
    header, width, height, stride, colours = fields[0], fields[4], fields[5], fields[12], fields[19]
    body = data[header + 12 * colours :]
    rows = []
    for y in range(height):
        row = body[y * stride : y * stride + 4 * width]
        rgb = bytearray(3 * width)
        rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
        rows.append(bytes(rgb))
    return width, height, b"".join(rows)


def write_png(path: Path, width: int, height: int, rgb: bytes) -> None:
    """A PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    lines = b"".join(b"\0" + rgb[3 * width * y : 3 * width * (y + 1)] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


class Window:
    """The running window.

    Args:
        bench: where and with what it runs.
        display: where it is shown.
        name: of its log and its screenshots.
        words: of its command line.
    """

    def __init__(self, bench: Bench, display: str, name: str, *words: object) -> None:
        self._bench, self._display, self.name = bench, display, name
        self._file = bench.folder / f"{name}.json"
        self._file.unlink(missing_ok=True)
        self.log = bench.folder / f"{name}.log"
        self.started = time.monotonic()
        environment = {
            **bench.environment,
            "DISPLAY": display,
            "MAQUETTE_TEST_STATE": str(self._file),
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(bench.program), *map(str, words)], cwd=bench.folder, env=environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait(self, what: str, condition: Callable[[State], object]) -> State:
        """Wait for a state of the window; it is returned.

        Raises:
            Failed: it does not come, or the window ends.
        """
        state: State = {}
        while time.monotonic() - self.started < PATIENCE:
            require(
                self.process.poll() is None, f"the window ended: {self.log.read_text()[-2000:]}"
            )
            if self._file.exists():
                state = json.loads(self._file.read_text())
                if condition(state):
                    seconds = time.monotonic() - self.started
                    print(f"ok  {seconds:6.1f} s  window: {what}", flush=True)
                    return state
            time.sleep(0.05)
        raise Failed(
            f"the window never had: {what}; {self.log.read_text()[-2000:]} {json.dumps(state)[:2000]}"
        )

    def picture(self) -> State:
        """Wait for the full picture of what is asked for."""
        return self.wait(
            "the full picture",
            lambda s: s["engine"] == "READY" and s["frame"] and s["frame"]["full_quality"]
            and s["frame"]["recipe"] == s["recipe"],
        )  # fmt: skip

    def keys(self, *keys: str) -> None:
        """Press keys over the middle of the window, and hold each for a moment, as a hand does: where frames are
        slow a shorter press would be missed."""
        environment = {**os.environ, "DISPLAY": self._display}
        centre = (str(SCREEN[0] // 2), str(SCREEN[1] // 2))
        subprocess.run(["xdotool", "mousemove", *centre], env=environment, check=True)
        for key in keys:
            *held, last = key.split("+")
            words = [word for one in held for word in ("keydown", one, "sleep", "0.3")]
            words += ["keydown", last, "sleep", "0.3", "keyup", last]
            words += [word for one in held for word in ("keyup", one)]
            subprocess.run(["xdotool", *words], env=environment, check=True)
            time.sleep(0.3)

    def see(self) -> None:
        """Wait until a picture is on the screen, and keep a screenshot.

        Raises:
            Failed: the middle of the screen stays empty.
        """
        end = time.monotonic() + PATIENCE
        while True:
            width, height, rgb = pixels(self._bench.folder)
            colours = set()
            for row in range(height // 3, 2 * height // 3, 2):
                line = rgb[3 * (row * width + width // 3) : 3 * (row * width + 2 * width // 3)]
                colours.update(line[at : at + 3] for at in range(0, len(line), 3))
            if len(colours) > ENOUGH_COLOURS or time.monotonic() > end:
                break
            time.sleep(0.5)
        write_png(self._bench.folder / f"{self.name}.png", width, height, rgb)
        require(
            len(colours) > ENOUGH_COLOURS,
            f"there is no picture in the window (see {self.name}.png)",
        )
        print(
            f"ok  {time.monotonic() - self.started:6.1f} s  window: a picture on the screen",
            flush=True,
        )

    def close(self) -> None:
        """End it as a session's end does.

        Raises:
            Failed: it does not end, or left a traceback.
        """
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise Failed("the window does not end when it is told to") from error
        text = self.log.read_text()
        require("Traceback" not in text, f"the window's log: {text[-2000:]}")


def check_window(bench: Bench) -> None:
    """The window: a picture, a project and an export, and the project again."""
    with screen(bench.folder) as display:
        looks = json.loads(bench.maquette("doctor", "--json", DISPLAY=display))
        faults = [line for line in looks["lines"] if line["state"] == "fault"]
        require(not faults, f"doctor finds faults: {faults}")
        window = Window(bench, display, "first")
        try:
            window.wait("it is there", lambda _state: True)
            window.picture()
            window.see()
            window.keys("bracketright")
            window.wait("another seed", lambda s: s["can_undo"])
            window.picture()
            window.keys("ctrl+s")
            window.wait(
                "a question for a name", lambda s: s["project"]["prompt"] == "save" and s["active"]
            )
            window.keys(*"anna", "Return")
            state = window.wait(
                "a project", lambda s: s["project"]["path"] and not s["project"]["dirty"]
            )
            project = Path(state["project"]["path"])
            starts_with(project, b"PK")
            window.keys("ctrl+e")
            done = window.wait(
                "an export",
                lambda s: any(one["state"] == "finished" for one in s["exports"].values()),
            )
            require(Path(done["jobs"][0][3]).is_file(), "the export left no file")
        finally:
            window.close()
        second = Window(bench, display, "second", project)
        try:
            second.wait("it is there", lambda _state: True)
            again = second.picture()
            require(again["recipe"] == state["recipe"], "the project shows something else")
            second.see()
        finally:
            second.close()


def main(arguments: list[str]) -> int:
    """Entry point; 1 if something does not work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("program", type=Path, help="what starts Maquette")
    parser.add_argument("--keep", type=Path, help="folder for screenshots, logs and what was made")
    parser.add_argument("--only-window", action="store_true", help="leave the commands out")
    words = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="maquette-check-") as spare:
            folder = words.keep or Path(spare)
            folder.mkdir(parents=True, exist_ok=True)
            bench = Bench(words.program, folder)
            if not words.only_window:
                check_commands(bench)
            check_window(bench)
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    print("the bundle works")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
