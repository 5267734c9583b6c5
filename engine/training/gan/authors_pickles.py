"""Pickles that name other programs' classes, written without having those programs.

Authors who pickle whole objects read them back by class name. What is written here says the names
(:class:`Named`), which objects are made of them (:class:`Made`) and what is called (:class:`Called`);
tensors and plain containers are pickled as always. Only who has such a program can load such a file;
our own reader (:mod:`engine.checkpoints`) reads it without.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import IO, Any, ClassVar

import torch

from engine.checkpoints.names import is_name

#: Read by every Python that the authors' programs run on.
_PROTOCOL = 4


@dataclass(frozen=True)
class Named:
    """A class or function of another program.

    Attributes:
        module: where it is imported from. name: within that module, without dots.
    """

    module: str
    name: str


@dataclass(frozen=True)
class Made:
    """An object of another program's class, with these attributes, made without its constructor."""

    kind: Named
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Called:
    """What a function of another program returns."""

    function: Named
    arguments: tuple[Any, ...]


class _Pickler(pickle._Pickler):
    """Python's own pickler, which the one in C does not let say names that cannot be imported."""

    # How an object is written is looked up here by its type. Copied: the base's is everybody's.
    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)
    # The base's, which the type stubs leave out.
    write: Callable[[bytes], Any]
    save: Callable[[object], None]
    memoize: Callable[[object], None]

    def _save_named(self, named: Named) -> None:
        if not is_name(named.module) or not named.name.isidentifier():
            raise ValueError(f"{named} is no name that can be imported")
        self.write(pickle.GLOBAL + f"{named.module}\n{named.name}\n".encode())
        self.memoize(named)

    def _save_made(self, made: Made) -> None:
        self.save(made.kind)
        self.save(())
        self.write(pickle.NEWOBJ)
        self.memoize(made)
        self.save(dict(made.attributes))
        self.write(pickle.BUILD)

    def _save_called(self, called: Called) -> None:
        self.save(called.function)
        self.save(called.arguments)
        self.write(pickle.REDUCE)
        self.memoize(called)

    dispatch[Named] = _save_named
    dispatch[Made] = _save_made
    dispatch[Called] = _save_called


def write_pickle(content: object, file: IO[bytes]) -> None:
    """As ``pickle.dump`` writes it."""
    _Pickler(file, _PROTOCOL).dump(content)


def write_torch(content: object, file: IO[bytes]) -> None:
    """As ``torch.save`` writes it."""
    torch.save(content, file, pickle_module=SimpleNamespace(__name__="pickle", Pickler=_Pickler))
