"""What the playground trains in the page: its choices, and the programs that it computes with.

The page does what the library does, in the same order: `random.Random`'s Mersenne Twister, the sets of the plane,
`split`, `batches`, an initialisation by square roots alone, each sample's gradient by a compiled program, their sum in
the order of `losses/summation.py`, and the optimizer's own update. With elementary functions as polynomials all of that
is arithmetic: `prepared` has the model and the data with which `fit(..., compile=True, functions="polynomial")` comes
to the page's weights, to the last bit.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Any

from ...activations import functions
from ...compiler import compile  # noqa: A004
from ...compiler.ir import polynomials
from ...data.dataset import Dataset, circle, gauss, spiral, xor
from ...engine.ieee import two_product, two_sum
from ...functions.elementary import cos, log, sign, sin
from ...losses import mean_squared_error
from ...nn import MLP
from ...optim import SGD, AdaGrad, Adam, Momentum, RMSProp
from ...optim.base import Optimizer
from ...transforms.derivatives import vjp
from ..common.assets import module
from .recording import activation_program

SETS: dict[str, Callable[..., Dataset]] = {"circle": circle, "xor": xor, "gauss": gauss, "spiral": spiral}
FEATURES: dict[str, Callable[[float, float], float]] = {
    "x1": lambda x, y: x,
    "x2": lambda x, y: y,
    "x1²": lambda x, y: x * x,
    "x2²": lambda x, y: y * y,
    "x1·x2": lambda x, y: x * y,
    "sin x1": lambda x, y: polynomials.sin(x),
    "sin x2": lambda x, y: polynomials.sin(y),
}
SHAPES: list[tuple[int, ...]] = [(), (4,), (4, 2), (8,), (6, 4), (8, 8)]
ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "SGD": SGD, "Momentum": Momentum, "AdaGrad": AdaGrad, "RMSProp": RMSProp, "Adam": Adam,
}  # fmt: skip
RATES = {"SGD": 0.03, "Momentum": 0.003, "AdaGrad": 0.1, "RMSProp": 0.01, "Adam": 0.01}  # to begin with
SAMPLES = 500
NOTE = "Play, or step by step: this page trains. The loss is the mean of (y − target)², the output a tanh."


def prepared(
    data: str = "circle",
    *,
    noise: float = 0.0,
    share: float = 0.5,
    features: Sequence[str] = ("x1", "x2"),
    hidden: Sequence[int] = (4, 2),
    activation: str = "tanh",
    seed: int = 0,
) -> tuple[MLP, Dataset, Dataset]:
    """The network, the training and the test half that the page begins with, for these choices.

    The network has an input for each of `FEATURES`; those that are not chosen are 0. Trained by `fit(model, train,
    mean_squared_error, optimizer, epochs, batch_size, seed=seed, compile=True, functions="polynomial")`, it has the
    page's weights.

    >>> model, train, test = prepared("xor", features=["x1", "x1·x2"])
    >>> model, len(train), len(test)
    (MLP(7, [4, 2, 1], activation='tanh', output='tanh'), 250, 250)
    >>> [x == 0.0 for x in train.inputs[0]]
    [False, True, True, True, False, True, True]
    """
    given = {} if data == "xor" else {"functions": polynomials}
    points = SETS[data](SAMPLES, noise, seed, **given)
    rows = [[f(*x) if name in features else 0.0 for name, f in FEATURES.items()] for x in points.inputs]
    train, test = Dataset(rows, points.targets, tuple(FEATURES)).split(share, seed)
    init = "he_uniform" if activation == "relu" else "glorot_uniform"
    model = MLP(len(FEATURES), [*hidden, 1], activation, "tanh", init=init, seed=seed)
    return model, train, test


# ---- programs --------------------------------------------------------------------------------------------------------


@cache
def programs() -> tuple[str, dict[str, Any]]:
    """The script with all programs, each a function of the page's, and what else the page needs to know."""
    names = ["elementary", "power"]
    parts = [module(compile(_elementary, backend="python", functions="polynomial"), "elementary", 0.5)]
    parts.append(module(compile(_next_power, backend="python"), "power", 0.9, 0.0, 0.9))
    for k, hidden in enumerate(SHAPES):
        for activation in ACTIVATIONS:
            model = MLP(len(FEATURES), [*hidden, 1], activation, "tanh")
            weights = [p.data for p in model.parameters()]
            f = compile(_of_sample(model), backend="python", functions="polynomial")
            names.append(f"sample_{k}_{activation}")
            parts.append(module(f, names[-1], weights, [0.5] * len(FEATURES), 1.0, 0.1))
    states = {}
    for name, kind in OPTIMIZERS.items():
        states[name] = len(kind.state_names)
        f = compile(_update(kind), backend="python")
        names.append(f"update_{name}")
        parts.append(module(f, names[-1], 0.5, 0.25, [0.1] * states[name], 0.9, 0.99, 0.1, 0.01, 0.01))
    betas = Adam.defaults["betas"]
    data = {
        "note": NOTE,
        "sets": list(SETS),
        "features": list(FEATURES),
        "shapes": [list(hidden) for hidden in SHAPES],
        "activations": list(ACTIVATIONS),
        "optimizers": [[name, RATES[name], states[name]] for name in OPTIMIZERS],
        "samples": SAMPLES,
        "betas": [[beta, power_exceptions(beta)] for beta in betas],
    }
    lines = ["const programs = (() => {", *parts, f"return {{ {', '.join(names)} }};", "})();"]
    return "\n".join(lines), data


def activations() -> dict[str, str]:
    """The activations of the page's networks, each as JavaScript that defines `activation(x, y)`."""
    return {name: activation_program(getattr(functions, name)) for name in ACTIVATIONS}


def _elementary(x: Any) -> Any:
    return sin(x), cos(x), log(x)


def _of_sample(model: MLP) -> Callable[..., Any]:
    """A sample's loss, its output, and the gradient of its share of the batch's loss by the weights."""

    def f(weights: Any, x: Any, target: Any, share: Any) -> Any:
        y, pull_back = vjp(lambda ws: model.with_parameters(ws)(x), weights)
        loss, pull_loss = vjp(lambda y: mean_squared_error([y], [target]), y)
        (derivative,) = pull_loss(share)
        return loss, y, pull_back(derivative)[0]

    return f


class _Beta(float):
    """A decay rate whose powers are inputs of the program: JavaScript's `pow` is not C's."""

    power: Any

    def __pow__(self, t: Any, modulus: None = None) -> Any:
        return self.power


def _update(kind: type[Optimizer]) -> Callable[..., Any]:
    """The optimizer's update of one weight, with the penalties' gradients added: `l1 |w|` and `l2 w²/2`."""

    def f(w: Any, g: Any, s: Any, power1: Any, power2: Any, lr: Any, l1: Any, l2: Any) -> Any:
        h = {**kind.defaults, "lr": lr, "weight_decay": 0.0}
        if "betas" in h:
            h["betas"] = tuple(map(_Beta, h["betas"]))
            for beta, power in zip(h["betas"], (power1, power2), strict=True):
                beta.power = power
        w, s = kind.update(w, (g + l1 * sign(w)) + l2 * w, 2, tuple(s), SimpleNamespace(**h))
        return w, list(s)

    return f


def _next_power(high: Any, low: Any, beta: Any) -> Any:
    """The sum `high + low`, times beta, as such a sum: what rounding leaves is kept (Dekker)."""
    product, rest = two_product(high, beta)
    return two_sum(product, rest + low * beta)


def power_exceptions(beta: float) -> list[int]:
    """For which t the C library's `beta**t` is not the one that doubled precision comes to, which is one ULP off.

    The page multiplies in doubled precision (Dekker) and rounds once; t is negative where the library is below.
    """
    found, high, low = [], 1.0, 0.0
    for t in count(1):
        high, low = _next_power(high, low, beta)
        if 1.0 - high == 1.0:  # and so from here on
            break
        known = beta**t
        if known != high:
            found.append(t if known > high else -t)
    return found
