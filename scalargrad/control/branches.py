"""`cond`: one of two functions, by a number that is not known before the program runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..compiler.frontend.bodies import traced_bodies
from ..compiler.frontend.derived import DifferentiableCall
from ..engine import modes
from ..engine.primitive import CONSTANT
from ..engine.value import Value
from ..transforms.trees import flatten
from .columns import are_functions, truth
from .custom import Flat


def cond(pred: Any, f: Callable[..., Any], g: Callable[..., Any], *args: Any) -> Any:
    """Return `f(*args)` where `pred` holds, else `g(*args)`; the other one is not run.

    `pred` is a comparison, or a number, which holds if it is not zero; the arguments and both results are numbers or
    nested lists, tuples and dicts of numbers, the results of one structure. The meaning is that of `jax.lax.cond`. On
    floats it is the plain choice. On `Value`s, and where it is compiled, both functions are traced and one of them is
    run; the other contributes nothing to any derivative. In `.map`, eight samples are computed at once: one function
    is run where they agree, else both, and each sample takes its own.

    Raises `TypeError` where the two results have different structures, and for a `pred` that is no number.

    >>> import scalargrad as sg
    >>> h = lambda x: sg.cond(x > 0.0, lambda x: x * x, lambda x: -x, x)
    >>> h(3.0), h(-3.0), sg.grad(h)(3.0), sg.grad(h)(-3.0)
    (9.0, 3.0, 6.0, -1.0)
    """
    place = modes.users_line()
    flat = Flat(args, "args")
    are_functions("cond", f, g)
    pred = truth(pred, "cond: pred")
    traced = modes.active and modes.tracer() is not None and isinstance(pred, Value) and pred.operation is not CONSTANT
    if not traced and (modes.active and modes.current().anomaly):
        return (f if pred else g)(*args)
    if not traced and flat.plain:
        result = (f if pred else g)(*args)
        if not any(isinstance(x, Value) for x in flatten(result, "the result")[0]):
            return result
    arms = [flat.function(each, f"cond: what {name} returned") for each, name in ((f, "f"), (g, "g"))]
    bodies, outside = traced_bodies(arms, [flat.point, flat.point], "a branch of cond")
    if flat.found[0] != flat.found[1]:
        raise TypeError(f"cond: f and g return results of different structures\n  at {place}")
    point = [1.0, *[x._data for x in outside], *flat.point]
    which = pred if isinstance(pred, Value) else float(bool(pred))
    return flat.result(DifferentiableCall("cond", bodies, point, f"at {place}"), which, *outside)
