"""Which names a file may ask for."""

from __future__ import annotations

import pytest

from engine.checkpoints.constructors import CONSTRUCTORS
from engine.checkpoints.names import canonical_name

ALLOWED = {
    ("collections", "OrderedDict"): "collections.OrderedDict",
    ("__builtin__", "set"): "builtins.set",
    ("numpy._core.multiarray", "scalar"): "numpy.core.multiarray.scalar",
    ("numpy.core.multiarray", "scalar"): "numpy.core.multiarray.scalar",
    ("src.torch_utils.persistence", "_reconstruct_persistent_obj"): (
        "torch_utils.persistence._reconstruct_persistent_obj"
    ),
    ("eg3d.src.dnnlib.util", "EasyDict"): "dnnlib.util.EasyDict",
    ("torch", "FloatStorage"): "torch.FloatStorage",
    ("torch.cuda", "FloatStorage"): "torch.FloatStorage",
    ("torch.storage", "UntypedStorage"): "torch.UntypedStorage",
    ("torch", "float32"): "torch.float32",
    ("torch.nn.modules.activation", "Softplus"): "torch.nn.modules.activation.Softplus",
    ("training.triplane", "OSGDecoder"): "training.triplane.OSGDecoder",
    ("src.training.networks", "Generator"): "src.training.networks.Generator",
    ("typing", "Any"): "typing.Any",
}
REFUSED = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("subprocess", "Popen"),
    ("builtins", "eval"), ("builtins", "getattr"), ("builtins", "__import__"),
    ("builtins", "open"), ("__builtin__", "apply"), ("torch", "load"), ("torch", "Os"),
    ("torch.storage", "os"), ("torch.hub", "load"), ("torch._utils", "_import_dotted_name"),
    ("torch.nn", "modules"), ("torch.nn.modules.module", "torch"), ("torch.nn.modulesx", "Os"),
    ("training.networks", "os"), ("training.networks", "exec"), ("trainingx", "Net"),
    ("training", "os.system"), ("training.triplane", "Net.__init__"), ("training", "Net\n"),
    ("training\n", "Net"), ("training..x", "Net"), ("", "Net"), ("training", ""),
    ("torch_utils.persistence", "_src_to_module"), ("torch_utils.persistence", "exec"),
    ("os.torch_utils.persistence", "system"), ("dnnlib.util", "open_url"),
    ("dnnlib.util", "call_func_by_name"), ("numpy", "load"), ("numpy.lib.npyio", "load"),
    ("copyreg", "add_extension"), ("functools", "partial"), ("importlib", "import_module"),
    ("runpy", "run_path"), ("pickle", "loads"), ("_pickle", "Unpickler"), ("ctypes", "CDLL"),
    ("omegaconf.resolvers", "env"), ("OMEGACONF", "X"), ("ｏｓ", "system"), ("training", "Ｎet"),
]  # fmt: skip


@pytest.mark.parametrize("names", ALLOWED)
def test_allowed(names: tuple[str, str]) -> None:
    assert canonical_name(*names, CONSTRUCTORS) == ALLOWED[names]


@pytest.mark.parametrize("names", REFUSED)
def test_refused(names: tuple[str, str]) -> None:
    assert canonical_name(*names, CONSTRUCTORS) is None
