"""Open a model file of any known container; the container is told from its bytes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from engine.checkpoints import native
from engine.checkpoints.budget import Budget
from engine.checkpoints.faults import Damaged, Refused, Unsupported
from engine.checkpoints.plain import Checkpoint, LazyTensor, Node
from engine.checkpoints.releases import main_file, packed_model
from engine.checkpoints.source import FileSource, Source
from engine.checkpoints.tensors import Storage
from engine.checkpoints.torch_files import read_pickle, read_zip
from engine.errors import CheckpointError

#: Beginnings of files that people take for model files, and what to say.
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "it is a picture (PNG); choose a model file"),
    (b"\xff\xd8\xff", "it is a picture (JPEG); choose a model file"),
    (b"GIF8", "it is a picture (GIF); choose a model file"),
    (b"RIFF", "it is a picture or sound; choose a model file"),
    (b"\x1f\x8b", "it is compressed (gzip); unpack it and open what is inside"),
    (b"BZh", "it is compressed (bzip2); unpack it and open what is inside"),
    (b"\xfd7zXZ", "it is compressed (xz); unpack it and open what is inside"),
    (b"\x28\xb5\x2f\xfd", "it is compressed (zstd); unpack it and open what is inside"),
    (b"7z\xbc\xaf", "it is a 7z archive; unpack it and open the model file inside"),
    (b"Rar!", "it is a RAR archive; unpack it and open the model file inside"),
    (b"\x89HDF", "it is an HDF5 file, which Maquette does not read"),
    (b"glTF", "it is a mesh (GLB); choose a model file"),
    (b"%PDF", "it is a PDF document; choose a model file"),
    (b"\x7fELF", "it is a program; choose a model file"),
    (b"MZ", "it is a program; choose a model file"),
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file; run 'git lfs pull'"),
    (b"<", "it is a web page, perhaps an error page saved by a download; download it again"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_WHAT_IT_READS = (
    "it is not a model file that Maquette reads (a .pkl, .pth or .pt checkpoint, or a converted "
    "model); choose another"
)


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint or a converted model into plain data.

    The container is found from the file's bytes, never from its name. Nothing in the file is
    executed or imported. Tensors stay in the file until they are asked for, and their reader
    keeps the file open.

    Args:
        path: a file of ``torch.save`` (zip or legacy), a StyleGAN-style pickle, the ``.json``
            or ``.safetensors`` of a converted model, or a release: a folder (the checkpoint's
            path is then the file in it) or a zip archive of one (see
            :mod:`engine.checkpoints.releases`).

    Raises:
        CheckpointError: one sentence on what is wrong with the file and what to do.
    """
    path = Path(path)
    # What cannot be asked whether it is a folder cannot be opened either, and _open says why.
    with contextlib.suppress(OSError, ValueError):
        path = main_file(path) if path.is_dir() else path
    source = _open(path)
    try:
        return _read(path, source)
    except Unsupported as error:
        source.close()
        raise CheckpointError(f"{path} cannot be opened: {error}.") from error
    except Refused as error:
        source.close()
        raise CheckpointError(
            f"{path} was not opened, to be safe: {error}; use a copy from a source you trust."
        ) from error
    except CheckpointError:
        source.close()
        raise
    except Damaged as error:
        source.close()
        raise CheckpointError(_damaged(path, str(error))) from error
    except OSError as error:
        source.close()
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}); check the disk and try again."
        ) from error
    except (
        ArithmeticError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # The bytes of a damaged file can trip any conversion; none of it is a fault of ours.
        source.close()
        raise CheckpointError(_damaged(path, "its data makes no sense")) from error


def _damaged(path: Path, detail: str) -> str:
    return f"{path} is damaged or incomplete: {detail}; download or copy it again."


def _open(path: Path) -> FileSource:
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path} is not a regular file; choose a model file.")
        return FileSource(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {path}; check the path.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise CheckpointError(
            f"{path} cannot be opened ({reason or error}); check the path and its permissions."
        ) from error


def _read(path: Path, source: Source) -> Checkpoint:
    size = source.size
    if size == 0:
        raise CheckpointError(f"{path} is empty; download or copy it again.")
    head = source.read_at(0, min(size, 64))
    # No honest file describes more tensors than it has bytes for, but for a few that are shared.
    budget = Budget(tensor_bytes=4 * size + (256 << 20))
    if head[:4] in _ZIP:
        inside = packed_model(source)
        if inside is not None:
            return _read_packed(path, inside)
        return Checkpoint(path, "torch-zip", _model_root(read_zip(source, budget)))
    if head.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] == b"{":
        return native.read_json(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return native.read_safetensors(path)
    for beginning, advice in _FOREIGN:
        if head.startswith(beginning):
            raise Unsupported(advice)
    if size > 262 and source.read_at(257, 5) == b"ustar":
        raise Unsupported("it is a tar archive; unpack it and open the model file inside")
    if head[0] == 0x80:
        container, root = read_pickle(source, 0, size, budget)
        return Checkpoint(path, container, _model_root(root))
    return _read_protocol_0(path, source, budget)


def _read_packed(path: Path, source: Source) -> Checkpoint:
    """A model inside an archive: only the containers of ``torch.save``."""
    head = source.read_at(0, min(source.size, 4))
    budget = Budget(tensor_bytes=4 * source.size + (256 << 20))
    if head in _ZIP:
        return Checkpoint(path, "torch-zip", _model_root(read_zip(source, budget)))
    if head[:1] == b"\x80":
        container, root = read_pickle(source, 0, source.size, budget)
        return Checkpoint(path, container, _model_root(root))
    raise Damaged("the model inside is not a checkpoint")


def _read_protocol_0(path: Path, source: Source, budget: Budget) -> Checkpoint:
    """Pickles of protocols 0 and 1 have no mark of their own: only running one tells."""
    try:
        container, root = read_pickle(source, 0, source.size, budget)
    except Refused:
        raise
    except (Damaged, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise Unsupported(_WHAT_IT_READS) from error
    if not isinstance(root, (dict, list, tuple, Node)):
        raise Unsupported(_WHAT_IT_READS)
    return Checkpoint(path, container, _model_root(root))


def _model_root(root: Any) -> Any:
    if isinstance(root, (Storage, LazyTensor)):
        raise Unsupported("it holds a single tensor and no model; choose a model file")
    if not isinstance(root, (dict, list, tuple, Node)):
        raise Unsupported("it holds a single value and no model; choose a model file")
    return root
