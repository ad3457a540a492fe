"""`check_grads`: every claimed derivative of a function against its measured one, and a report of what was found.

Arguments, outputs and orders of derivative are sorted out here; `stencils.py` measures and `verdicts.py` judges.
Nothing but the standard library is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from random import Random
from typing import Any

from ..engine.primitive import Interval, Primitive
from ..functions import primitives
from ..state import whole
from ..transforms.derivatives import jacobian
from .checks import Check, Function, Gradient, JacobianVector, VectorJacobian, same
from .points import Layout, Point, flat, numbers, ordered
from .reports import Finding, GradientError, Report, UndecidedError

observers: list[Callable[[Report], None]] = []  # called with every report, before anything is raised
LARGE, SOME, SUMS = 64, 16, 4  # of more outputs than LARGE, SOME are checked at the next order, and SUMS sums of all


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int | None = None,
    *,
    gradient: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    jvp: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    argnums: int | Sequence[int] | None = None,
    rtol: float = 1e-10,
    undecided: str = "raise",
    only: str | None = None,
    coordinates: int = 100,
    directions: int = 8,
    seed: int = 0,
) -> Report:
    """Check the derivatives of a function at a point against measured ones, order by order.

    `f` takes numbers, or what holds numbers (lists, tuples, dicts, dataclasses, arrays), and returns such; `args` are
    its arguments, as a tuple. An array of another library than NumPy is known by its protocols, and must be of float64;
    `f` and the claims get arrays of its kind. Without `gradient`, `f` is written in scalargrad's functions, and what is
    checked is what scalargrad makes of it, up to `order`, 2 if not given. The derivatives of order `k` are checked as
    the slopes of those of order `k - 1`.

    - `gradient`: any other claim. A function that takes what `f` takes and returns the derivatives by all numbers of
      `args` (of each output in turn, if `f` has several), in any nesting, also as an array; where the arguments have
      dicts, it has them too, matched by key. By arrays, the derivatives of an array of shape `s` may also come as JAX
      and PyTorch give them: in the structure of the arguments, in the place of one of shape `t` one of shape `s + t`.
      Several such functions, for orders 1, 2, ...: gradient, Hessian, ... They are called with plain floats, as `f` is.
    - `jvp`, `vjp`: claims of products. `jvp(args, tangents)` returns `J v` in the shape of the result, `vjp(args,
      cotangent)` returns `v J`, a tree for each argument differentiated by. In JAX, `lambda args, v: jax.jvp(f, args,
      v)[1]` and `lambda args, v: jax.vjp(f, *args)[1](v)`. Both are asked for single derivatives and for sums of them.
    - `argnums`: the arguments to differentiate by, all if not given. The others are handed on as they are.
    - `rtol`: a relative difference that is always allowed. Beyond it, the tolerance is four times the estimated error.
    - `undecided`: `"raise"`, `"report"` or `"reject"`: what to do about derivatives that cannot be judged: raise
      `UndecidedError`, leave it to the caller, or discard the example, inside a hypothesis test.
    - `only`: an input such as `"args[0]['w'][1]"`: check no other.
    - `coordinates`: with more inputs than that, so many of them, chosen at random, are checked one by one, and all of
      them together along as many random directions as `directions` says; a wrong one among them is found by bisection.
    - `seed`: of these choices.

    Returns a `Report`; what its states mean is written at `State`. Raises `GradientError`, an `AssertionError` with the
    report as its text, if a claim is wrong, `UndecidedError` as above, `TypeError` and `ValueError` for arguments that
    are not as described here, `ValueError` if two calls at the point give different numbers. `ArithmeticError` and
    `ValueError` raised by `f` next to the point are taken for the edge of its domain. A check takes a few milliseconds,
    at a kink or an edge up to a tenth of a second: in a hypothesis test, say `@settings(deadline=None)`.

    >>> from scalargrad import exp, sin
    >>> print(check_grads(lambda p: exp(p["a"]) * sin(p["b"][0]), ({"a": 0.5, "b": [1.0, 2.0]},)))
    f: 12 derivatives checked: agrees 12
    >>> import math
    >>> check_grads(math.sin, (0.5,), gradient=lambda x: 1.0 - x * x / 2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    scalargrad.testing.reports.GradientError: sin: 1 derivative checked: WRONG 1
    WRONG: derivative of sin(*args) by args[0]
      claimed    0.875
      measured   0.87758256189..., estimated error ..., by six-point stencil, h = 2**-10
      difference 2.583e-03: 2.33e+13 ULP, relative 2.94e-03; allowed 8.8e-11
      reproduce  check_grads(sin, (0.5,), gradient=..., only='args[0]')
    """
    if undecided not in ("raise", "report", "reject"):
        raise ValueError(f'undecided: expected "raise", "report" or "reject", got {undecided!r}')
    own = gradient is None and (order is not None or jvp is None is vjp)
    given = _given(gradient, order) if own or gradient is not None else []
    point = Point(args, argnums)
    if only is not None and only not in point.paths:
        raise ValueError(f"only: {only!r} is none of the inputs: {', '.join(point.paths[:20])}")
    name = getattr(f, "__name__", "f")
    name = name if name.isidentifier() else "f"
    options = {"order": order, "gradient": gradient, "jvp": jvp, "vjp": vjp, "argnums": argnums, "rtol": rtol}
    call = _call(name, args, options)
    findings: list[Finding] = []
    for check in _checks(f, name, point, given, jvp, vjp, seed):
        check.call, check.rtol = call, rtol
        findings += check.findings(only, coordinates, directions, Random(f"{seed} {check.claim.order}"))
        check.repeated()
    report = Report(name, tuple(findings))
    for observe in observers:
        observe(report)
    if report.wrong:
        raise GradientError(report)
    if report.undecided and undecided == "raise":
        raise UndecidedError(report)
    if report.undecided and undecided == "reject":
        from hypothesis import reject

        reject()
    return report


def _call(name: str, args: Sequence[Any], options: dict[str, Any]) -> str:
    """The call as its user may have written it, up to the closing bracket; arguments too long to read by name."""
    shown = repr(tuple(args))
    parts = [name, shown if len(shown) <= 500 else "args"]
    for key, value in options.items():
        if callable(value):
            title = getattr(value, "__name__", "")
            parts.append(f"{key}={title if title.isidentifier() else '...'}")
        elif value is not None and (key, value) != ("rtol", 1e-10):
            parts.append(f"{key}={'[...]' if key == 'gradient' else value}")
    return f"check_grads({', '.join(parts)}"


def _given(gradient: Any, order: int | None) -> list[Callable[..., Any] | None]:
    """The claims of order 1, 2, ...; None for scalargrad's own."""
    order = None if order is None else whole("order", order)
    if gradient is None:
        return [None] * (2 if order is None else order)
    given = list(gradient) if isinstance(gradient, list | tuple) else [gradient]
    for each in given:
        if not callable(each):
            raise TypeError(f"gradient: expected a function, or several, got {type(each).__name__}")
    if not given or (order is not None and order > len(given)):
        raise ValueError(f"gradient: {len(given)} function(s) given, which do not serve order {order or 1}")
    return given[:order]


def _reduced(function: Function, random: Random) -> Function:
    """Some of very many derivatives, and random sums of all, so that the next order stays affordable."""
    f, labels, levels = function.f, function.labels, function.levels
    some = sorted(random.sample(range(len(labels)), SOME))
    signs = [[random.choice((-1.0, 1.0)) for _ in labels] for _ in range(SUMS)]

    def reduced(*arguments: Any) -> list[Any]:
        leaves = ordered(f(*arguments), "the gradient", levels, lambda x, what: x)
        return [leaves[k] for k in some] + [primitives.dot(*leaves, *each) for each in signs]

    names = [labels[k] for k in some]
    names += [f"(sum {k + 1} of all derivatives with random signs)" for k in range(SUMS)]
    return Function(reduced, function.point, names, [flat(len(names))], True)


def _checks(
    f: Callable[..., Any],
    name: str,
    point: Point,
    given: Sequence[Callable[..., Any] | None],
    jvp: Callable[..., Any] | None,
    vjp: Callable[..., Any] | None,
    seed: int,
) -> Iterator[Check]:
    """The check of each claim: of products first, then of the orders, each of which differentiates the last claim."""
    own = bool(given) and given[0] is None
    labels = [f"{name}(*args)"]
    first = Function(f, point, labels, own=own, on_values=own)
    result = first.result(point.inputs)
    layout = Layout(result, labels[0])
    start = numbers(result, "the function's result")
    if len(start) != len(layout.numbers):  # of what is no array, and still holds several
        layout = Layout(start, labels[0])
    function = Function(f, point, layout.paths, [layout.structure], own, on_values=own)
    same(start, function.evaluate(point.inputs), layout.paths)  # now, before anything is measured; and again at the end
    if jvp is not None:
        yield Check(function, JacobianVector(jvp, point, function.levels))
    if vjp is not None:
        units = [[float(i == k) for i in range(len(start))] for k in range(len(start))]
        random = Random(f"{seed} vjp")
        sums = [[random.choice((-1.0, 1.0, 2.0, -0.5)) for _ in start] for _ in range(2)]
        claim = VectorJacobian(vjp, point, [point.derivatives], outputs=layout, cotangents=[*units, *sums])
        yield Check(function.weighted(claim.cotangents), claim)
    for order, each in enumerate(given, 1):
        levels = [*function.levels, point.derivatives]
        gradient = Gradient(each or jacobian(function.f, point.argnums), point, levels, order, each is None)
        yield Check(function, gradient)
        labels = [f"(derivative of {each} by {path})" for each in function.labels for path in point.paths]
        function = Function(gradient.claim, point, labels, levels, each is None)
        if each is None and len(labels) > LARGE:
            function = _reduced(function, Random(f"{seed} {order}"))


def check_primitive(operation: Primitive, points: int = 20, order: int = 2, seed: int = 0) -> list[Report]:
    """Check the local gradients of an operation against measured ones, at random points of its domain.

    The points are drawn from the intervals given as `domain` to `@primitive`, one an operand: uniformly where both ends
    are finite, otherwise within 5 of the finite end, or of 0. An operation on any number of operands is given three.
    Returns a report a point; raises what `check_grads` raises, and `TypeError` for what is no operation. Points that
    are not decided are reported, not raised.

    >>> from scalargrad import log, primitive
    >>> @primitive(lambda y, a: 1.0 + log(a), domain=[(0.0, float("inf"))])
    ... def x_log_x(a):
    ...     import math
    ...     return a * math.log(a)
    >>> len(check_primitive(x_log_x))
    20
    """
    if not isinstance(operation, Primitive):
        raise TypeError(f"check_primitive: expected an operation made by @primitive, got {type(operation).__name__}")
    random = Random(seed)
    intervals = operation.domain if operation.arity is not None else operation.domain * 3
    drawn = [tuple(_drawn(interval, random) for interval in intervals) for _ in range(points)]
    return [check_grads(operation, operands, order=order, undecided="report") for operands in drawn]


def _drawn(interval: Interval, random: Random) -> float:
    low, high = interval
    low = low if isfinite(low) else (high - 5.0 if isfinite(high) else -5.0)
    high = high if isfinite(high) else low + (5.0 if isfinite(interval.low) else 10.0)
    return low + (high - low) * (0.001 + 0.998 * random.random())
