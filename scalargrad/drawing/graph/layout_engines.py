"""Layout engines, in the order in which they are tried, each called in a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from tempfile import TemporaryFile
from threading import current_thread, main_thread
from time import monotonic
from typing import IO, Any, NamedTuple, Self

VARIABLE = "SCALARGRAD_DOT"
MOST_WRITTEN, MOST_SAID = 1 << 28, 1 << 16  # bytes of a layout or picture, and of errors
# pygraphviz lays out inside the process that imports it, and holds its lock: in a process of its own it can be stopped.
_PYGRAPHVIZ = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1][2:], prog="dot"))
"""


class LayoutError(RuntimeError):
    """No picture could be made: no engine, an engine that failed, or one that lost part of the graph."""


class NoEngineError(LayoutError):
    """There is no engine for the format that was asked for."""


class LayoutTimeoutError(LayoutError, TimeoutError):
    """An engine took longer than the time limit."""


class Engine(NamedTuple):
    """A program that takes dot's flags, reads DOT and writes a picture."""

    name: str
    command: tuple[str, ...]


def _chosen() -> Engine | str:
    path = os.environ.get(VARIABLE, "")
    if not path:
        return f"${VARIABLE}: not set"
    found = shutil.which(path)
    if found is None:
        raise NoEngineError(f"${VARIABLE} names {path!r}, which is not an executable file; correct it or unset it")
    return Engine(f"{path} (${VARIABLE})", (found,))


def _bundled() -> Engine | str:
    try:
        package = distribution("graphviz-pure")
    except PackageNotFoundError:
        return "graphviz-pure: not installed"
    for file in package.files or ():
        if file.name in ("graphviz-pure", "graphviz-pure.exe"):
            found = shutil.which(os.path.abspath(str(package.locate_file(file))))
            if found is not None:
                return Engine("graphviz-pure", (found,))
    return "graphviz-pure: installed, but without its executable"


def _system() -> Engine | str:
    found = shutil.which("dot")
    return "dot: not on PATH" if found is None else Engine("dot", (found,))


def _pygraphviz() -> Engine | str:
    if find_spec("pygraphviz") is None:
        return "pygraphviz: not installed"
    return Engine("pygraphviz", (sys.executable, "-c", _PYGRAPHVIZ))


def engines(tried: list[str] | None = None) -> Iterator[Engine]:
    """The engines that are there, in the order of preference; `tried` gets the others, and why."""
    for look in (_chosen, _bundled, _system, _pygraphviz):
        found = look()
        if isinstance(found, Engine):
            yield found
        elif tried is not None:
            tried.append(found)


def find() -> Engine:
    """The first engine, or an error that lists what was tried and what to do."""
    tried: list[str] = []
    for engine in engines(tried):
        return engine
    raise NoEngineError(
        "no Graphviz engine found. Tried:\n  " + "\n  ".join(tried) + "\nAny of these gives one:\n  "
        "pip install graphviz-pure     (Linux, macOS, Windows)\n  "
        "apt install graphviz, brew install graphviz, or winget install graphviz\n  "
        "pip install pygraphviz\n  "
        f"{VARIABLE}=/path/to/dot\n"
        "None is needed for .dot and .json, nor for print(drawing)."
    )


def run(engine: Engine, dot: str, format: str, time_limit: float) -> bytes:  # noqa: A002
    """What the engine makes of the DOT text. However this is left, the engine has ended.

    `LayoutError` if it fails or writes without end, `LayoutTimeoutError` if it takes too long.
    """
    hint = (
        "draw less of the graph (depth=, focus=, path=, collapse=), or leave out the labels (labels='none'), "
        f"or choose another engine by ${VARIABLE}"
    )
    # A group of its own, as an engine can be a script that starts another; on Windows, no window.
    apart: Any = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x08000000}
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as errors, _EndedBySignals() as signals:
        given.write(dot.encode())
        given.seek(0)
        try:
            command = [*engine.command, f"-T{format}"]
            child = signals.child = subprocess.Popen(command, stdin=given, stdout=out, stderr=errors, **apart)
        except OSError as error:
            raise LayoutError(f"{engine.name} could not be started: {error}") from error
        try:
            signals.follow()
            ended, end = False, monotonic() + time_limit
            while not ended and monotonic() < end and _size(out) <= MOST_WRITTEN and _size(errors) <= MOST_SAID:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(min(end - monotonic(), 0.1), 0.0))
                    ended = True
        finally:
            if child.returncode is None:
                _kill(child)
            child.wait()
        if _size(out) > MOST_WRITTEN:
            raise LayoutError(
                f"{engine.name} wrote more than {MOST_WRITTEN:,} bytes, and was stopped: is it Graphviz's dot?"
            )
        if not ended and _size(errors) <= MOST_SAID:
            raise LayoutTimeoutError(
                f"{engine.name} was stopped after {time_limit:g} s, the time limit of a layout: {hint}, "
                "or give it longer (time_limit=)"
            )
        out.seek(0)
        errors.seek(0)
        found = out.read()
        if child.returncode != 0 or not found:
            said = errors.read(MOST_SAID).decode(errors="replace").strip().splitlines()[-5:]
            raise LayoutError(
                f"{engine.name} failed with exit code {child.returncode}: {'; '.join(said) or 'it said nothing'}.\n"
                f"To get on: {hint}"
            )
    return found


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


class _EndedBySignals:
    """Ends the engine where a signal ends this process at once, which would leave the engine alone."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.came = 0
        self.numbers: list[int] = []

    def __enter__(self) -> Self:
        if current_thread() is main_thread():
            known = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
            self.numbers = [each for each in known if each and signal.getsignal(each) is signal.SIG_DFL]
            for number in self.numbers:
                signal.signal(number, self.take)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self.numbers:
            signal.signal(number, signal.SIG_DFL)

    def take(self, number: int, _: object) -> None:
        self.came = number
        self.follow()

    def follow(self) -> None:
        """End the engine and this process, if a signal has come; it may have come before the engine was known."""
        if self.came and self.child is not None:
            _kill(self.child)
            signal.signal(self.came, signal.SIG_DFL)
            os.kill(os.getpid(), self.came)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if os.name != "posix":
        child.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
