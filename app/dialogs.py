"""The system's own file dialogs, asked in a child process so that the window never waits.

Tried in this order: zenity, kdialog, tkinter. A dialog that is missing or broken leaves the
path boxes, which do everything that the dialog does.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import UserError
from engine.frozen import environment, module_command
from engine.places import home

NO_DIALOG = (
    "No system file dialog was found (zenity, kdialog or Python's tkinter); "
    "type the path into the box instead."
)


@dataclass(frozen=True)
class Question:
    """What to ask for.

    Attributes:
        title: title of the dialog.
        save: ask for a file to write instead of one to read.
        start: the file or folder to begin at.
        folder: ask for a folder.
        patterns: ``(text, "*.a *.b")`` file filters.
    """

    title: str
    save: bool = False
    start: Path = field(default_factory=home)
    folder: bool = False
    patterns: tuple[tuple[str, str], ...] = ()


def command_for(question: Question, which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """The command line that asks a question; its standard output is the chosen path.

    Raises:
        UserError: this machine has none of the dialogs.
    """
    if program := which("zenity"):
        return _zenity(program, question)
    if program := which("kdialog"):
        return _kdialog(program, question)
    if _has_tkinter():
        kind = "folder" if question.folder else ("save" if question.save else "open")
        flat = [part for pattern in question.patterns for part in pattern]
        return module_command("app.dialog_tk", kind, question.title, str(question.start), *flat)
    raise UserError(NO_DIALOG)


def _has_tkinter() -> bool:
    # Bundles for Linux leave it out.
    return all(importlib.util.find_spec(m) for m in ("tkinter", "_tkinter"))


def _zenity(program: str, question: Question) -> list[str]:
    command = [program, "--file-selection", f"--title={question.title}"]
    start = str(question.start) + ("/" if question.start.is_dir() else "")
    command.append(f"--filename={start}")
    if question.save:
        command.append("--save")
    if question.folder:
        command.append("--directory")
    command += [f"--file-filter={text} | {globs}" for text, globs in question.patterns]
    return command


def _kdialog(program: str, question: Question) -> list[str]:
    kind = "--getexistingdirectory" if question.folder else "--getopenfilename"
    if question.save and not question.folder:
        kind = "--getsavefilename"
    command = [program, "--title", question.title, kind, str(question.start)]
    if question.patterns and not question.folder:
        command.append("\n".join(f"{text} ({globs})" for text, globs in question.patterns))
    return command


class Dialogs:
    """At most one open dialog; its answer arrives through :meth:`poll`."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._answer: Callable[[Path], None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a dialog is on the screen."""
        return self._child is not None

    def ask(self, question: Question, answer: Callable[[Path], None]) -> None:
        """Open a dialog; ``answer`` gets the path unless the person cancels.

        Raises:
            UserError: there is no dialog on this machine, it does not start, or one is open.
        """
        if self._child is not None:
            raise UserError("A file dialog is open already; close it first.")
        command = command_for(question)
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=None if command[0] == sys.executable else environment(),
            )
        except OSError as error:
            raise UserError(
                f"The system's file dialog did not start ({error.strerror}); "
                "type the path into the box instead."
            ) from error
        self._answer = answer

    def poll(self) -> bool:
        """Deliver an answer that has come; True when a dialog was closed.

        Raises:
            UserError: the dialog failed (it is neither an answer nor a cancel).
        """
        child, answer = self._child, self._answer
        if child is None or child.poll() is None:
            return False
        self._child = self._answer = None
        assert child.stdout is not None
        with child.stdout:
            # Names are bytes, of which few need be letters; the last line's end alone is not the name's.
            path = os.fsdecode(child.stdout.read().removesuffix(b"\n"))
        if child.returncode == 0 and path and answer is not None:
            answer(Path(path))
        elif child.returncode not in (0, 1):
            raise UserError("The system's file dialog failed; type the path into the box instead.")
        return True

    def close(self) -> None:
        """End a dialog that is still open (the window is closing)."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            if self._child.stdout is not None:
                self._child.stdout.close()
            self._child = self._answer = None


def file_patterns(extensions: Sequence[str], text: str) -> tuple[tuple[str, str], ...]:
    """Filters for some extensions (``".pkl"``) and for every file."""
    return (text, " ".join(f"*{e}" for e in extensions)), ("All files", "*")
