"""Whether a random program's compiled forms have the bits of its eager run, and its derivatives the exact value."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalargrad import Value, grad

from . import backends, jets
from .backends import LLVM, PYTHON, X86, Answer, C, Library
from .checks import Figures
from .programs import HEADER, Program, program

SHRUNK = 2  # failures of one kind that are shrunk in one process, which takes seconds; the others are counted
CALLS = 5  # samples at which single calls are compared


@dataclass
class Pending:
    """Programs that wait for their library of C."""

    library: Library = field(default_factory=Library)
    waiting: list[tuple[int, Program, list[Answer]]] = field(default_factory=list)

    def compare(self, figures: Figures, shrink: bool = True) -> None:
        if not self.waiting:
            return
        library = self.library.built()
        for k, p, eager in self.waiting:
            for at, sample in enumerate(p.samples):
                expected = eager[at]
                if expected.raised:
                    continue
                found = self.library.call(library, k, sample, expected.structure)
                figures.count(f"programs, {C}: calls")
                if not backends.same(expected, found):
                    note(figures, Fault(f"{C}, call", p, at, expected, found), shrink)
                    break
        self.library, self.waiting = Library(), []


@dataclass(frozen=True)
class Fault:
    """A difference: where, of which program, at which sample, and what both say."""

    where: str
    program: Program
    sample: int
    expected: Answer
    found: Answer

    @property
    def kind(self) -> str:
        what = f"raises {self.found.raised}" if self.found.raised else "differs"
        return f"{self.where} {what}" + (f" instead of {self.expected.raised}" if self.expected.raised else "")


def eagerly(p: Program, space: dict[str, Any]) -> list[Answer]:
    """The eager run of every sample: derivatives on floats, the function itself on `Value`s."""
    g = space["g"]
    if p.order == 0:
        return [backends.answer(lambda s=sample: g(*backends.on_values(s))) for sample in p.samples]
    return [backends.answer(lambda s=sample: g(*s)) for sample in p.samples]


def without_pythons_own(p: Program, eager: list[Answer]) -> tuple[Program, list[Answer]]:
    """Only the samples at which Python's own arithmetic, of numbers that are not differentiated by, does not raise."""
    own = ("ZeroDivisionError", "OverflowError", "InvalidOperation")  # the last is Decimal's, compared with nan
    said = ("complex", "what `~` makes of a bool")
    kept = [k for k, a in enumerate(eager) if a.raised not in own and not any(text in a.says for text in said)]
    if len(kept) == len(eager):
        return p, eager
    return p._replace(samples=tuple(p.samples[k] for k in kept)), [eager[k] for k in kept]


def on_floats(p: Program, space: dict[str, Any], eager: Sequence[Answer], figures: Figures | None) -> Fault | None:
    """The function on floats has the bits that it has on `Value`s, where Python's own arithmetic does not raise."""
    if p.order or "np." in p.source() or re.search(r"\b0 \+ ", p.source()):  # to the int 0 nothing is added, for sum()
        return None
    for k, sample in enumerate(p.samples):
        found = backends.answer(lambda s=sample: space["g"](*s))
        if found.raised:  # division by zero, overflow, a complex power: Python's, not ours
            continue
        if figures is not None:
            figures.count("programs, floats and Values: calls")
        if not backends.same(eager[k], found):
            return Fault("floats, call", p, k, eager[k], found)
    return None


def captured(p: Program, space: dict[str, Any], figures: Figures | None) -> Fault | None:
    """A leaf that the function closes over gets the gradient that it gets as an argument."""
    names = [name for name in space if name[0] == "w" and name[1:].isdigit()]
    if p.order or not names or p.result.text not in ("{0}", "{0} + {1}"):
        return None
    leaves = [space[name] for name in names]
    for k, sample in enumerate(p.samples):

        def through_leaves(s: tuple[Any, ...] = sample) -> Any:
            for leaf in leaves:
                leaf.zero_grad()
            found = space["f"](*s)
            if isinstance(found, Value):
                found.backward()
            return [leaf.grad for leaf in leaves]

        def as_arguments(*given: Any, s: tuple[Any, ...] = sample) -> Any:
            space.update(zip(names, given, strict=True))
            return space["f"](*s)

        one = backends.answer(through_leaves)
        if one.raised:
            continue
        numbers = [leaf.data for leaf in leaves]
        other = backends.answer(lambda n=numbers, f=as_arguments: list(grad(f, tuple(range(len(n))))(*n)))
        space.update(zip(names, leaves, strict=True))
        if other.raised:
            continue
        if figures is not None:
            figures.count("programs, leaves closed over and as arguments: gradients")
        if not backends.same(other, one):
            return Fault("closed over, call", p, k, other, one)
    return None


def calls(
    p: Program, g: Callable[..., Any], eager: Sequence[Answer], backend: str, figures: Figures | None
) -> Fault | None:
    """Single calls of one compiled function, traced at the first sample."""
    f = backends.compiled(g, backend)
    with backends.machine(backend):
        for k, sample in enumerate(p.samples[:CALLS]):
            found = backends.answer(lambda s=sample: f(*s))
            if figures is not None:
                figures.count(f"programs, {backend}: calls")
            if not backends.same(eager[k], found):
                if backends.refused(found):
                    if figures is not None:
                        figures.count(f"programs, refused: {found.raised}")
                    return None
                return Fault(f"{backend}, call", p, k, eager[k], found)
    return None


def batch(
    p: Program,
    g: Callable[..., Any],
    eager: Sequence[Answer],
    backend: str,
    reduce: str | None,
    figures: Figures | None,
) -> Fault | None:
    """One batch."""
    f = backends.compiled(g, backend)
    expected = backends.batch_expected(p, eager, reduce)
    with backends.machine(backend):
        found = backends.batch_answer(p, f, reduce)
    if figures is not None:
        figures.count(f"programs, {backend}: batches")
    if not backends.same(expected, found):
        if backends.refused(found) or (expected.raised and found.raised):  # several samples may raise, in any order
            if figures is not None:
                figures.count(f"programs, refused: {found.raised}")
            return None
        return Fault(f"{backend}, map{f' {reduce}' if reduce else ''}", p, -1, expected, found)
    return None


def to_c(p: Program, g: Callable[..., Any], eager: list[Answer], figures: Figures, pending: Pending) -> Fault | None:
    """Trace every sample and hand the C to the library."""
    f = backends.compiled(g, PYTHON)
    for k, sample in enumerate(p.samples):
        found = backends.answer(lambda s=sample: f(*s))
        if found.raised or eager[k].raised:
            return None  # of which the single calls tell
    if not all(f.specializations.values()) or not f.specializations:
        return None
    try:
        k = pending.library.add(f)
    except Exception as error:
        found = Answer((), None, type(error).__name__, str(error))
        if backends.refused(found):
            figures.count(f"programs, refused: {found.raised}")
            return None
        return Fault(f"{C}, text", p, 0, eager[0], found)
    pending.waiting.append((k, p, eager))
    return None


def examine(
    p: Program, figures: Figures, pending: Pending, chosen: Sequence[str], batches: Sequence[tuple[str, str | None]]
) -> None:
    """Compare one program's eager run with some backends and batches; note what differs, as small as it can be made."""
    figures.programs += 1
    figures.orders[p.order] = figures.orders.get(p.order, 0) + 1
    space = p.namespace()
    p, eager = without_pythons_own(p, eagerly(p, space))
    if not eager:
        figures.count("programs, left out: Python's own arithmetic raises")
        return
    bad = next((k for k, a in enumerate(eager) if a.raised not in ("", "ValueError", "LoopError")), None)
    if bad is not None:
        note(figures, Fault("eager", p, bad, Answer(), eager[bad]))
        return
    found = [on_floats(p, space, eager, figures), captured(p, space, figures)]
    for backend in chosen:
        if backend == C:
            found.append(to_c(p, space["g"], eager, figures, pending))
        else:
            found.append(calls(p, space["g"], eager, backend, figures))
    for backend, reduce in batches:
        found.append(batch(p, space["g"], eager, backend, reduce, figures))
    faults = [fault for fault in found if fault is not None]
    for k, fault in enumerate(faults):
        note(figures, fault, shrink=k == 0)  # the others are likely to be the same


def again(fault: Fault, p: Program) -> Fault | None:
    """Whether a program has the same kind of fault: for shrinking."""
    try:
        space = p.namespace()
        p, eager = without_pythons_own(p, eagerly(p, space))
    except Exception:
        return None
    backend, _, what = fault.where.partition(", ")
    if backend == "eager":
        was = fault.found
        alike = [k for k, a in enumerate(eager) if a.raised == was.raised and a.says[:20] == was.says[:20]]
        k = next(iter(alike), None)
        return None if k is None else Fault("eager", p, k, Answer(), eager[k])
    if not eager or any(a.raised not in ("", "ValueError") for a in eager):
        return None
    if backend == "floats":
        found = on_floats(p, space, eager, None)
    elif backend == "closed over":
        found = captured(p, space, None)
    elif what == "call" and backend == C:
        pending, figures = Pending(), Figures()
        found = to_c(p, space["g"], eager, figures, pending)
        if found is None:
            collected: list[Fault] = []
            pending.compare(_Collecting(collected), shrink=False)
            found = collected[0] if collected else None
    elif what == "text":
        found = to_c(p, space["g"], eager, Figures(), Pending())
    elif what == "call":
        found = calls(p, space["g"], eager, backend, None)
    else:
        found = batch(p, space["g"], eager, backend, what.partition(" ")[2] or None, None)
    return found if found is not None and found.kind == fault.kind else None


class _Collecting(Figures):
    """Figures that keep the faults themselves."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__()
        self.collected = faults


_shrunk: dict[str, int] = {}


def note(figures: Figures, fault: Fault, shrink: bool = True) -> None:
    """Count a failure; one of a kind and a set of operations is kept as a script, shrunk."""
    if isinstance(figures, _Collecting):
        figures.collected.append(fault)
        return
    figures.failed += 1
    figures.faults[fault.kind] = figures.faults.get(fault.kind, 0) + 1
    if not shrink or _shrunk.get(fault.kind, 0) >= SHRUNK:
        return
    _shrunk[fault.kind] = _shrunk.get(fault.kind, 0) + 1
    small = fault.program.shrunk(
        lambda smaller: again(fault, smaller) is not None, 60 if fault.where[0] == "C" else 400
    )
    figures.failures.setdefault(f"{fault.kind} {small.source()}", script(again(fault, small) or fault))


def script(fault: Fault) -> str:
    """A script that shows the fault."""
    p = fault.program
    backend, _, what = fault.where.partition(", ")
    lines = [f"# {fault.kind}: what is left of program number {p.number}, of order {p.order}", HEADER, p.source()]
    sample = p.samples[max(fault.sample, 0)]
    text = ", ".join(map(repr, sample))
    if backend in (X86, LLVM):
        lines.append(f'import os; os.environ["SCALARGRAD_NATIVE"] = "{"x86" if backend == X86 else "llvm"}"')
    native = "native" if backend in (X86, LLVM) else "python"
    lines.append(f'compiled = compile(g, backend="{native}", max_traces={backends.MAX_TRACES})')
    if backend == "closed over":
        names = [line.split(" ")[0] for line in p.preamble if " = Value(" in line]
        lines.append(f"y = f({text})\nif isinstance(y, Value):\n    y.backward()")
        lines.append(f"print([each.grad for each in ({', '.join(names)},)])  # as arguments: see below")
    elif what.startswith("map"):
        chosen = [p.samples[k] for k in backends.order_of(p)]
        columns = [
            chosen[0][k] if axis is None else backends._columns([each[k] for each in chosen])
            for k, axis in enumerate(p.axes)
        ]
        reduce = what.partition(" ")[2] or None
        given = ", ".join(map(repr, columns))
        shown = given if len(given) < 4000 else "..."
        lines.append(f"print(compiled.map({shown}, in_axes={p.axes}, reduce={reduce!r}, threads={p.threads}))")
        lines.append(f"print([g(*each) for each in {chosen if len(chosen) < 30 else '...'!r}])")
    else:
        for each in p.samples[: max(fault.sample, 0)]:
            lines.append(f"compiled({', '.join(map(repr, each))})")
        lines.append(f"print(compiled({text}))" if backend != C else f"compiled({text}); print(compiled.to_c('p')[1])")
        lines.append(f"print(g({text}))" + ("  # on Values" if p.order == 0 else ""))
    lines += [f"# eager: {str(fault.expected)[:600]}", f"# found: {str(fault.found)[:600]}"]
    return "\n".join(lines)


# ---- many ------------------------------------------------------------------------------------------------------------


def drawn(p: Program, seed: int, there: Sequence[str]) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Two backends and one batch for the program."""
    r = random.Random((seed << 40) + p.number + 1)
    weights = {PYTHON: 0.4, X86: 0.52, LLVM: 0.03, C: 0.05}
    first, second = (r.choices(there, [weights[b] for b in there])[0] for _ in range(2))
    if first == second:
        second = PYTHON if first != PYTHON else there[1 % len(there)]
    batched = [b for b in there if b == PYTHON or (b != C and LLVM in there)]
    backend = r.choices(batched, [weights[b] for b in batched])[0]
    return [first, second], [(backend, r.choice((None, None, "sum")))]


def chunk(seed: int, start: int, stop: int, every: bool = False, trail: str = "") -> Figures:
    """Examine the programs of these numbers; `every`: on all backends and in all batches.

    In the folder `trail` every process leaves the number of the program that it is at: for machine code that ends it.
    """
    backends.quiet()
    figures, pending, there = Figures(), Pending(), backends.available()
    for number in range(start, stop):
        if trail:
            Path(trail, str(os.getpid())).write_text(str(number))
        p = program(seed, number)
        if every:
            chosen = list(there)
            batched = [b for b in there if b == PYTHON or (b != C and LLVM in there)]
            batches = [(b, reduce) for b in batched for reduce in (None, "sum")]
        else:
            chosen, batches = drawn(p, seed, there)
        examine(p, figures, pending, chosen, batches)
        if len(pending.waiting) >= 100:
            pending.compare(figures)
    pending.compare(figures)
    return figures


def show(seed: int, number: int) -> Figures:
    """Print one program as a script, and examine it everywhere."""
    p = program(seed, number)
    given = [", ".join(map(repr, sample)) for sample in p.samples]
    print("\n".join([HEADER, p.source(), *(f"print(g({each}))" for each in given)]))
    figures = chunk(seed, number, number + 1, every=True)
    jets.check(p, figures, random.Random(number))
    return figures
