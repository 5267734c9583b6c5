"""Opens the real window on the analytic head: ``python -m tests.app.gui.launch [PATH]``."""

import sys

from app.cli.terminal import Terminated, stoppable
from app.window import run
from tests.app.gui.held_notes import note_held
from tests.app.gui.tips import answer_questions

if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else None
    answer_questions()
    note_held()
    try:
        with stoppable():
            sys.exit(run(path, "cpu", opener="tests.app.gui.head_generator:open_model"))
    except Terminated:
        sys.exit(143)
