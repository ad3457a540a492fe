"""What runs inside a loop, a choice, a call or a root: one line that says it, and the body's own graph of one step."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ...compiler.frontend.bodies import replay
from ...compiler.ir.loops import Call, Loop
from ...compiler.ir.program import Program
from ...engine import modes
from ...engine.chain_rule import float_adjoints, order_of_pass
from ...engine.value import Value, constant
from ..common.text import number
from .formulas import formula

MOST = 2000  # instructions of a body that is shown


class Body(NamedTuple):
    """The values that a body computed in one of its runs, with the gradients that a pass brought there."""

    title: str
    results: list[Value]
    carried: list[tuple[Value, Value]]  # of a loop: what a step hands on, and as what the next one takes it up


class _Run(NamedTuple):
    """A program, and the numbers of one of its runs: name and number of each input, the adjoints of outputs."""

    title: str
    program: Program
    names: list[str]
    inputs: list[float]
    adjoints: dict[int, float]
    first: int = 0  # the inputs that are carried
    carried: int = 0  # and how many of them


def summary(operation: Any, names: Sequence[str]) -> str:
    """What runs, and how often; `names` are the operands'."""
    residual = getattr(operation, "residual", None)
    programs = [residual] if residual is not None else operation.programs()
    count = sum(map(len, programs))
    each = f"{count:,} instruction{'s' * (count != 1)}" if programs else "a function of Python"
    if residual is not None:
        return f"where {each} give 0"
    if isinstance(operation, Loop):
        if operation.condition is None:
            return f"{operation.length:,} steps of {each}{', the last first' if operation.backward else ''}"
        test, shared = operation.condition, operation.shared
        carried = [*names[:shared], *_numbered("c", operation.carried)]
        known = carried + [number(x) for x in reversed(test.constants)]  # the first constant is number -1
        reads = formula(test.operations[0], [known[j] for j in test.operands[0]]) if len(test) == 1 else "a condition"
        return f"{each} while {reads}{' holds' * (len(test) != 1)}"
    return f"one of two, {each}" if isinstance(operation, Call) and operation.chooses else each


def body_of(v: Value, names: Sequence[str], bars: dict[int, float]) -> Body | None:
    """The body's graph, at the last step of a loop, at the solution of a root, of the branch that was taken; None where
    nothing ran, or too much to be shown. `names` are the operands', `bars` the gradients of outputs by number."""
    run = _run_of(v, names, bars)
    if run is None or len(run.program) > MOST:
        return None
    with modes.recording():
        inputs = [Value(x, label=name) for name, x in zip(run.names, run.inputs, strict=True)]
        results = [x if isinstance(x, Value) else constant(x) for x in replay(run.program, inputs)]
    if run.adjoints:
        order = order_of_pass(dict.fromkeys(results))
        for v, g in float_adjoints(order, [(results[k], g) for k, g in run.adjoints.items()]).items():
            if isinstance(g, float) and not v.is_constant:
                v.grad = g
    entering = inputs[run.first : run.first + run.carried]
    return Body(run.title, results, list(zip(results, entering, strict=False)))


def _run_of(v: Value, names: Sequence[str], bars: dict[int, float]) -> _Run | None:
    operation: Any = v.operation
    operands: list[Any] = [p._data for p in v.parents]
    block: Any = v._data
    if isinstance(operation, Loop):
        return _step_of(operation, names, operands, block, bars)
    if (residual := getattr(operation, "residual", None)) is not None:
        known, found = residual.inputs - len(residual.outputs), len(residual.outputs)
        names = [*names[:known], *_numbered("x", found)]
        return _Run("at the solution", residual, names, [*operands[:known], *block[:found]], {})
    if not operation.programs():
        return None
    which, skip = (int(not operands[0]), 1) if operation.chooses else (0, 0)
    title = ("the one for true", "the one for false")[which] if skip else "inside"
    return _Run(title, operation.programs()[which], list(names[skip:]), list(operands[skip:]), bars)


def _step_of(loop: Loop, names: Sequence[str], operands: Sequence[Any], block: Any, bars: Any) -> _Run | None:
    """The last step; of a loop that keeps nothing of its steps, as it has no bound, the first."""
    m, n = loop.shared, loop.carried
    count = loop.length
    if loop.condition is not None and count is not None:
        count = int(block[n])
    elif loop.counted:
        count = int(operands[m + n])
    if count == 0:
        return None
    at = 0 if loop.backward or count is None else count - 1
    carry = operands[m : m + n] if count is None else block[loop.kept + at * n : loop.kept + at * n + n]
    xs: list[float] = []
    start = m + n + loop.counted
    for column in loop.columns:
        source, first = (operands, start) if column.first is None else (operands[start], column.first)
        xs += source[first + at * column.width : first + (at + 1) * column.width]
        start += (loop.length or 0) * column.width if column.first is None else 1
    adjoints = {k: bars[k] for k in range(n) if k in bars}
    offsets = accumulate(loop.results, initial=n)
    for first, width, offset in zip(loop.starts, loop.results, offsets, strict=False):
        adjoints |= {offset + j: bars[k] for j in range(width) if (k := first + at * width + j) in bars}
    title = "step 1" if count is None else f"step {count:,} of {count:,}"
    names = [*names[:m], *_numbered("c", n), *_numbered("x", len(xs))]
    return _Run(title, loop.body, names, [*operands[:m], *carry, *xs], adjoints, m, n)


def _numbered(letter: str, count: int) -> list[str]:
    return [letter] if count == 1 else [f"{letter}{k + 1}" for k in range(count)]
