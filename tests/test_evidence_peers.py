"""The same operations and expressions in NumPy, PyTorch, JAX and autograd, whichever are installed.

Where one differs from scalargrad, either mathematics decides (mpmath says that ours is right: the peer rounds or
overflows on its way), or it is a point where libraries disagree, and stands in `DISAGREEMENTS` with the rule of the
semantics that justifies it. There is no third case, and no entry that nothing needs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf, isfinite, isinf, isnan, nan
from typing import Any, NamedTuple

import mpmath as mp
import pytest

from scalargrad import Value, activations
from scalargrad.engine import primitive
from scalargrad.testing import GradientError, State, check_grads

from . import accuracy
from .evidence.checks import edges_of
from .evidence.dags import SMOOTH, Dag, dag
from .evidence.exact import fraction, replay
from .rows import oracle
from .strategies import equal

Numbers = tuple[float, ...]
Answer = tuple[float, list[float] | None]  # value, and gradient by each operand; None from a peer without gradients
# Its functions by our names, and what answers for one of them at many points.
Peer = tuple[dict[str, Callable[..., Any]], Callable[[Callable[..., Any], list[Numbers]], list[Answer]]]

UNARY = (0.0, -0.0, 5e-324, 1e-310, 1e-200, 1e-8, 0.5, 1.0, 2.0, 2.5, 20.0, 40.0, 709.0, 745.0, 1e8, 1e200, inf, nan)
BINARY = (0.0, -0.0, 1e-200, 0.5, 1.0, 2.0, 3.0, 1e200, inf, nan)
MANY = ("sum", "mean", "dot")  # sums, on which all agree: for expressions only
KINKED = ("relu", "abs", "max", "min", "clamp", "where", "mod", "sign", "step", "floor", "ceil", "round", "leaky_relu")

# ---- the peers -------------------------------------------------------------------------------------------------------


def of_numpy() -> Peer:
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
    return functions, lambda f, points: [answer(f, xs) for xs in points]


SHARED = ("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
          "abs", "floor", "ceil", "hypot", "add")  # fmt: skip


def of_torch() -> Peer:
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
        "sum": lambda *xs: torch.stack(xs).sum(), "mean": lambda *xs: torch.stack(xs).mean(),
        "dot": lambda *xs: torch.dot(torch.stack(xs[: len(xs) // 2]), torch.stack(xs[len(xs) // 2 :])),
        "where": lambda c, a, b: torch.where(c != 0, a, b), "leaky_relu": partial(nn.leaky_relu, negative_slope=0.01),
        "elu": nn.elu,
    }  # fmt: skip
    return functions, lambda f, points: [answer(f, xs) for xs in points]


def of_jax() -> Peer:
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
        "sum": lambda *xs: jnp.sum(jnp.stack(xs)), "mean": lambda *xs: jnp.mean(jnp.stack(xs)),
        "dot": lambda *xs: jnp.dot(jnp.stack(xs[: len(xs) // 2]), jnp.stack(xs[len(xs) // 2 :])),
        "where": lambda c, a, b: jnp.where(c != 0, a, b), "cbrt": jnp.cbrt, "elu": nn.elu,
        "leaky_relu": partial(nn.leaky_relu, negative_slope=0.01),
    }  # fmt: skip
    return functions, answers


def of_autograd() -> Peer:
    autograd = importlib.import_module("autograd")
    np, numpy = importlib.import_module("autograd.numpy"), importlib.import_module("numpy")

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
        "logsumexp": lambda *xs: functools.reduce(np.logaddexp, xs), "prod": lambda *xs: np.prod(np.array(xs)),
        "sum": lambda *xs: np.sum(np.array(xs)), "mean": lambda *xs: np.mean(np.array(xs)),
        "dot": lambda *xs: np.dot(np.array(xs[: len(xs) // 2]), np.array(xs[len(xs) // 2 :])),
    }  # fmt: skip
    return functions, lambda f, points: [answer(f, xs) for xs in points]


PEERS = {"numpy": of_numpy, "torch": of_torch, "jax": of_jax, "autograd": of_autograd}


# ---- ours ------------------------------------------------------------------------------------------------------------


def row_of(name: str) -> Any:
    if name == "leaky_relu":
        return lambda a: activations.leaky_relu(a, 0.01)
    if name == "elu":
        return lambda a: activations.elu(a)
    return primitive.TABLE[name]


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
    """The exact value, or derivative by the k-th operand, as a float; None at kinks, poles, and where not real."""
    if name in KINKED or name not in primitive.TABLE or not all(map(isfinite, xs)):
        return None
    if any(x == 0.0 and math.copysign(1.0, x) < 0.0 for x in xs):
        xs = tuple(x + 0.0 for x in xs)  # mpmath has no -0.0
    exact = oracle(primitive.TABLE[name])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = accuracy.exact_value(exact, xs)
            found = y if k is None else accuracy.exact_first(exact, xs, k)
            if isinstance(y, mp.mpc) or isinstance(found, mp.mpc) or not mp.isfinite(found):
                return None
            return float(found)
    except (ZeroDivisionError, ValueError, ArithmeticError):
        return None


class Disagreement(NamedTuple):
    """Where peers differ, and the row of the semantics that says why we do not do as they do."""

    peers: str
    operations: str
    where: Callable[[Numbers, float, int | None], bool]  # operands, our value, operand of the gradient or None: value
    rule: str


def _outside(xs: Numbers, y: float, k: int | None) -> bool:
    return isnan(y) and not any(map(isnan, xs)) and k is not None


def _minus_zero(xs: Numbers, y: float, k: int | None) -> bool:
    return xs[0] == 0.0 and math.copysign(1.0, xs[0]) < 0.0 and k is not None


def _nan(xs: Numbers, y: float, k: int | None) -> bool:
    return any(map(isnan, xs))


def _zero(xs: Numbers, y: float, k: int | None) -> bool:
    return xs[0] == 0.0 and k is not None


def _origin(xs: Numbers, y: float, k: int | None) -> bool:
    return xs[0] == xs[1] == 0.0 and k is not None


def _infinite(xs: Numbers, y: float, k: int | None) -> bool:
    return any(map(isinf, xs)) and k is not None


def _subnormal(xs: Numbers, y: float, k: int | None) -> bool:
    return any(0.0 < abs(x) < 2.0**-1022 for x in xs)


def _boundary(xs: Numbers, y: float, k: int | None) -> bool:
    return xs[0] in xs[1:] and k is not None


def _same_bounds(xs: Numbers, y: float, k: int | None) -> bool:
    return xs[1] == xs[2] and k is not None


ANY = ""  # every operation
DISAGREEMENTS = [
    Disagreement("torch jax autograd", "log log1p log2 log10 acosh atanh", _outside, "log below 0: gradient nan"),
    Disagreement("autograd", "sqrt", _outside, "where the value is nan, so is the gradient"),
    Disagreement("torch jax autograd", "log log2 log10", _minus_zero, "log at 0: gradient inf"),
    Disagreement("torch jax", "sqrt", _minus_zero, "sqrt at 0: gradient inf"),
    Disagreement("torch", "abs sign relu leaky_relu elu clamp", _nan, "nan in, nan out"),
    Disagreement("jax", "abs relu leaky_relu pow clamp", _nan, "nan in, nan out"),
    Disagreement("torch jax autograd", "max min", _nan, "max, min with a nan: nan to both"),
    Disagreement("jax", "abs", _zero, "abs at 0: gradient 0"),
    Disagreement("autograd", "abs", _infinite, "IEEE 754 throughout: sign(a), no quotient"),
    Disagreement("jax", "leaky_relu", _zero, "leaky_relu at 0: the slope"),
    Disagreement("jax", "elu", lambda xs, y, k: xs[0] < -30.0, "elu: alpha exp(x), never through expm1 + 1"),
    Disagreement("jax", "clamp", _boundary, "clamp on its boundary: gradient 1"),
    Disagreement(
        "torch jax", "clamp", _same_bounds, "min(max(x, low), high), where x is below both: gradient 1 to low"
    ),
    Disagreement("torch jax", "hypot", _origin, "hypot at (0, 0): gradient 0, 0"),
    Disagreement("jax", "hypot", _infinite, "IEEE 754 throughout: a/hypot(a, b) is a/inf"),
    Disagreement("torch", "atan2", _origin, "atan2 at (0, 0): gradient nan, nan"),
    Disagreement("jax autograd", "div", _infinite, "x/y: -((x/y)/y), since -x/y**2 overflows"),
    Disagreement("jax autograd", "pow", lambda xs, y, k: xs[1] == 0.0 == k, "x**0: gradient 0 by x"),
    Disagreement("jax autograd", "pow", lambda xs, y, k: xs[0] == 0.0 > xs[1] and k == 1, "0**y, y < 0: inf by y"),
    Disagreement(
        "numpy autograd", "pow", lambda xs, y, k: xs == (-inf, 0.5), "IEEE 754 throughout: pow(-inf, 1/2) is inf"
    ),
    Disagreement("torch jax autograd", "logsumexp", _infinite, "logsumexp, all -inf: zeros; some +inf: shared equally"),
    Disagreement(
        "torch autograd",
        "prod",
        lambda xs, y, k: not isfinite(y),
        "IEEE 754 throughout: the others' product, no quotient",
    ),
    Disagreement("jax autograd", "mod", lambda xs, y, k: k == 1, "x % y: gradient -(x // y) by y, as Python's //"),
    Disagreement("jax", ANY, _subnormal, "IEEE 754 throughout: XLA takes subnormal operands for zero"),
]


def reason(peer: str, name: str, xs: Numbers, y: float, k: int | None) -> Disagreement | None:
    for each in DISAGREEMENTS:
        if peer in each.peers.split() and name in (each.operations.split() or [name]) and each.where(xs, y, k):
            return each
    return None


def differences(peer: str) -> Iterator[tuple[str, Numbers, int | None, float, float, float]]:
    """Operation, operands, operand of the gradient, theirs, ours, our value: all that mathematics does not decide."""
    functions, answers = PEERS[peer]()
    for name, f in functions.items():
        if name in MANY:
            continue
        where = list(points(name))
        for xs, (value, gradients) in zip(where, answers(f, where), strict=True):
            y, slopes = ours(name, xs)
            found: list[tuple[int | None, float, float]] = [(None, value, y)]
            found += [(k, g, d) for k, (g, d) in enumerate(zip(gradients or (), slopes or (), strict=False))]
            for k, theirs, mine in found:
                if not alike(theirs, mine):
                    exact = mathematics(name, xs, k)
                    if exact is None or not alike(exact, mine):
                        yield name, xs, k, theirs, mine, y


# ---- the tests -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=sorted(PEERS))
def peer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def test_each_difference_is_one_that_the_semantics_justify_and_no_entry_is_idle(peer: str) -> None:
    entries = [each for each in DISAGREEMENTS if peer in each.peers.split()]
    used: list[Disagreement] = []
    for name, xs, k, theirs, mine, y in differences(peer):
        why = reason(peer, name, xs, y, k)
        what = "value" if k is None else f"gradient by operand {k + 1}"
        assert why is not None, f"{name}{xs}, {what}: {peer} gives {theirs}, scalargrad {mine}"
        used.append(why)
    assert [each for each in entries if each not in used] == []


def expressions(names: Sequence[str], count: int) -> Iterator[Dag]:
    """Random graphs of smooth operations that a peer has, too; not in tails, where peers lose digits, or at 0/0."""
    found = 0
    for number in itertools.count():
        graph = dag(11, number)
        if graph.kind == "tame" and all(row.name in names and row.name in SMOOTH for row, _ in graph.steps):
            nodes = graph.nodes(graph.leaves())
            edges = edges_of(graph, nodes, graph.ancestors())
            at_zero = (
                0.0 in [x.data for x in node.parents] for node in nodes if node.operation.name in ("hypot", "prod")
            )
            if (
                edges is not None
                and not any(at_zero)
                and all(d == 0.0 or 1e-4 < abs(d) < 1e4 for each in edges.values() for _, d in each)
            ):
                yield graph
                found += 1
                if found == count:
                    return


def test_random_expressions_have_the_same_gradients(peer: str) -> None:
    """Within a millionth of the sum of the paths' sizes, which leaves room for rounding and none for another rule."""
    if peer == "numpy":
        pytest.skip("numpy has no gradients")
    functions, answers = PEERS[peer]()
    several = 0
    for graph in expressions(list(functions), 60 if peer == "jax" else 300):

        def f(*xs: Any, graph: Dag = graph) -> Any:
            nodes = list(xs)
            for row, operands in graph.steps:
                nodes.append(
                    functions[row.name](*[nodes[k] if type(k) is int else constant(k, xs[0]) for k in operands])
                )
            return nodes[graph.output] + 0.0 * xs[0]

        ((value, gradients),) = answers(f, [graph.inputs])
        nodes = graph.nodes(graph.leaves())
        nodes[graph.output].backward()
        edges = edges_of(graph, nodes, graph.ancestors())
        assert edges is not None
        exact = replay(edges, {graph.output: 1.0})
        assert value == pytest.approx(nodes[graph.output].data, rel=1e-6, abs=1e-6)
        assert gradients is not None
        for k, theirs in enumerate(gradients):
            size = float(fraction(exact[k].paths)) if k in exact else 0.0
            mine = nodes[k].grad if k in exact else 0.0
            assert abs(theirs - mine) <= 1e-6 * size, f"{peer} gives {theirs}, scalargrad {mine}:\n{graph.source()}"
        several += len(graph.steps) > 3
    assert several > 20


def constant(x: float, like: Any) -> Any:
    """A number as the peer's functions take it: PyTorch's take tensors alone."""
    return like.new_tensor(x) if hasattr(like, "new_tensor") else x


def test_the_kit_checks_the_gradients_of_peers(peer: str) -> None:
    """As a user of theirs would: their function and their gradient as plain callables."""
    if peer == "numpy":
        pytest.skip("numpy has no gradients")
    functions, answers = PEERS[peer]()

    def f(*xs: Any) -> Any:
        return functions["tanh"](xs[0] * xs[1]) + functions["exp"](xs[0])

    def value(x: float, y: float) -> float:
        return answers(f, [(x, y)])[0][0]

    def gradient(x: float, y: float) -> list[float] | None:
        return answers(f, [(x, y)])[0][1]

    assert check_grads(value, (0.5, -1.25), gradient=gradient).counts == {State.AGREES: 2}
    with pytest.raises(GradientError, match=r"WRONG: derivative of value\(\*args\) by args\[1\]"):
        check_grads(value, (0.5, -1.25), gradient=lambda x, y: [gradient(x, y)[0], 0.3])  # type: ignore[index]


def test_the_comparison_can_fail() -> None:
    """A gradient that is off, at one point of one operation, is a difference that nothing justifies."""
    assert not alike(1.0, 1.00001)
    assert not alike(inf, -inf)
    assert alike(nan, nan)
    assert reason("torch", "tanh", (0.5,), 0.46, 0) is None
    assert reason("torch", "log", (0.5,), -0.7, 0) is None
    assert mathematics("tanh", (0.5,), 0) == pytest.approx(1.0 - math.tanh(0.5) ** 2)
