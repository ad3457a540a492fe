"""The same operations in NumPy, PyTorch, JAX and autograd, whichever are installed, at ordinary and at every awkward point.

Where one differs from scalargrad, either mathematics decides (mpmath says that ours is right: the peer rounds or overflows
on its way), or it is a point where libraries disagree, and stands in `DISAGREEMENTS` with the rule of the semantics that
justifies it. There is no third case, and no entry that nothing needs.
"""

from __future__ import annotations

import importlib
import itertools
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf, isfinite, isnan, nan
from typing import Any, NamedTuple

import mpmath as mp
import pytest

from scalargrad import Value, activations
from scalargrad import primitives as table

from . import accuracy
from .evidence import textbook
from .strategies import equal

Numbers = tuple[float, ...]
Answer = tuple[float, list[float] | None]  # value, and gradient by each operand; None from a peer without gradients

UNARY = (0.0, -0.0, 5e-324, 1e-310, 1e-200, 1e-8, 0.5, 1.0, 2.0, 2.5, 20.0, 40.0, 709.0, 745.0, 1e8, 1e200, inf, nan)
BINARY = (0.0, -0.0, 1e-200, 0.5, 1.0, 2.0, 3.0, 1e200, inf, nan)
KINKED = ("relu", "abs", "max", "min", "clamp", "where", "mod", "sign", "step", "floor", "ceil", "round", "leaky_relu")

# ---- the peers -------------------------------------------------------------------------------------------------------


def of_numpy() -> tuple[dict[str, Callable[..., Any]], Callable[..., Answer]]:
    np = importlib.import_module("numpy")

    def answer(f: Callable[..., Any], xs: Numbers) -> Answer:
        with np.errstate(all="ignore"):
            return float(f(*map(np.float64, xs))), None

    functions = {
        name: getattr(np, other)
        for name, other in {
            **{name: name for name in SHARED},
            "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
            "atanh": "arctanh", "atan2": "arctan2", "sub": "subtract", "mul": "multiply", "div": "divide",
            "pow": "power", "max": "maximum", "min": "minimum", "neg": "negative", "round": "rint", "mod": "mod",
            "sign": "sign", "cbrt": "cbrt", "clamp": "clip",
        }.items()
    }  # fmt: skip
    return functions, answer


SHARED = ("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
          "abs", "floor", "ceil", "hypot", "add")  # fmt: skip


def of_torch() -> tuple[dict[str, Callable[..., Any]], Callable[..., Answer]]:
    torch = importlib.import_module("torch")
    nn = torch.nn.functional

    def answer(f: Callable[..., Any], xs: Numbers) -> Answer:
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in xs]
        y = f(*leaves)
        y.backward()
        return y.item(), [0.0 if x.grad is None else x.grad.item() for x in leaves]

    functions = {name: getattr(torch, name) for name in SHARED}
    functions |= {
        "asin": torch.asin, "acos": torch.acos, "atan": torch.atan, "asinh": torch.asinh, "acosh": torch.acosh,
        "atanh": torch.atanh, "atan2": torch.atan2, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
        "pow": torch.pow, "max": torch.maximum, "min": torch.minimum, "neg": torch.neg, "round": torch.round,
        "sign": torch.sign, "sigmoid": torch.sigmoid, "relu": torch.relu, "erf": torch.erf, "erfc": torch.erfc,
        "softplus": partial(nn.softplus, threshold=1e300), "mod": torch.remainder, "clamp": torch.clamp,
        "logsumexp": lambda *xs: torch.logsumexp(torch.stack(xs), 0), "prod": lambda *xs: torch.stack(xs).prod(),
        "where": lambda c, a, b: torch.where(c != 0, a, b), "leaky_relu": partial(nn.leaky_relu, negative_slope=0.01),
        "elu": nn.elu,
    }  # fmt: skip
    return functions, answer


def of_jax() -> tuple[dict[str, Callable[..., Any]], Callable[..., Answer]]:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    jnp, nn = jax.numpy, jax.nn

    def answers(f: Callable[..., Any], points: list[Numbers]) -> list[Answer]:
        columns = [jnp.array(column) for column in zip(*points, strict=True)]
        ys, gradients = jax.vmap(jax.value_and_grad(f, argnums=tuple(range(len(columns)))))(*columns)
        return [(y, list(each)) for y, *each in zip(ys.tolist(), *(g.tolist() for g in gradients), strict=True)]

    functions = {name: getattr(jnp, name) for name in SHARED}
    functions |= {
        "asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan, "asinh": jnp.arcsinh, "acosh": jnp.arccosh,
        "atanh": jnp.arctanh, "atan2": jnp.arctan2, "sub": jnp.subtract, "mul": jnp.multiply, "div": jnp.divide,
        "pow": jnp.power, "max": jnp.maximum, "min": jnp.minimum, "neg": jnp.negative, "round": jnp.round,
        "sign": jnp.sign, "sigmoid": nn.sigmoid, "relu": nn.relu, "erf": jax.scipy.special.erf,
        "erfc": jax.scipy.special.erfc, "softplus": nn.softplus, "mod": jnp.mod, "clamp": jnp.clip,
        "logsumexp": lambda *xs: nn.logsumexp(jnp.stack(xs)), "prod": lambda *xs: jnp.prod(jnp.stack(xs)),
        "where": lambda c, a, b: jnp.where(c != 0, a, b), "cbrt": jnp.cbrt, "elu": nn.elu,
        "leaky_relu": partial(nn.leaky_relu, negative_slope=0.01),
    }  # fmt: skip
    return functions, answers


def of_autograd() -> tuple[dict[str, Callable[..., Any]], Callable[..., Answer]]:
    autograd = importlib.import_module("autograd")
    np, special = importlib.import_module("autograd.numpy"), None
    numpy = importlib.import_module("numpy")
    assert special is None

    def answer(f: Callable[..., Any], xs: Numbers) -> Answer:
        with warnings.catch_warnings(), numpy.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            y = f(*map(numpy.float64, xs))
            return float(y), [float(autograd.grad(f, k)(*map(numpy.float64, xs))) for k in range(len(xs))]

    functions = {name: getattr(np, name) for name in SHARED if name not in ("floor", "ceil", "hypot")}
    functions |= {
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh,
        "atanh": np.arctanh, "atan2": np.arctan2, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
        "pow": np.power, "max": np.maximum, "min": np.minimum, "neg": np.negative, "mod": np.mod,
        "logsumexp": lambda *xs: np.logaddexp(*xs),
    }  # fmt: skip
    return functions, answer


PEERS = {"numpy": of_numpy, "torch": of_torch, "jax": of_jax, "autograd": of_autograd}


# ---- ours ------------------------------------------------------------------------------------------------------------


def row_of(name: str) -> Any:
    if name == "leaky_relu":
        return lambda a: activations.leaky_relu(a, 0.01)
    if name == "elu":
        return lambda a: activations.elu(a)
    return table.TABLE[name]


def ours(name: str, xs: Numbers) -> Answer:
    leaves = [Value(x) for x in xs]
    y = row_of(name)(*leaves)
    y.backward()
    return y.data, [x.grad for x in leaves]


def points(name: str) -> Iterator[Numbers]:
    """Every awkward point, and ordinary ones."""
    signed = [s * x for x in UNARY for s in (1.0, -1.0)]
    pairs = [s * x for x in BINARY for s in (1.0, -1.0)]
    r = random.Random(name)
    if name in ("clamp", "where"):
        yield from itertools.product((-1.0, 0.0, 0.5, 2.0, nan, inf), (0.0, 0.5), (0.5, 2.0))
    elif name in ("logsumexp", "prod"):
        yield from itertools.product(pairs, repeat=2)
    elif getattr(row_of(name), "arity", 1) == 1:
        yield from ((x,) for x in signed)
        for _ in range(20):
            yield (r.uniform(-3.0, 3.0),)
    else:
        yield from itertools.product(pairs, repeat=2)
        for _ in range(20):
            yield (r.uniform(-3.0, 3.0), r.uniform(-3.0, 3.0))


# ---- who is right ----------------------------------------------------------------------------------------------------


def alike(a: float, b: float) -> bool:
    """Equal but for rounding, by a margin that leaves no room for another rule: a thousandth of a thousandth."""
    return equal(a, b) or (isfinite(a) and isfinite(b) and math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-307))


def mathematics(name: str, xs: Numbers, k: int | None) -> float | None:
    """The exact value, or derivative by the k-th operand, as a float; None at kinks, poles, and where it is not real."""
    if name in KINKED or name not in table.TABLE or not all(map(isfinite, xs)):
        return None
    if any(x == 0.0 and math.copysign(1.0, x) < 0.0 for x in xs):
        xs = tuple(x + 0.0 for x in xs)  # mpmath has no -0.0
    rule, value = textbook.DERIVATIVES.get(name), accuracy.EXACT[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = accuracy.exact_value(value, xs)
            found = y if k is None else accuracy.exact_value(lambda *at: rule(*at)[k], xs)  # type: ignore[misc]
            if isinstance(y, mp.mpc) or isinstance(found, mp.mpc) or not mp.isfinite(found):
                return None
            return float(found)
    except (ZeroDivisionError, ValueError, ArithmeticError):
        return None


class Disagreement(NamedTuple):
    peers: str
    operation: str
    where: Callable[..., bool]
    what: str  # value, or gradient
    why: str


DISAGREEMENTS: list[Disagreement] = []


def differences(peer: str) -> Iterator[tuple[str, Numbers, str, float, float]]:
    """Operation, point, what, theirs and ours: all that mathematics does not decide for us."""
    functions, answer = PEERS[peer]()
    for name, f in functions.items():
        ps=list(points(name))
        for xs, (value, gradients) in zip(ps, answer(f, ps) if peer=="jax" else [answer(f, xs) for xs in ps]):
            y, slopes = ours(name, xs)
            found = [("value", None, value, y)]
            for k, (g, d) in enumerate(zip(gradients or (), slopes or (), strict=False)):
                found.append((f"gradient {k + 1}", k, g, d))
            for what, k, theirs, mine in found:
                if alike(theirs, mine):
                    continue
                exact = mathematics(name, xs, k)
                if exact is None or not alike(exact, mine):
                    yield name, xs, what, theirs, mine
