"""What a reader may do while it reads: nothing but look at the file that it was given.

Python tells an audit hook of every file that is opened, every import, program, socket and change of
a folder. While :meth:`Watch.judge` runs a reader, all of it is a finding, but for looking at the
folder of the execution. So is every exception but :class:`~engine.errors.UserError`, a sentence that
is none, time, and memory.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
import traceback
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import MAX_SENTENCE, UserError

#: Seconds of computing that an execution may take, and bytes by which it may push the highest
#: memory use of the process. Inputs are some kilobytes, and targets lower the readers' bounds.
MOST_SECONDS, MOST_MEMORY = 2.0, 128 << 20

#: Events that only look at what is named, and count by their first argument.
_LOOKS = ("open", "os.listdir", "os.scandir", "glob.glob", "pathlib.Path.glob")
#: Beginnings of events that no reader has a reason for.
_FORBIDDEN = (
    "import", "exec", "compile", "marshal", "pickle", "subprocess", "socket", "os.", "shutil.",
    "tempfile", "pty", "ctypes", "webbrowser", "urllib", "ftplib", "http", "smtplib", "sqlite3",
    "syslog", "signal", "mmap", "fcntl", "code.", "function.", "sys.set", "cpython.",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Finding:
    """Something that a reader must not do.

    Attributes:
        key: the same for the same fault, to tell findings apart.
        detail: for people.
    """

    key: str
    detail: str


class Watch:
    """Runs readers and looks at what they do.

    Args:
        folder: the only one that they may look at.
        placed: names of the files that stand in it, of which some may be missing.
        may_write: names of files in it that a reader may leave there.
    """

    def __init__(
        self, folder: Path, placed: tuple[str, ...], may_write: tuple[str, ...] = ()
    ) -> None:
        self._folder = str(folder)
        self._placed, self._may_write = frozenset(placed), frozenset(may_write)
        self._armed = False
        self._events: list[str] = []
        sys.addaudithook(self._hook)

    def judge(self, read: Callable[[], None]) -> Finding | None:
        """Run a reader; what it did that it must not."""
        self._events.clear()
        said: UserError | None = None
        finding: Finding | None = None
        # What the fuzzer itself has taken since the last one is not the reader's.
        before = _highest()
        start = time.thread_time()
        self._armed = True
        try:
            read()
        except UserError as error:
            said = error
        except Exception as error:
            self._armed = False
            finding = _fault(error)
        finally:
            self._armed = False
        took = time.thread_time() - start
        if finding is None and said is not None:
            finding = _no_sentence(str(said))
        if finding is None and self._events:
            finding = Finding(f"event {self._events[0][:60]}", "; ".join(self._events[:5]))
        if finding is None and took > MOST_SECONDS:
            finding = Finding("slow", f"{took:.1f} s")
        more = _highest() - before
        if more > MOST_MEMORY:
            finding = finding or Finding("memory", f"{more >> 20} MiB more")
        for name in self._present - self._placed:
            if name not in self._may_write:
                finding = finding or Finding("file left", repr(name))
            place = Path(self._folder, name)
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        return finding

    @property
    def _present(self) -> frozenset[str]:
        return frozenset(os.listdir(self._folder))  # noqa: PTH208 - ten times as quick

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._armed:
            return
        if event in _LOOKS:
            if event == "open" and len(args) > 2 and isinstance(args[2], int) and args[2] & _WRITES:
                if not self._is_own(args[0], self._may_write):
                    self._events.append(f"open for writing {args[0]!r}")
            elif not self._is_inside(args[0]):
                self._events.append(f"{event} {args[0]!r}")
        elif event == "compile" and str(args[1]) == "<unknown>":
            pass  # ast.literal_eval, with which numpy reads a header: a tree, never run
        elif event.startswith(_FORBIDDEN) and not self._is_tidying(event, args):
            self._events.append(f"{event} {repr(args)[:200]}")

    def _is_inside(self, path: object) -> bool:
        if isinstance(path, int):
            return True  # a descriptor that is open already
        text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
        text = os.path.realpath(text)
        return text == self._folder or text.startswith(self._folder + "/")

    def _is_own(self, path: object, names: frozenset[str]) -> bool:
        """A file that may be left, or the temporary one that becomes it."""
        if not names or not self._is_inside(path):
            return False
        name = Path(str(path)).name
        return name in names or (name.startswith(".maquette-") and name.endswith(".tmp"))

    def _is_tidying(self, event: str, args: tuple[Any, ...]) -> bool:
        """Renaming and removing the temporary file of what may be written."""
        return event in ("os.rename", "os.remove") and self._is_own(args[0], self._may_write)


def _highest() -> int:
    """Most memory that this process ever used, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _fault(error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/engine/" in f.filename or "/app/" in f.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "?"
    text = "".join(traceback.format_exception(error))[-3000:]
    return Finding(f"{type(error).__name__} in {place}", text)


def _no_sentence(text: str) -> Finding | None:
    """One line of ordinary letters that ends in a full stop."""
    line = text
    if not line.isprintable():
        line = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)
    if not line.isprintable():
        why = "letters"
    elif not text.endswith("."):
        why = "no full stop"
    elif len(text) > MAX_SENTENCE:
        why = "long"
    else:
        return None
    words = "".join(char for char in line if char.isalpha() or char == " ").split()
    return Finding(f"sentence ({why}): {' '.join(words[1:8])[:60]}", ascii(text[:2000]))
