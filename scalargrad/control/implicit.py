"""`root`, `fixed_point`, `minimum`, `@custom_root`: solutions, with derivatives by the implicit function theorem.

Where f(x, a) = 0 defines x by a, dx = -(df/dx)^-1 df/da da. What is solved for is differentiated by that, at any order,
whatever the solver did: its steps are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from itertools import compress
from typing import Any

from ..compiler.frontend.bodies import numbers_now, traced_bodies
from ..compiler.frontend.derived import DifferentiableCall, Linearised, Runs, element, spread
from ..compiler.ir.loops import Foreign
from ..compiler.ir.program import Program
from ..engine import modes
from ..engine.anomaly import AnomalyError
from ..engine.primitive import as_float
from ..engine.several import Column, Vector
from ..engine.table import div
from ..engine.value import Value
from ..functions import dot, where
from ..state import whole
from ..transforms.derivatives import grad, vjp
from ..transforms.trees import LEAF, Structure, flatten, leaves_like, paths, unflatten
from .columns import are_functions, known, number, numbers, numbers_like
from .loops import repeated

Residual = Callable[[Sequence[Any]], list[Any]]  # of flat numbers

STEPS = 100  # of Newton's method, or halvings, at most
CLOSE = 2.0**-50  # relative change by a step from which the root is found
NEAR = 2.0**-40  # and, of each number, by a step that makes nothing better: rounding, of ill-conditioned roots too


class _Implicit(Runs):
    """An operation whose outputs x solve `residual(operands, x) = 0`, of the first so many operands."""

    residual: Program
    solution_point: list[float]  # operands and x, to trace derivatives at
    place: str

    @property
    def count(self) -> int:
        """How many operands the residual has."""
        return self.residual.inputs - len(self.residual.outputs)

    def solved_for(self, key: Any, function: Any, node: Any, operands: Sequence[Any], more: Sequence[Any]) -> Any:
        """The block that a function makes of the residual's operands, the solution, and more."""
        given = [*operands[: self.count], *[element(node, k) for k in range(len(self.residual.outputs))], *more]
        made = self.call(key, function, [*self.solution_point, *[1.0] * len(more)])(*given)
        if modes.active and modes.current().anomaly:
            numbers = getattr(made, "_data", made)
            if not all(map(math.isfinite, numbers)) and all(math.isfinite(known(x)) for x in given):
                raise AnomalyError(
                    f"{self.name}: the Jacobian is singular at the solution, where its derivative is "
                    f"{', '.join(map(repr, numbers))}\n  {self.place}"
                )
        return made

    def jacobian(self, leaves: list[Any]) -> tuple[Linearised, list[list[Any]]]:
        """The residual at its operands and the solution, and its derivative by the latter."""
        n, m = len(self.residual.outputs), self.count
        run = Linearised(self.residual, leaves[: m + n])
        rows = [run.backward([(i, 1.0)], {}) for i in range(n)]
        return run, [[row(m + j) for j in range(n)] for row in rows]

    def pull_back(self, node: Any, operands: Sequence[Any], adjoint: Vector, wanted: Sequence[bool]) -> list[Any]:
        n, m = len(self.residual.outputs), self.count
        chosen = list(compress(range(m), wanted))

        def back(leaves: list[Any]) -> list[Any]:
            run, rows = self.jacobian(leaves)
            multipliers = solved([list(column) for column in zip(*rows, strict=True)], leaves[m + n :])
            found = run.backward([(i, -x) for i, x in enumerate(multipliers)], {})
            return [found(k) for k in chosen]

        bars = [0.0 if x is None else x for x in [adjoint[k] for k in range(n)]]
        made = self.solved_for(("implicit", *chosen), back, node, operands, bars)
        return spread(made, [each and k < m for k, each in enumerate(wanted)])

    def push_forward(self, node: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Vector:
        n, m = len(self.residual.outputs), self.count
        seeded = [k for k in range(m) if tangents[k] is not None]

        def ahead(leaves: list[Any]) -> list[Any]:
            run, rows = self.jacobian(leaves)
            moved = run.forward(dict(zip(seeded, leaves[m + n :], strict=True)))
            return solved(rows, [-x for x in moved])

        made = self.solved_for(("implicit ahead", *seeded), ahead, node, operands, [tangents[k] for k in seeded])
        return Vector({}, [Column(0, n, made)])


class _Solution(_Implicit, DifferentiableCall):
    """What a solver of ours finds, which is a program."""


class _Found(_Implicit, Foreign):
    """What somebody's solver finds, which is called with numbers."""

    solver: Callable[..., Sequence[float]]

    def run(self, operands: Sequence[Any], keep: bool, functions: Any) -> Sequence[float]:
        return self.solver(operands)


def solved(matrix: list[list[Any]], right: Sequence[Any]) -> list[Any]:
    """The solution of a linear system, by elimination with the largest element of each column as pivot."""
    n = len(matrix)
    rows = [[*row, x] for row, x in zip(matrix, right, strict=True)]
    for k in range(n):
        for i in range(k + 1, n):  # the larger one to row k
            larger = abs(rows[i][k]) > abs(rows[k][k])
            pairs = list(zip(rows[k], rows[i], strict=True))
            rows[k] = [where(larger, b, a) for a, b in pairs]
            rows[i] = [where(larger, a, b) for a, b in pairs]
        for i in range(k + 1, n):
            factor = div(rows[i][k], rows[k][k])
            rows[i] = [0.0 if j <= k else b - factor * a for j, (a, b) in enumerate(zip(rows[k], rows[i], strict=True))]
    found: list[Any] = [0.0] * n
    for k in range(n - 1, -1, -1):
        total = rows[k][n]
        for j in range(k + 1, n):
            total = total - rows[k][j] * found[j]
        found[k] = div(total, rows[k][k])
    return found


def root(f: Callable[..., Any], x0: Any, *args: Any, bracket: tuple[Any, Any] | None = None) -> Any:
    """Find x with `f(x, *args) = 0`, by Newton's method from `x0`.

    - `x0`: where to begin, a number or nested lists, tuples and dicts of n numbers; `f` returns n numbers. The step is
      halved while it makes the largest |f| no smaller (damped Newton).
    - `bracket`: for one number, two ends between which `f` changes its sign: the root is found between them, by
      Newton's method where it converges, else by halving.

    The derivative by `args`, and by `Value`s that `f` uses, is that of the solution, by the implicit function theorem,
    at any order; by `x0` and `bracket` it is zero. Compiled, it is a loop. Where the Jacobian is singular at the
    solution, as at a double root, the derivative is inf, or nan where the theorem says nothing (0/0, most systems), and
    an `AnomalyError` under `detect_anomaly()`.

    Raises `LoopError` where no root is found in 100 steps, with the numbers it has come to and the step at which
    `f` was not finite or its Jacobian singular, if one was; `ValueError` where `f` returns another number of numbers.

    >>> import scalargrad as sg
    >>> kepler = lambda m, e: sg.root(lambda x, m, e: x - e * sg.sin(x) - m, m, m, e)  # Kepler's equation
    >>> round(kepler(1.0, 0.3), 9), round(sg.grad(kepler)(1.0, 0.3), 9)
    (1.288091313, 1.091329301)
    >>> sg.root(lambda x, a: x * x - a, 1.0, 9.0, bracket=(0.0, 10.0))
    3.0
    """
    if bracket is not None:
        if flatten(x0)[1] != LEAF or not isinstance(bracket, tuple | list) or len(bracket) != 2:
            raise ValueError("root: a bracket is two numbers, for x0 that is one number")

        def within(residual: Residual, given: list[Any], _: Any) -> list[Any]:
            return [_bracketed(lambda x: residual([x])[0], *given)]

        ends = [number(x, f"bracket[{k}]") for k, x in enumerate(bracket)]
        return _solution("root", f, x0, args, within, ends)
    return _solution("root", f, x0, args, lambda residual, given, _: _newton("root", residual, given))


def minimum(f: Callable[..., Any], x0: Any, *args: Any) -> Any:
    """Find x at which `f(x, *args)`, one number, is least near `x0`, by Newton's method.

    Takes what `root` takes, and differentiates as it does: by the implicit function theorem, from `df/dx = 0`. Steps go
    against the gradient where Newton's do not go downhill, and are halved while `f` grows. Where the gradient is zero
    it stops: at a saddle or a maximum, too, if it begins there.

    Raises `LoopError` where none is found in 1000 steps, `TypeError` where `f` returns something else than one number.

    >>> import scalargrad as sg
    >>> def rosenbrock(x, a):
    ...     return (a - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2
    >>> [round(x, 9) for x in sg.minimum(rosenbrock, [-1.2, 1.0], 1.5)]
    [1.5, 2.25]
    >>> round(sg.grad(lambda a: sg.minimum(rosenbrock, [-1.2, 1.0], a)[1])(1.5), 9)  # 2 a
    3.0
    """
    are_functions("minimum", f)
    structure = flatten(x0, "x0")[1]

    def height(x: Any, *args: Any) -> Any:
        return number(f(x, *args), "minimum: what f returned")

    def downhill(residual: Residual, given: list[Any], arguments: tuple[Any, ...]) -> list[Any]:
        return _newton("minimum", residual, given, lambda xs: height(unflatten(structure, xs), *arguments))

    return _solution("minimum", grad(height), x0, args, downhill)


def fixed_point(f: Callable[..., Any], x0: Any, *args: Any, max_steps: int = 1000) -> Any:
    """Find x with `x = f(x, *args)`, by repeating `x = f(x, *args)` from `x0` until x stays what it is.

    Takes what `root` takes, and differentiates as it does, by the implicit function theorem. Raises `LoopError` where x
    still changes, by more than 2**-50 of it, after `max_steps`.

    >>> import scalargrad as sg
    >>> x = sg.fixed_point(sg.cos, 1.0)
    >>> round(x, 9), round(sg.grad(lambda a: sg.fixed_point(lambda x, a: sg.cos(a * x), 1.0, a))(1.0), 9)
    (0.739085133, -0.297474342)
    """
    max_steps = whole("fixed_point: max_steps", max_steps)
    are_functions("fixed_point", f)

    def repeat(residual: Residual, given: list[Any], _: Any) -> list[Any]:
        def step(carry: Any) -> Any:
            x, _ = carry
            moved = residual(x)
            return [a - b for a, b in zip(x, moved, strict=True)], 1.0 - _close(moved, x)

        notes = {len(given): ""}
        going = repeated(lambda c: c[1] > 0.0, step, (given, 1.0), max_steps, "fixed_point: none found", notes)
        return list(going[0])

    def change(x: Any, *args: Any) -> Any:
        leaves, structure = flatten(x)
        what = "fixed_point: what f returned"
        after = numbers_like(f(x, *args), structure, what)
        return [a - b for a, b in zip(leaves, after, strict=True)]

    return _solution("fixed_point", change, x0, args, repeat)


def _largest(xs: Sequence[Any]) -> Any:
    return reduce(lambda worst, size: where(size <= worst, worst, size), map(abs, xs), 0.0)  # a nan is the largest


def _close(step: Sequence[Any], x: Sequence[Any]) -> Any:
    """1.0 where a step is lost in rounding, else 0.0."""
    return where(_largest(step) <= CLOSE * _largest(x), 1.0, 0.0)


def _newton(
    name: str, residual: Residual, start: list[Any], value: Callable[[list[Any]], Any] | None = None
) -> list[Any]:
    """Newton's method, damped: a step is halved while it makes the residual no smaller; or, where that is the gradient
    of a `value`, while it makes this no less, as far as that is more than rounding."""
    n = len(start)

    def step(carry: Any) -> Any:
        x, factor, _, singular, k = carry
        now, pull_back = vjp(lambda *xs: residual(xs), *x)
        rows = [pull_back([float(i == j) for j in range(n)]) for i in range(n)]
        moves = solved([list(row) for row in rows], now)
        lost = where(_largest(moves) < math.inf, 0.0, 1.0)
        if value is not None:
            slope = dot(now, moves)
            falls = (slope > 0.0) & (slope < math.inf)
            moves = [where(falls, d, g) for d, g in zip(moves, now, strict=True)]
            lost = 0.0
        after = [a - factor * d for a, d in zip(x, moves, strict=True)]
        better = _largest(residual(after)) < _largest(now)
        if value is not None:
            here, there = value(x), value(after)
            better = (there < here) | (better & (there - here <= CLOSE * abs(here)))
        done = where(_largest(now) <= 0.0, 1.0, _close(moves, x))
        near: Any = 0.0 if value is not None else 1.0
        for a, d in zip(x, moves, strict=True):
            near = where(abs(d) <= NEAR * abs(a), near, 0.0)
        done = where(better, done, where(done > 0.0, done, near))
        return (
            [where(better, b, a) for a, b in zip(x, after, strict=True)],
            where(better, 1.0, 0.5 * factor),
            done,
            where(singular > 0.0, singular, lost * (k + 1.0)),
            k + 1.0,
        )

    notes = {n: "", n + 2: "f was not finite, or its Jacobian singular, at step {}"}
    init = (start, 1.0, 0.0, 0.0, 0.0)
    steps = STEPS if value is None else 10 * STEPS
    return list(repeated(lambda c: c[2] < 1.0, step, init, steps, f"{name}: none found", notes)[0])


def _bracketed(residual: Callable[[Any], Any], start: Any, low: Any, high: Any) -> Any:
    at_low, at_high = residual(low), residual(high)
    wrong = where(at_low * at_high > 0.0, 1.0, 0.0)
    inside = (low < start) & (start < high)
    first = where(inside, start, low + 0.5 * (high - low))
    first = where(abs(at_high) <= 0.0, high, where(abs(at_low) <= 0.0, low, first))

    def step(carry: Any) -> Any:
        low, high, x, before, _, wrong = carry
        now, pull_back = vjp(residual, x)
        (slope,) = pull_back(1.0)
        left = where(at_low < 0.0, now < 0.0, now > 0.0)
        low, high = where(left > 0.0, x, low), where(left > 0.0, high, x)
        newton = x - div(now, slope)
        good = (low < newton) & (newton < high) & (abs(newton - x) < 0.5 * before)
        after = where(good, newton, low + 0.5 * (high - low))
        zero = abs(now) <= 0.0
        after = where(zero, x, after)
        done = where(zero, 1.0, _close([after - x], [after])) * (1.0 - wrong)
        return low, high, after, abs(after - x), done, wrong

    init = (low, high, first, abs(high - low), 0.0, wrong)
    notes = {3: "", 5: "f has the same sign at both ends of the bracket"}
    return repeated(lambda c: c[4] < 1.0, step, init, 2 * STEPS, "root: none found", notes)[2]


def _solution(
    name: str,
    f: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...],
    solve: Callable[[Residual, list[Any], tuple[Any, ...]], list[Any]],
    ends: Sequence[Any] = (),
) -> Any:
    """What a solver of ours finds, with the derivative of the solution, to which where it begins does not matter."""
    place = modes.users_line()
    are_functions(name, f)
    start, structure = numbers(x0, "x0")
    n = len(start)
    start += ends
    given, arguments = numbers(args, "args")

    def residual(xs: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
        found, _ = numbers(f(unflatten(structure, xs), *unflatten(arguments, leaves)), f"{name}: what f returned")
        if len(found) != n:
            raise ValueError(f"{name}: f returns {len(found)} number(s) for {n} unknown(s)\n  at {place}")
        return found

    if not any(isinstance(x, Value) for x in (*given, *start)):
        solution = solve(lambda xs: residual(xs, given), start, args)
        if not any(isinstance(x, Value) for x in solution):
            return unflatten(structure, solution)
    count = len(given)
    point = [*map(known, given), *map(known, start)]
    (program, equation), outside = traced_bodies(
        [
            lambda leaves: solve(
                lambda xs: residual(xs, leaves[:count]), leaves[count:], unflatten(arguments, leaves[:count])
            ),
            lambda leaves: residual(leaves[count:], leaves[:count]),
        ],
        [point, point[: count + n]],
        f"the function of {name}",
    )
    shared = [*map(known, outside)]
    operation = _Solution(name, [program], [*shared, *point], f"at {place}")
    operation.residual, operation.solution_point = equation, [*shared, *point[: count + n]]
    made = operation(*outside, *given, *start)
    return unflatten(structure, [element(made, k) for k in range(n)])


def custom_root(residual: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a solver, anybody's, so that what it finds has derivatives: `residual(x, *args) = 0` defines it.

    The solver takes `(x0, *args)` and returns x, as jaxopt's; both are numbers or nested lists, tuples and dicts of
    such. It is called with plain numbers; compiled code calls it back, in `.map` one sample at a time. Derivatives by
    `args` are those of `root`.
    A solver that raises at numbers with which a branch or a body is traced, but not run, is taken to return what has
    the structure of `x0`, for None a number.
    Raises `TypeError` where the solver returns what are no numbers, `ValueError` where `residual` returns another
    number of numbers than x has, or the solver another structure than it did where it was traced.

    >>> import scalargrad as sg
    >>> @sg.custom_root(lambda x, a: x * x - a)
    ... def bisection(x0, a):
    ...     low, high = 0.0, a + 1.0
    ...     for _ in range(100):
    ...         middle = (low + high) / 2.0
    ...         low, high = (middle, high) if middle * middle < a else (low, middle)
    ...     return low
    >>> round(bisection(None, 9.0), 9), round(sg.grad(bisection, 1)(None, 9.0), 9)
    (3.0, 0.166666667)
    """

    are_functions("custom_root", residual)

    def decorate(solver: Callable[..., Any]) -> Callable[..., Any]:
        are_functions("custom_root", solver)

        @wraps(solver)
        def call(x0: Any, *args: Any) -> Any:
            return _called_back(residual, solver, x0, args)

        return call

    return decorate


def _called_back(equation: Callable[..., Any], solver: Callable[..., Any], x0: Any, args: tuple[Any, ...]) -> Any:
    place = modes.users_line()
    name = getattr(solver, "__name__", "solver")
    leaves, structure = flatten((args, x0), "arguments")
    if not any(isinstance(x, Value) for x in leaves):
        x = solver(x0, *args)
        numbers(x, f"what {name} returned")
        return x
    varies = [k for k, x in enumerate(leaves) if isinstance(x, Value)]
    count = sum(k < len(flatten(args)[0]) for k in varies)
    what = f"what {name} returned"
    form: list[Structure] = []  # of what is returned, at every call

    def solve(operands: Sequence[float]) -> list[float]:
        numbers = list(leaves)
        for k, x in zip(varies, operands[-len(varies) :], strict=True):
            numbers[k] = x
        given, begin = unflatten(structure, numbers)
        with modes.not_tracing():
            x = solver(begin, *given)
        if not form:
            form.append(flatten(x, what)[1])
        return [as_float(x, at) for x, at in zip(leaves_like(x, form[0], what), paths(form[0], what), strict=True)]

    at = [known(leaves[k]) for k in varies]
    try:
        at = numbers_now([leaves[k] for k in varies])
        solution = solve(at)
    except Exception:
        tracer = modes.tracer() if modes.active else None
        if tracer is None or not tracer.elsewhere:  # else the run itself raises it, where there is one
            raise
        begin, structure_of_x0 = flatten(x0, "x0")
        form[:] = [structure_of_x0 if begin else LEAF]
        solution = [math.nan] * len(begin or [x0])
    made_of = form[0]
    n = len(solution)

    def residual(numbers: Sequence[Any]) -> list[Any]:
        given = list(leaves)
        for k, x in zip(varies[:count], numbers, strict=False):
            given[k] = x
        args, _ = unflatten(structure, given)
        result = flatten(equation(unflatten(made_of, numbers[count:]), *args), "what the residual returned")[0]
        if len(result) != n:
            raise ValueError(f"{name}: the residual returns {len(result)} number(s) for {n} unknown(s)\n  at {place}")
        return [number(x, "what the residual returned") for x in result]

    (program,), outside = traced_bodies([residual], [[*at[:count], *solution]], f"the residual of {name}")
    shared = [*map(known, outside)]
    operation = _Found(name, len(outside) + len(varies), n, f"at {place}")
    operation.residual, operation.solution_point = program, [*shared, *at[:count], *solution]
    operation.solver = solve
    made = operation(*outside, *[leaves[k] for k in varies])
    return unflatten(made_of, [element(made, k) for k in range(n)])
