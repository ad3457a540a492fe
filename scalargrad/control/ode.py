"""`odeint`: ordinary differential equations, by steps of fixed size or of a size that follows the error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..engine.primitive import as_float
from ..engine.table import div
from ..engine.value import Value
from ..functions import clamp, dot, pow, primitives, sqrt, sum, where  # noqa: A004  # of scalargrad
from ..state import whole
from ..transforms.derivatives import vjp
from ..transforms.trees import flatten, unflatten
from .columns import are_functions, columns_from, columns_of, number, numbers, numbers_like, written
from .custom import custom_vjp
from .loops import repeated, scan

# Dormand and Prince, Journal of Computational and Applied Mathematics 6 (1980): nodes, stages, error, dense output
# (Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section II.6).
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_DENSE = (
    -12715105075 / 11282082432, 0.0, 87487479700 / 32700410799, -10690763975 / 1880347072,
    701980252875 / 199316789632, -1453857185 / 822651844, 69997945 / 29380423,
)  # fmt: skip

Right = Callable[[Sequence[Any], Any], list[Any]]  # y and t to dy/dt, in flat numbers


def odeint(
    f: Callable[..., Any],
    y0: Any,
    ts: Any,
    *args: Any,
    method: str = "dopri5",
    rtol: float = 1e-8,
    atol: float = 1e-8,
    steps: int = 10,
    max_steps: int = 1000,
    gradient: str = "steps",
) -> Any:
    """Solve `dy/dt = f(y, t, *args)` from `y(ts[0]) = y0`; return y at all `ts`.

    - `y0`: a number or nested lists, tuples and dicts of numbers, as what `f` returns; `ts`: a list or an array of
      times, increasing or decreasing. The result has a column for each number, or list, of `y0`, as `scan` returns.
    - `method`: "dopri5", Dormand and Prince's of order 5, whose steps keep the estimated error of a step below
      `atol + rtol |y|` (root mean square), with dense output at `ts`, and at most `max_steps` steps between two times;
      or "rk4", the classical one, with `steps` equal steps between two times.
    - `gradient`: "steps", the derivative of the steps that were taken, whose sizes are taken as constants; or
      "adjoint", the adjoint equation solved backwards, in memory that does not grow with the steps, as exact as `rtol`
      (Chen et al., 2018); then `f` may use no `Value`s but its arguments.

    It is one `scan`, and compiles to a loop. Raises `LoopError` where `max_steps` is too few, and for unordered times
    that only the call knows; `ValueError` for other unordered times, an option that cannot be, and an `f`
    that returns another structure than `y0` has.

    >>> import scalargrad as sg
    >>> decay = lambda rate: sg.odeint(lambda y, t, rate: -rate * y, 1.0, [0.0, 1.0, 2.0], rate)
    >>> [round(y, 6) for y in decay(0.5)]
    [1.0, 0.606531, 0.367879]
    >>> round(sg.grad(lambda rate: decay(rate)[2])(0.5), 5)  # -2 exp(-1)
    -0.73576
    """
    if method not in ("dopri5", "rk4"):
        raise ValueError(f"odeint: method must be 'dopri5' or 'rk4', got {method!r}")
    if gradient not in ("steps", "adjoint"):
        raise ValueError(f"odeint: gradient must be 'steps' or 'adjoint', got {gradient!r}")
    steps, max_steps = whole("odeint: steps", steps), whole("odeint: max_steps", max_steps)
    for name, bound in (("rtol", rtol), ("atol", atol)):
        if not as_float(bound, f"odeint: {name}") >= 0.0:
            raise ValueError(f"odeint: {name} must be at least 0, got {bound!r}")
    are_functions("odeint", f)
    ts = ts.tolist() if hasattr(ts, "tolist") else ts
    if not isinstance(ts, list | tuple):
        raise TypeError(f"odeint: ts must be a list or an array of times, got {type(ts).__name__}")
    times = [number(t, f"ts[{k}]") for k, t in enumerate(ts)]
    if not times:
        raise ValueError("odeint: ts has no time to begin at")
    plain = [t for t in times if not isinstance(t, Value)]
    signs = {(a < b) - (a > b) for a, b in pairwise(plain)}
    if len(signs) > 1 or 0 in signs:
        raise ValueError("odeint: ts must increase, or decrease, from each time to the next")
    sign = float(next(iter(signs), 1)) if len(plain) == len(times) else None
    start, structure = numbers(y0, "y0")

    def right(y: Sequence[Any], t: Any, args: Sequence[Any]) -> list[Any]:
        return numbers_like(f(unflatten(structure, y), t, *args), structure, "odeint: what f returned")

    options = _Options(method, rtol, atol, steps, max_steps)
    if gradient == "adjoint":
        rows = _by_adjoint(right, sign, options)(start, times, args)
    else:
        rows = _solved(lambda y, t: right(y, t, args), start, times, sign, options)
    return written(structure, iter(columns_from(rows, columns_of(structure))), len(times))


class _Options(NamedTuple):
    method: str
    rtol: float
    atol: float
    steps: int
    max_steps: int


def _solved(
    f: Right, y0: Sequence[Any], times: Sequence[Any], sign: float | None, options: _Options
) -> list[list[Any]]:
    """The solution at all times; `sign` is -1.0 where they decrease, None where only the times themselves tell."""
    if len(times) == 1:
        return [list(y0)]
    rises = sign == 1.0
    # As a node, which a plain comparison makes in no eager run: so the same graph is differentiated everywhere.
    direction = 1.0 - 2.0 * primitives.lt(times[-1], times[0]) if sign is None else sign

    def ahead(y: Sequence[Any], s: Any) -> list[Any]:  # in s = sign t, which increases
        return f(y, s) if rises else [direction * d for d in f(y, direction * s)]

    s = list(times) if rises else [direction * t for t in times]
    step, init = (_classical if options.method == "rk4" else _embedded)(ahead, list(y0), s[0], s[1], options)

    def interval(carry: Any, between: Any) -> tuple[Any, Any]:
        if sign is None:  # times that the call alone knows
            ahead_by = _detached(between[1] - between[0])
            repeated(lambda d: ~(d > 0.0), lambda d: d, ahead_by, 1, "odeint: a time is not after the one before", {})
        return step(carry, *between)

    _, rows = scan(interval, init, (s[:-1], s[1:]))
    return [list(y0), *rows]


def _moved(y: Sequence[Any], h: Any, weights: Sequence[float], ks: Sequence[Sequence[Any]]) -> list[Any]:
    used = [(w, k) for w, k in zip(weights, ks, strict=True) if w]
    return [a + h * sum([w * k[i] for w, k in used]) for i, a in enumerate(y)]


Interval = Callable[[Any, Any, Any], tuple[Any, Any]]  # what is carried, a time and the next, to that and the y there


def _classical(f: Right, y0: list[Any], start: Any, second: Any, options: _Options) -> tuple[Interval, Any]:
    """Runge's and Kutta's method of order 4 from one time to the next, and what it carries at the beginning."""

    def interval(y: Any, t: Any, target: Any) -> tuple[Any, Any]:
        h = (target - t) / options.steps

        def step(carry: Any, _: None) -> tuple[Any, None]:
            y, t = carry
            a = f(y, t)
            b = f(_moved(y, 0.5 * h, (1.0,), (a,)), t + 0.5 * h)
            c = f(_moved(y, 0.5 * h, (1.0,), (b,)), t + 0.5 * h)
            d = f(_moved(y, h, (1.0,), (c,)), t + h)
            return (_moved(y, h / 6.0, (1.0, 2.0, 2.0, 1.0), (a, b, c, d)), t + h), None

        (y, _), _ = scan(step, (y, t), length=options.steps)
        return y, y

    return interval, y0


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, Value) else x


def _size(xs: Sequence[Any], scale: Sequence[Any]) -> Any:
    """The root mean square of numbers, each by its scale, without derivatives."""
    ratios = [div(_detached(x), s) for x, s in zip(xs, scale, strict=True)]
    return sqrt(sum([r * r for r in ratios]) / max(len(ratios), 1))


def _embedded(f: Right, y0: list[Any], start: Any, second: Any, options: _Options) -> tuple[Interval, Any]:
    """Dormand's and Prince's method from one time to the next, and what it carries at the beginning."""
    n = len(y0)

    def scale(y: Sequence[Any]) -> list[Any]:
        return [options.atol + options.rtol * abs(_detached(x)) for x in y]

    def first_step(k: list[Any]) -> Any:  # as in the book, section II.4
        by = scale(y0)
        size, slope = _size(y0, by), _size(k, by)
        h = where((size < 1e-5) | (slope < 1e-5), 1e-6, 0.01 * size / where(slope > 0.0, slope, 1.0))
        after = f([_detached(a + h * d) for a, d in zip(y0, k, strict=True)], _detached(start + h))
        bend = div(_size([a - b for a, b in zip(after, k, strict=True)], by), h)
        most = where(bend > slope, bend, slope)
        other = where(most <= 1e-15, 0.001 * h, pow(0.01 / where(most > 0.0, most, 1.0), 0.2))
        h = where(other < 100.0 * h, other, 100.0 * h)
        whole = _detached(second - start)
        return where(h < whole, h, whole)

    def step(carry: Any) -> Any:
        t, h, y, k, *_ = carry
        ks = [k]
        after = y
        for node, weights in zip(_NODES, _STAGES, strict=True):
            after = _moved(y, h, weights, ks)
            ks.append(f(after, t + node * h))
        error = [h * sum([w * k[i] for w, k in zip(_ERROR, ks, strict=True)]) for i in range(n)]
        larger = [where(abs(_detached(a)) > abs(_detached(b)), a, b) for a, b in zip(y, after, strict=True)]
        ratio = _size(error, scale(larger))
        accepted = ratio <= 1.0
        factor = clamp(0.9 * pow(ratio, -0.2), 0.2, where(accepted, 10.0, 1.0))
        change = [b - a for a, b in zip(y, after, strict=True)]
        bent = [h * a - d for a, d in zip(k, change, strict=True)]
        dense = [
            y,
            change,
            bent,
            [d - h * a - b for d, a, b in zip(change, ks[6], bent, strict=True)],
            [h * sum([w * k[i] for w, k in zip(_DENSE, ks, strict=True)]) for i in range(n)],
        ]
        new = (t + h, h * where(factor == factor, factor, 0.2), after, ks[6], t, dense)
        old = flatten((t, new[1], *carry[2:]))[0]
        found, structure = flatten(new)
        return unflatten(structure, [where(accepted, b, a) for a, b in zip(old, found, strict=True)])

    def interval(carry: Any, _: Any, target: Any) -> tuple[Any, Any]:
        failure = "odeint: the next time is not reached"
        carry = repeated(lambda c: c[0] < target, step, carry, options.max_steps, failure, {})
        t, _, _, _, before, (a, b, c, d, e) = carry
        x = (target - before) / (t - before)
        rest = 1.0 - x
        terms = zip(a, b, c, d, e, strict=True)
        return carry, [p + x * (q + rest * (r + x * (u + rest * v))) for p, q, r, u, v in terms]

    slope = f(y0, start)
    return interval, (start, first_step(slope), y0, slope, start, [list(y0) for _ in range(5)])


def _by_adjoint(
    right: Callable[[Sequence[Any], Any, Sequence[Any]], list[Any]], sign: float | None, options: _Options
) -> Callable[..., list[list[Any]]]:
    """The solution, with the derivative that the adjoint equation gives.

    From one time back to the one before: dy/dt = f, d(ybar)/dt = -ybar df/dy, d(abar)/dt = -ybar df/da.
    """

    @custom_vjp
    def odeint(y0: Any, times: Any, args: Any) -> Any:
        return _solved(lambda y, t: right(y, t, args), y0, times, sign, options)

    def forward(y0: Any, times: Any, args: Any) -> Any:
        rows = odeint(y0, times, args)
        return rows, (rows, times, args)

    def backward(residuals: Any, bars: Any) -> Any:
        rows, times, args = residuals
        leaves, structure = flatten(args)
        n = len(rows[0])

        def ahead(z: Sequence[Any], t: Any) -> list[Any]:
            slope, pull_back = vjp(lambda y, a: right(y, t, unflatten(structure, a)), list(z[:n]), leaves)
            to_y, to_args = pull_back([-x for x in z[n : 2 * n]])
            return [*slope, *to_y, *to_args]

        def interval(carry: Any, x: Any) -> Any:
            bar, of_args = carry
            row, here, end, start = x
            total = [a + b for a, b in zip(bar, here, strict=True)]
            _, z = _solved(ahead, [*row, *total, *of_args], [end, start], sign and -sign, options)
            return (z[n : 2 * n], z[2 * n :]), dot(here, right(row, end, args))

        init = ([0.0] * n, [0.0] * len(leaves))
        (bar, of_args), of_times = scan(interval, init, (rows[1:], bars[1:], times[1:], times[:-1]), reverse=True)
        first = -dot(bar, right(rows[0], times[0], args))
        return [a + b for a, b in zip(bar, bars[0], strict=True)], [first, *of_times], unflatten(structure, of_args)

    odeint.defvjp(forward, backward)
    return odeint
