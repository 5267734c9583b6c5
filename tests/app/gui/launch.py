"""Opens the real window on the analytic head: ``python -m tests.app.gui.launch [PATH]``.

The processes behind the window run this module again, as they do with any program's. So it imports nothing before
it is told to begin.
"""

import sys


def begin(path: str | None) -> int:
    """Open the window; its exit status."""
    from app.cli.terminal import Terminated, stoppable
    from app.window import run
    from tests import forks
    from tests.app.gui.held_notes import note_held
    from tests.app.gui.tips import answer_questions

    answer_questions()
    note_held()
    draw_the_same()
    try:
        with stoppable(), forks.lent():
            return run(path, "cpu", opener="tests.app.gui.head_generator:open_model")
    except Terminated:
        return 143


def draw_the_same() -> None:
    """Draw faces at random that are the same in every run: of some pairs of the head's hardly a
    pixel differs, and a test that met one would fail once in a hundred runs."""
    import random
    from types import SimpleNamespace

    import app.document
    import app.mixing_edits

    for module in (app.document, app.mixing_edits):
        module.random = SimpleNamespace(Random=lambda: random.Random(7))  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(begin(sys.argv[1] if len(sys.argv) > 1 else None))
