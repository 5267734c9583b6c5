"""Processes that need not load torch: they are forked from one that has, and are real in all else.

A new Python imports torch for two seconds and more before it does anything, and the compiler that
optimisers ask for takes as long again. So one process of each worker of pytest imports them once and then waits;
it has computed nothing and has no threads. What it forks has arguments, environment, folder, input and outputs of
its own, imports all of Maquette itself, takes signals and ends as any Python does.

A process that is not forked can be lent the line to such a process (:func:`lend`, :func:`lent`), for what it starts.

Not for tests of starting, importing or memory: these begin with nothing.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import multiprocessing.util
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import popen_spawn_posix
from pathlib import Path
from typing import IO, Any, NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
#: What every fork finds imported.
COMMON = ("torch", "numpy", "PIL.Image", "safetensors.torch")
#: What training asks torch for at its first step.
TRAINING = (*COMMON, "torch._dynamo", "torch.distributed")
_MOST, _MOST_FDS = 1 << 20, 64  # bytes of a request, and descriptors
_WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
#: Names the descriptor of a lent line in the environment.
LENT = "MAQUETTE_TEST_FORKS"
_END, _SPENT = b"end", b"spent"
#: To the processes that are forked from here.
_lines: list[socket.socket] = []


def spent() -> float:
    """Seconds of processor of all forks that have ended, whoever started them, and of what they were forked from."""
    total = 0.0
    for line in _lines:
        line.send(_SPENT)
        total += float(line.recv(64))
    return total


class Done(NamedTuple):
    """Like :class:`subprocess.CompletedProcess`, with text."""

    returncode: int
    stdout: str
    stderr: str


class Fork:
    """A running process, with the methods of :class:`subprocess.Popen`.

    Attributes:
        pid: its number.
        returncode: once it has been waited for; negative for a signal.
        stdout: what it prints, if asked for.
    """

    def __init__(self, line: socket.socket, stdout: IO[str] | None) -> None:
        self._line, self.stdout = line, stdout
        self.pid = int(line.recv(64))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises :class:`subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                told = self._line.recv(256)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0) from None
            self.returncode = int(told)
        return self.returncode

    def poll(self) -> int | None:
        """Its exit status if it has ended."""
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _server(modules: tuple[str, ...]) -> socket.socket:
    """The process to fork from, by the line that it listens to."""
    if LENT in os.environ:
        return socket.socket(fileno=int(os.environ.pop(LENT)))
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    words = [sys.executable, "-m", "tests.forks", str(its.fileno()), *modules]
    server = subprocess.Popen(
        words, cwd=ROOT, env=environment, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
    )
    its.close()
    assert mine.recv(64)  # it is ready
    _lines.append(mine)

    def end() -> None:
        _lines.remove(mine)
        # Told: others to whom the line is lent may still hold it.
        mine.send(_END)
        mine.close()
        server.wait()

    atexit.register(end)
    return mine


def start(
    words: Sequence[str],
    *,
    modules: tuple[str, ...] = COMMON,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    pass_fds: Sequence[int] = (),
) -> Fork:
    """Start what ``python *words`` would.

    Args:
        words: ``"-m", module, ...`` or ``"-c", code, ...``.
        modules: what is imported already.
        cwd, env: as of :class:`subprocess.Popen`.
        stdout: a file, or ``subprocess.PIPE``. stderr: a file, ``subprocess.STDOUT`` or ``DEVNULL``.
        pass_fds: descriptors that it has under the same numbers.
    """
    assert words[0] in ("-m", "-c"), words
    line, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read: IO[str] | None = None
    out: int | IO[Any] = 1 if stdout is None else stdout
    if stdout == subprocess.PIPE:
        readable, out = os.pipe()
        read = os.fdopen(readable, encoding="utf-8", errors="replace")
    out = out if isinstance(out, int) else out.fileno()
    error: int | IO[Any] = 2 if stderr is None else stderr
    error = out if error == subprocess.STDOUT else error
    nothing = os.open(os.devnull, os.O_WRONLY) if error == subprocess.DEVNULL else None
    error = error if nothing is None else nothing
    error = error if isinstance(error, int) else error.fileno()
    request = {
        "words": list(words),
        "cwd": str(Path.cwd() if cwd is None else cwd),
        "env": dict(os.environ if env is None else env),
        "fds": [1, 2, *pass_fds],
    }
    message = json.dumps(request).encode()
    assert len(message) < _MOST
    socket.send_fds(_server(modules), [message], [its.fileno(), out, error, *pass_fds])
    its.close()
    if stdout == subprocess.PIPE:
        os.close(out)
    if nothing is not None:
        os.close(nothing)
    return Fork(line, read)


def run(words: Sequence[str], *, timeout: float = 240.0, **more: Any) -> Done:
    """Start it, wait for its end, and give what it printed; see :func:`start`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        fork = start(words, stdout=out, stderr=error, **more)
        try:
            status = fork.wait(timeout)
        except subprocess.TimeoutExpired:
            fork.kill()
            raise
        texts = []
        for file in (out, error):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Done(status, *texts)


class _Spawned(popen_spawn_posix.Popen):
    """A process of :mod:`multiprocessing`, method "spawn", that is forked."""

    def _launch(self, process_obj: Any) -> None:
        with mock.patch.object(multiprocessing.util, "spawnv_passfds", self._fork):
            super()._launch(process_obj)

    def _fork(self, _path: str, words: Sequence[str | bytes], fds: Sequence[int]) -> int:
        given = [os.fsdecode(word) for word in words]
        self._forked = start(given[given.index("-c") :], pass_fds=fds)
        return self._forked.pid

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Its exit status; waits for it with a ``flag`` of 0."""
        if self.returncode is None:
            self.returncode = self._forked.poll() if flag else self._forked.wait()
        return self.returncode


@contextmanager
def spawning() -> Iterator[None]:
    """Within, the processes that :mod:`multiprocessing` spawns are forked."""
    with mock.patch.object(popen_spawn_posix, "Popen", _Spawned):
        yield


def lend() -> int:
    """The descriptor of a line, for a process that is to be started with it and with its number in :data:`LENT`."""
    return _server(COMMON).fileno()


@contextmanager
def lent() -> Iterator[None]:
    """Within, in a process that was lent a line, the processes that :mod:`multiprocessing` spawns are forked."""
    if LENT not in os.environ:
        yield
        return
    _server(COMMON)  # takes the name out of the environment
    with spawning():
        yield


# ------------------------------------------------------------------ the process that is forked from


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for every request. Gives the request in the fork, and ``None`` at the end."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MOST, _MOST_FDS)
        if message in (b"", _END):
            return None
        if message == _SPENT:
            _reap()
            own, others = (resource.getrusage(who) for who in _WHOSE)
            used = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
            control.send(str(used).encode())
            continue
        if os.fork() == 0:  # waits for the fork, and tells how it ended
            fork = os.fork()
            if fork == 0:
                control.close()
                request: dict[str, Any] = json.loads(message)
                # Out of the way first: a number that is wanted may be another's now.
                high = [fcntl.fcntl(one, fcntl.F_DUPFD, 1000) for one in descriptors[1:]]
                for descriptor in descriptors:
                    os.close(descriptor)
                for descriptor, wanted in zip(high, request["fds"], strict=True):
                    os.dup2(descriptor, wanted)
                    os.close(descriptor)
                return request
            line = socket.socket(fileno=descriptors[0])
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            line.send(str(fork).encode())
            _, status = os.waitpid(fork, 0)
            try:
                line.send(str(os.waitstatus_to_exitcode(status)).encode())
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        _reap()


def _reap() -> None:
    """Let those go that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _become(request: dict[str, Any]) -> None:
    """Do what the Python of these words would."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    kind, what, *rest = request["words"]
    named = request["env"].get("PYTHONPATH", "")
    sys.path[:] = [
        request["cwd"] if kind == "-m" else "", *filter(None, named.split(os.pathsep)), *sys.path[1:]
    ]  # fmt: skip
    importlib.invalidate_caches()
    sys.argv = [kind, *rest]  # of a module, runpy names its file
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    # multiprocessing blocks signals while it starts its resource tracker, which may be what starts this.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # A Ctrl-C is for those that are forked.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _control = socket.socket(fileno=int(sys.argv[1]))
    for _name in sys.argv[2:]:
        importlib.import_module(_name)
    gc.collect()
    gc.freeze()
    _control.send(b"ready")
    _request = _serve(_control)
    if _request is not None:
        _become(_request)
