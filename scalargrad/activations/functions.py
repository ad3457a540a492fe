"""Activation functions: what makes a network more than one linear map, each with where it belongs.

Floats in, a float out; a `Value` in, a `Value` out, as one node, with exact derivatives of any order (`softmax` and
`log_softmax` take and return lists). Their values and derivatives are rows of `primitives.py` here, in `functions/` and
of the engine's table. Parameters (`slope`, `alpha`, `beta`) are plain numbers, and part of the operation; where the
text says so they may also be `Value`s, which are then learnt.
"""

# Rows are typed as returning Any, since one row serves floats and Values; the signatures here say which.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, overload

from ..engine import primitive, table
from ..engine.primitive import as_float
from ..engine.value import Value
from ..functions import primitives
from ..functions.reductions import Number, T, _filled, _listed
from . import primitives as own

__all__ = [
    "activation", "elu", "gelu", "hardsigmoid", "hardtanh", "identity", "leaky_relu", "log_softmax", "relu", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
]  # fmt: skip
__dir__ = __all__.copy


def identity(x: T) -> T:
    """Return `x`: no activation, for the output of a regression, whose targets may be any number.

    >>> identity(-2.5)
    -2.5
    """
    result: Any = x if hasattr(type(x), "_record") else as_float(x, "identity")
    return result


def sigmoid(x: T) -> T:
    """Compute `1/(1 + e**-x)`, in (0, 1): the output of a binary classification, read as a probability.

    Its slope `sigmoid(x) (1 - sigmoid(x))` is at most 1/4, so that in hidden layers gradients vanish with depth. With
    the loss `binary_cross_entropy_with_logits` leave it out: the loss contains it, in a form that stays exact.

    >>> x = Value(0.0); y = sigmoid(x); y.backward(); (y.data, x.grad)
    (0.5, 0.25)
    """
    return table.sigmoid(x)


def tanh(x: T) -> T:
    """Compute the hyperbolic tangent, in (-1, 1): for hidden layers of small or recurrent networks.

    Centred at zero, with slope `1 - tanh(x)**2`: 1 at 0, vanishing in both tails.

    >>> x = Value(0.0); y = tanh(x); y.backward(); (y.data, x.grad)
    (0.0, 1.0)
    """
    return table.tanh(x)


def relu(x: T) -> T:
    """Compute `max(x, 0)`: the usual choice for hidden layers, since its slope above 0 is 1 at any depth.

    The slope is 0 at 0 and below, where a unit that never rises above 0 does not learn (it is dead). Nair and Hinton,
    Rectified linear units improve restricted Boltzmann machines, ICML 2010.

    >>> x = Value(3.0); y = relu(x); y.backward(); (y.data, x.grad)
    (3.0, 1.0)
    """
    return table.relu(x)


def leaky_relu(x: T, slope: Number = 0.01) -> T:
    """Compute `x` above 0 and `slope x` at 0 and below: for hidden layers, as `relu`, but no unit dies.

    The derivative at 0 is the slope. A `Value` as slope is learnt (PReLU). Maas, Hannun and Ng, Rectifier
    nonlinearities improve neural network acoustic models, ICML 2013; He et al., Delving deep into rectifiers, 2015.

    >>> x = Value(-2.0); y = leaky_relu(x, slope=0.25); y.backward(); (y.data, x.grad)
    (-0.5, 0.25)
    """
    if isinstance(slope, Value):
        return own.prelu(x, slope)
    return own.leaky_relu(_parameter(slope, "leaky_relu", "slope"))(x)


def elu(x: T, alpha: Number = 1.0) -> T:
    """Compute `x` above 0 and `alpha (e**x - 1)` at 0 and below: for hidden layers, smooth for `alpha = 1`.

    The derivative at 0 and below is `alpha e**x`. Clevert, Unterthiner and Hochreiter, Fast and accurate deep network
    learning by exponential linear units, ICLR 2016.

    >>> x = Value(-40.0); y = elu(x); y.backward(); (y.data, x.grad)
    (-1.0, 4.248354255291589e-18)
    """
    if isinstance(alpha, Value):
        return own.pelu(x, alpha)
    return own.elu(_parameter(alpha, "elu", "alpha"), 1.0, 0)(x)


def selu(x: T) -> T:
    """Compute `elu` scaled so that activations keep mean 0 and variance 1: for hidden layers with LeCun initialisation.

    `1.0507 x` above 0 and `1.7581 (e**x - 1)` below. Klambauer et al., Self-normalizing neural networks, NeurIPS 2017.

    >>> x = Value(0.0); y = selu(x); y.backward(); (y.data, x.grad)
    (0.0, 1.7580993408473768)
    """
    return own.elu(1.7580993408473768, 1.0507009873554805, 0)(x)


def gelu(x: T, approximate: str = "none") -> T:
    """Compute `x Φ(x)`, with Φ the normal distribution function: for hidden layers of transformers.

    Exact (`"none"`), or with `approximate="tanh"`: `x/2 (1 + tanh(0.7978845608028654 (x + 0.044715 x**3)))`, which
    some published networks were trained with. Hendrycks and Gimpel, Gaussian error linear units, 2016.

    >>> x = Value(1.0); y = gelu(x); y.backward(); (y.data, x.grad)
    (0.841344746068543, 1.0833154705876864)
    >>> gelu(1.0, approximate="tanh")
    0.8411919906082768
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate must be "none" or "tanh", got {approximate!r}')
    return (own.gelu if approximate == "none" else own.gelu_tanh)(x)


def silu(x: T) -> T:
    """Compute `x sigmoid(x)`, also known as swish: for hidden layers, a smooth `relu` that dips below 0.

    Elfwing, Uchibe and Doya, Sigmoid-weighted linear units, Neural Networks 107, 2018.

    >>> x = Value(0.0); y = silu(x); y.backward(); (y.data, x.grad)
    (0.0, 0.5)
    """
    return own.silu(x)


def softplus(x: T, beta: Number = 1.0) -> T:
    """Compute `log(1 + e**(beta x))/beta`, a smooth `relu`: for outputs that must be positive, a variance or a rate.

    `beta > 0` sets the sharpness; the derivative is `sigmoid(beta x)`. A `Value` as beta is learnt. Raises `ValueError`
    for another beta.

    >>> x = Value(0.0); y = softplus(x, beta=2.0); y.backward(); (y.data, x.grad)
    (0.34657359027997264, 0.5)
    """
    beta = _positive(beta, "softplus", "beta")
    if isinstance(beta, Value):
        return own.psoftplus(x, beta)
    return primitives.softplus(x) if beta == 1.0 else own.softplus(beta, 0)(x)


def hardtanh(x: T, low: float = -1.0, high: float = 1.0) -> T:
    """Compute `x` brought into [low, high]: `tanh` in straight lines, for hidden layers on small devices.

    The derivative is 1 between the bounds and 0 on and outside them, as PyTorch's (`clamp` has 1 on its bounds). Raises
    `ValueError` unless `low < high`.

    >>> x = Value(0.5); y = hardtanh(x); y.backward(); (y.data, x.grad)
    (0.5, 1.0)
    """
    lowest, highest = _parameter(low, "hardtanh", "low"), _parameter(high, "hardtanh", "high")
    if not lowest < highest:
        raise ValueError(f"hardtanh: low must be below high, got {lowest!r} and {highest!r}")
    return own.hardtanh(lowest, highest)(x)


def hardsigmoid(x: T) -> T:
    """Compute `(x + 3)/6` brought into [0, 1]: `sigmoid` in straight lines, for gates on small devices.

    The derivative is 1/6 for `-3 < x < 3` and 0 elsewhere, as PyTorch's.

    >>> x = Value(0.0); y = hardsigmoid(x); y.backward(); (y.data, x.grad)
    (0.5, 0.16666666666666666)
    """
    return own.hardsigmoid(x)


def softsign(x: T) -> T:
    """Compute `x/(1 + |x|)`, in (-1, 1): as `tanh` for hidden layers, with tails that fall off less steeply.

    The derivative is `1/(1 + |x|)**2`.

    >>> x = Value(-1.0); y = softsign(x); y.backward(); (y.data, x.grad)
    (-0.5, 0.25)
    """
    return own.softsign(x)


@overload
def softmax(xs: Iterable[float], temperature: float = 1.0) -> list[float]: ...
@overload
def softmax(xs: Iterable[Value], temperature: Number = 1.0) -> list[Value]: ...
@overload
def softmax(xs: Iterable[Number], temperature: Number = 1.0) -> list[Any]: ...
def softmax(xs: Any, temperature: Any = 1.0) -> Any:
    """Compute `exp(xi/T) / (exp(x1/T) + exp(x2/T) + ...)`: the output of a classification with several classes.

    Takes a list of `n` scores (logits) and returns `n` probabilities. A high temperature `T` evens them out, a low one
    sharpens. With the loss `cross_entropy` leave it out: the loss contains it, in a form that stays exact. Operands of
    -inf get 0 (all of them if all are -inf); those of inf share 1 equally. Raises `ValueError` for an empty list and
    for a temperature that is not above 0.

    >>> softmax([1.0, 2.0, 3.0])
    [0.09003057317038046, 0.24472847105479764, 0.6652409557748218]
    >>> x = [Value(0.0), Value(0.0)]; y = softmax(x); y[0].backward(); (y[0].data, x[0].grad, x[1].grad)
    (0.5, 0.25, -0.25)
    """
    return _of_layer(primitives.share_of_softmax, xs, temperature, "softmax")


@overload
def log_softmax(xs: Iterable[float], temperature: float = 1.0) -> list[float]: ...
@overload
def log_softmax(xs: Iterable[Value], temperature: Number = 1.0) -> list[Value]: ...
@overload
def log_softmax(xs: Iterable[Number], temperature: Number = 1.0) -> list[Any]: ...
def log_softmax(xs: Any, temperature: Any = 1.0) -> Any:
    """Compute `log(softmax(xs))` without ever forming a probability: an output for `negative_log_likelihood`.

    As `xi - logsumexp(xs)`, with all its digits where a class dominates, too. Arguments and errors as `softmax`.

    >>> log_softmax([40.0, 0.0])
    [-4.248354255291589e-18, -40.0]
    """
    return _of_layer(own.share_of_log_softmax, xs, temperature, "log_softmax")


def _of_layer(share: Callable[[int], primitive.Primitive], xs: Any, temperature: Any, name: str) -> list[Any]:
    scores = _filled(_listed(xs, name), name)
    temperature = _positive(temperature, name, "temperature")
    if isinstance(temperature, Value) or temperature != 1.0:
        scores = tuple([x / temperature if isinstance(x, Value) else table.div(x, temperature) for x in scores])
    return [share(k)(*scores) for k in range(len(scores))]


_NAMED: dict[str, Callable[..., Any]] = {name: globals()[name] for name in __all__ if name != "activation"}


def activation(name: str | Callable[..., Any], **parameters: Any) -> Callable[..., Any]:
    """Find an activation by its name, with parameters set; a function is handed back, as it may be one of your own.

    Takes the name of any function of this module. `softmax` and `log_softmax` act on a layer's list of scores, all
    others on one number. Raises `ValueError` for an unknown name.

    >>> activation("leaky_relu", slope=0.1)(-1.0)
    -0.1
    """
    found = name if callable(name) else _NAMED.get(name)
    if found is None:
        raise ValueError(f"activation: unknown name {name!r}; known: {', '.join(sorted(_NAMED))}")
    return partial(found, **parameters) if parameters else found


def activation_title(function: Any) -> str:
    """An activation's name as pictures and messages show it: with its parameters, where it was given some."""
    if isinstance(function, partial):
        given = [repr(x) for x in function.args] + [f"{k}={x!r}" for k, x in function.keywords.items()]
        return f"{activation_title(function.func)}({', '.join(given)})"
    return function if isinstance(function, str) else getattr(function, "__name__", None) or repr(function)


def _positive(x: Any, name: str, what: str) -> Any:
    """A parameter, a number or a `Value`, that must be above 0."""
    x = x if isinstance(x, Value) else _parameter(x, name, what)
    if not x > 0.0:
        raise ValueError(f"{name}: {what} must be above 0, got {x._data if isinstance(x, Value) else x!r}")
    return x


def _parameter(x: Any, name: str, what: str) -> float:
    return x if type(x) is float else as_float(x, f"{name}: {what}")
