"""open_clip is imported late, and beside a torchvision whose operators do not load."""

from __future__ import annotations

from tests import forks

PRELUDE = "import sys, torch\nfrom engine.text import library\n"


def run(code: str) -> str:
    answer = forks.run(["-c", PRELUDE + code])
    assert answer.returncode == 0, answer.stderr[-2000:]
    return answer.stdout.strip().splitlines()[-1]


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import engine.text.encoder, engine.text.answers, engine.text.pictures\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} & "
        "{'open_clip', 'torchvision', 'timm', 'ftfy', 'huggingface_hub'}))"
    )
    assert run(code) == "[]"


#: Stands for a torchvision whose compiled operators are of another torch, whichever is installed.
MISSING = "def refuse(path):\n    raise OSError(path)\ntorch.ops.load_library = refuse\n"


def test_the_library_loads_where_operators_are_missing() -> None:
    """As beside a CPU-only torch: nothing is declared unless it is needed."""
    code = MISSING + (
        "clip = library.open_clip()\n"
        "import torchvision.ops\n"
        "print(clip.__name__, hasattr(torch.ops.torchvision, 'nms'), len(library._declared))"
    )
    assert run(code) == "open_clip True 1"


def test_nothing_is_declared_where_the_operators_load() -> None:
    code = (
        "loaded = []\n"
        "def load(path):\n"
        "    if loaded:\n"
        "        raise OSError('torchvision asks for more than the stand-ins have')\n"
        "    loaded.append(path)\n"
        "    for signature in library.DESCRIBED:\n"
        "        torch.library.define('torchvision::' + signature.partition('(')[0], "
        "signature[signature.index('('):])\n"
        "torch.ops.load_library = load\n"
        "print(library.open_clip().__name__, len(loaded), len(library._declared))"
    )
    assert run(code) == "open_clip 1 0"


def test_declaring_twice_does_no_harm() -> None:
    code = MISSING + (
        "library.declare_operators(); library.declare_operators()\n"
        "print(library.open_clip().__name__)"
    )
    assert run(code) == "open_clip"


def test_the_operators_that_are_installed_are_used_where_they_load() -> None:
    """Declared beside the real ones, they would end the process by an abort."""
    code = (
        "real = library.operators_load()\n"
        "library.declare_operators()\n"
        "clip = library.open_clip()\n"
        "import torchvision.ops\n"
        "boxes, scores = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1)\n"
        "print(not real or torchvision.ops.nms(boxes, scores, 0.5).tolist() == [0])"
    )
    assert run(code) == "True"
