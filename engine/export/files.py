"""Writing files so that a half-written one is never seen, and errors as sentences.

Everything that Maquette writes goes to a temporary name in the target's own folder and is
renamed at the end: a full disk, Ctrl-C or a cancelled job leaves the old file as it was and
no rubbish beside it. :func:`explain` is the one place where the operating system's errors
become sentences.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import ExportError

#: What stands before and after the random part of a temporary name.
TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".maquette-", ".tmp"

_ADVICE: dict[int, str] = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EACCES: "you may not write there; choose another folder",
    errno.EPERM: "you may not write there; choose another folder",
    errno.EROFS: "that disk is read-only; choose another folder",
    errno.ENOENT: "the folder is gone; choose another one",
    errno.ENOTDIR: "part of that path is a file, not a folder; choose another folder",
    errno.EEXIST: "a file of that name is there; choose another name",
    errno.EISDIR: "that is a folder; choose a file name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EFBIG: "the file would be larger than that disk allows; make it smaller",
    errno.EIO: "the disk reported a fault; choose another disk",
    errno.EBUSY: "another program holds the file; close it and try again",
    errno.ETXTBSY: "another program holds the file; close it and try again",
}


def explain(error: OSError, target: Path) -> ExportError:
    """The sentence for an error of the operating system while ``target`` was written."""
    code = error.errno or 0
    advice = _ADVICE.get(code) or f"{error.strerror or error}; choose another place"
    return ExportError(f"{target} could not be written: {advice}.")


def make_folder(folder: str | Path) -> Path:
    """Make a folder with those around it; one that is there stays as it is.

    Returns:
        The folder.

    Raises:
        ExportError: it cannot be made, a file of that name included.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}; choose another one"
        raise ExportError(f"The folder {path} cannot be made: {advice}.") from error
    return path


def free_beside(wished: Path) -> Path:
    """A path where nothing lies: the wished one, or one with a number from 2 on."""
    path, number = wished, 2
    while path.exists():
        path, number = wished.with_name(f"{wished.stem}-{number}{wished.suffix}"), number + 1
    return path


def check_writable(target: str | Path) -> Path:
    """Make sure now that a file can be written later, before the long work starts.

    Args:
        target: the file that will be written. It may exist and is then left as it is.

    Returns:
        The real path of the target (symbolic links followed, ``~`` expanded).

    Raises:
        ExportError: the folder is missing or not writable, the name is that of a folder or a
            device, or the file that is there is write-protected.
    """
    path = _real_path(target)
    try:
        _check_folder(path)
        if path.is_dir():
            raise ExportError(f"{path} is a folder; choose a file name in it.")
        if path.exists():
            if not path.is_file():
                raise ExportError(f"{path} is not an ordinary file; choose another name.")
            # Who we act as counts, not who started us; Windows cannot tell the two apart.
            effective = os.access in os.supports_effective_ids
            if not os.access(path, os.W_OK, effective_ids=effective):
                raise ExportError(
                    f"{path} is write-protected; allow writing to it, or choose another name."
                )
        _new_file(path).unlink()
    except OSError as error:
        raise explain(error, path) from error
    return path


def check_new_folder(target: str | Path) -> Path:
    """:func:`check_writable` for a folder that will be made.

    Raises:
        ExportError: something other than an empty folder is there already, or the folder
            around it is missing or not writable.
    """
    path = _real_path(target)
    try:
        _check_folder(path)
        if path.is_dir():
            if any(path.iterdir()):
                raise ExportError(
                    f"The folder {path} is not empty; choose a new name or empty it first."
                )
        elif path.exists():
            raise ExportError(f"{path} is a file; choose a new folder name.")
        _new_file(path).unlink()
    except OSError as error:
        raise explain(error, path) from error
    return path


@contextlib.contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A temporary path beside ``target`` that becomes ``target`` when the block ends well.

    On any failure, :class:`~engine.errors.Cancelled` and Ctrl-C included, the temporary file
    is removed and whatever was at ``target`` stays.

    Raises:
        ExportError: the file cannot be written (see :func:`check_writable`), or an error of
            the operating system happened inside the block.
    """
    with atomic_paths(target) as (temporary,):
        yield temporary


@contextlib.contextmanager
def atomic_paths(*targets: str | Path) -> Iterator[tuple[Path, ...]]:
    """:func:`atomic_path` for files that belong together: none is renamed before all of them lie
    on the disk, so that a full disk leaves no new file beside an old one.

    They are renamed in the order given. Only a system that ends between two renames can part them.

    Raises:
        ExportError: as :func:`atomic_path`; it names the last target.
    """
    paths = [check_writable(target) for target in targets]
    made: list[Path] = []
    try:
        for path in paths:
            made.append(_new_file(path))  # noqa: PERF401 - one by one: each is removed on failure
        yield tuple(made)
        for temporary in made:
            _flush_to_disk(temporary)
        for temporary, path in zip(made, paths, strict=True):
            temporary.replace(path)
    except Exception as error:
        fault = _fault_of_the_system(error)
        if fault is None:
            raise
        raise explain(fault, paths[-1]) from error
    finally:
        for temporary in made:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """:func:`atomic_path` for a folder with many files: all of them appear at once.

    Raises:
        ExportError: as :func:`check_new_folder`, or a write inside the block failed.
    """
    path = check_new_folder(target)
    temporary: Path | None = None
    try:
        temporary = _temporary_name(path)
        temporary.mkdir()
        yield temporary
        for made in temporary.rglob("*"):
            if made.is_file():
                _flush_to_disk(made)
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except ExportError as error:
        # A file inside names the temporary folder, which means nothing to anybody.
        raise ExportError(str(error).replace(str(temporary), str(path))) from error
    except OSError as error:
        raise explain(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(target: str | Path, data: bytes) -> None:
    """Write a whole file atomically.

    Raises:
        ExportError: it cannot be written.
    """
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def _fault_of_the_system(error: Exception) -> OSError | None:
    """The error of the operating system behind an error, if there is one. torch and safetensors
    write by themselves, and wrap what they were told."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
        return error.__context__
    if found := re.search(r"\(os error (\d+)\)", str(error)):
        code = int(found[1])
        return OSError(code, os.strerror(code))
    return None


def _real_path(target: str | Path) -> Path:
    """Links are followed so that a rename replaces the linked file and not the link."""
    if "\0" in str(target) or not str(target).strip():
        raise ExportError("The name of the file to write is empty or not a name; choose another.")
    try:
        return Path(target).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise ExportError(f"{target} is not a usable path ({error}); choose another.") from error


def _check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.exists():
        raise ExportError(f"The folder {folder} does not exist; make it or choose another one.")
    if not folder.is_dir():
        raise ExportError(f"{folder} is a file, not a folder; choose another place.")


def _temporary_name(path: Path) -> Path:
    return path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"


def _new_file(path: Path) -> Path:
    """An empty new file beside ``path``, with the permissions that the umask gives."""
    if len(os.fsencode(path.name)) > 255:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    temporary = _temporary_name(path)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _flush_to_disk(path: Path) -> None:
    """Late write errors (network disks, delayed allocation) must show before the rename."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
