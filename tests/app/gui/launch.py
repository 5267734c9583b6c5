"""Opens the real window on the analytic head: ``python -m tests.app.gui.launch [PATH]``."""

import sys

from app.window import run

if __name__ == "__main__":
    sys.exit(
        run(
            sys.argv[1] if len(sys.argv) > 1 else None,
            "cpu",
            opener="tests.app.gui.head_generator:open_model",
        )
    )
