"""A file dialog by tkinter, run as a process of its own: prints the chosen path.

``python -m app.dialog_tk open|save|folder TITLE START [TEXT PATTERNS]...``
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Ask; 0 with the path on standard output, 1 when the person cancels."""
    import tkinter
    from tkinter import filedialog

    kind, title, start, *flat = arguments
    filters = list(zip(flat[::2], flat[1::2], strict=True))
    place = Path(start)
    folder, name = (place, "") if place.is_dir() else (place.parent, place.name)
    root = tkinter.Tk()
    root.withdraw()
    if kind == "folder":
        path = filedialog.askdirectory(parent=root, title=title, initialdir=folder)
    elif kind == "save":
        path = filedialog.asksaveasfilename(
            parent=root, title=title, initialdir=folder, initialfile=name, filetypes=filters
        )
    else:
        path = filedialog.askopenfilename(
            parent=root, title=title, initialdir=folder, filetypes=filters
        )
    root.destroy()
    if not path:
        return 1
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
