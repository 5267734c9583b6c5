"""Entry point of the console script ``maquette``.

Only the module of the command that was asked for is imported, and torch only once a command
computes, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import multiprocessing
import sys
from collections.abc import Sequence

from app.cli.terminal import Terminated, speak_any_letter, stoppable
from app.version import version
from engine.errors import Cancelled, GpuLost, UserError
from engine.memory import is_memory_full

#: Command -> what it does. Each is the function ``run`` of ``app.cli.<command>``.
COMMANDS: dict[str, str] = {
    "render": "pictures from seeds, or a picture drawn again",
    "video": "a video of the camera moving around a head",
    "mesh": "a head as a coloured mesh",
    "sheet": "several pictures in one: mixed faces, a morph, views",
    "latents": "faces as files of numbers, for other tools",
    "edit": "a face changed by a text, or along directions",
    "directions": "the ways in which a model's people differ",
    "search": "faces in the order in which they fit a text",
    "models": "the checkpoints there are, and those in a folder",
    "inspect": "what a checkpoint or a project holds",
    "describe": "which words fit a picture",
    "convert": "a checkpoint as safetensors and JSON",
    "train": "a generator on your own pictures or by a text, or a small one from nothing",
    "blend": "a model with some layers of another",
    "bench": "how fast each family draws",
    "prepare": "photographs as a data set to train on",
    "evaluate": "how good a model is, in numbers",
    "verify": "compare a family with pictures of its authors' code",
    "doctor": "whether this machine has what Maquette needs",
    "desktop": "Maquette in the desktop's menu",
}

EXIT_USER_ERROR, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; those of the process if ``None``.

    Returns:
        Exit status: 0 done, 1 a verification failed, 2 a mistake in the input (told in one
        sentence on the error stream), 130 stopped by Ctrl-C.
    """
    multiprocessing.freeze_support()
    speak_any_letter()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with stoppable():
            return _dispatch(words)
    except (UserError, GpuLost) as error:
        return _fail(str(error))
    except (KeyboardInterrupt, Cancelled):
        return EXIT_INTERRUPTED
    except Terminated:
        return EXIT_TERMINATED
    except BrokenPipeError:
        # Whoever read our output went away (`| head`). Python would complain once more when
        # it flushes at exit.
        sys.stdout = None  # type: ignore[assignment]
        return 0
    except (OSError, MemoryError, RuntimeError) as error:
        sentence = _known(error)
        if sentence is None:
            raise
        return _fail(sentence)


def _dispatch(words: list[str]) -> int:
    if words and words[0] == "--version":
        print(f"maquette {version()}")
        return 0
    name = words[0] if words and words[0] in COMMANDS else "window"
    command = importlib.import_module(f"app.cli.{name}")
    status: int = command.run(words if name == "window" else words[1:])
    return status


def _known(error: Exception) -> str | None:
    """A sentence for what the machine ran out of; ``None`` for a fault of ours."""
    if isinstance(error, OSError):
        if error.errno == errno.ENAMETOOLONG:
            return "A path is longer than this system allows; check what was given."
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return "The disk is full; free some space and try again." if full else None
    if "home directory" in str(error):  # of pathlib, of a ~name that nobody here has
        return "A path begins with ~ and the name of nobody here; write it in full."
    if is_memory_full(error):
        return (
            "There is not enough memory for this; choose a smaller size, neural resolution or "
            "number of samples."
        )
    return None


def _fail(sentence: str) -> int:
    print("maquette: " + " ".join(sentence.split()), file=sys.stderr)
    return EXIT_USER_ERROR
