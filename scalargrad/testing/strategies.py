"""Hypothesis strategies: numbers, functions, networks, data sets. Hypothesis is imported only when one is made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any

from .. import functions
from ..engine.value import Value
from . import programs
from .programs import Program

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Layers = list[list[list[float]]]
MAX = sys.float_info.max
AWKWARD = [sign * x for x in (5e-324, 1e-300, 1e-200, 1e-8, 1e8, 1e200) for sign in (1.0, -1.0)]


def _hypothesis(name: str) -> Any:
    try:
        from hypothesis import strategies
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"scalargrad.testing.{name} makes a hypothesis strategy, and hypothesis is not installed: "
            "pip install hypothesis (check_grads works without it)",
            name=error.name,
        ) from None
    return strategies


def finite_floats(low: float | None = None, high: float | None = None, *, tame: bool = False) -> SearchStrategy[float]:
    """Make floats from `low` to `high`, both included if given; never inf or nan.

    Of every size and kind, with those often among them that break rules: both zeros, the ends, whole numbers, tiny and
    huge ones. With `tame`, multiples of 0.01 of at most 1000. Raises `ValueError` if there is none.

    >>> from hypothesis import find
    >>> find(finite_floats(-5, 5), lambda x: x > 2)
    3.0
    """
    st = _hypothesis("finite_floats")
    bottom = -MAX if low is None else float(low)
    top = MAX if high is None else float(high)
    if not (bottom <= top and isfinite(bottom) and isfinite(top)):
        raise ValueError(f"finite_floats: no finite number from {low!r} to {high!r}")
    least, most = ceil(max(bottom, -1000.0) * 100.0), floor(min(top, 1000.0) * 100.0)
    plain = [st.integers(least, most).map(lambda n: n / 100.0)] if least <= most else []
    if tame:
        if not plain:
            raise ValueError(f"finite_floats: no multiple of 0.01 of at most 1000 from {low!r} to {high!r}")
        return plain[0]  # type: ignore[no-any-return]
    often = [x for x in (0.0, -0.0, 1.0, -1.0, 0.5, *AWKWARD, bottom, top) if bottom <= x <= top]
    every = st.floats(bottom, top, allow_nan=False, allow_infinity=False)
    return st.one_of(every, *plain, st.sampled_from(often))  # type: ignore[no-any-return]


def values(
    low: float | None = None, high: float | None = None, *, tame: bool = False, label: str = ""
) -> SearchStrategy[Value]:
    """Make leaf `Value`s of `finite_floats(low, high, tame=tame)`.

    >>> from hypothesis import find
    >>> find(values(1, 9, label="x"), lambda v: v.data > 2)
    Value(data=3.0, grad=0.0, label='x')
    """
    _hypothesis("values")
    return finite_floats(low, high, tame=tame).map(lambda x: Value(x, label))


def _assembled(name: str, operations: Any, inputs: int, most: int, *how: Any) -> SearchStrategy[Program]:
    st = _hypothesis(name)
    if inputs < 1 or most < 1:
        raise ValueError(f"{name}: at least one input and one statement, got {inputs} and {most}")
    operand = st.integers(0, 999)
    statement = st.tuples(st.sampled_from(operations), st.tuples(operand, operand, operand))
    return st.lists(statement, min_size=1, max_size=most).map(lambda given: programs.assemble(inputs, given, *how))  # type: ignore[no-any-return]


def expressions(inputs: int = 2, *, adversarial: bool = False, max_statements: int = 12) -> SearchStrategy[Program]:
    """Make random functions of `inputs` numbers: a `Program`, a DAG with sharing, repeated operands, constants and dead
    nodes, of at most `max_statements` operations.

    Tame ones are smooth and of moderate size on inputs of moderate size; adversarial ones have kinks, poles, jumps and
    ties besides, and constants from 1e-200 to 1e200. They shrink to short programs and print as Python.

    >>> from hypothesis import find
    >>> find(expressions(inputs=1), lambda f: "sin" in repr(f))
    lambda x: sin(x)
    """
    operations = programs.SMOOTH + programs.ROUGH if adversarial else programs.SMOOTH
    constants = programs.WILD_CONSTANTS if adversarial else programs.TAME_CONSTANTS
    return _assembled("expressions", operations, inputs, max_statements, constants)


def number_arrays(
    shape: Any, low: float | None = None, high: float | None = None, *, tame: bool = False
) -> SearchStrategy[Any]:
    """Make NumPy arrays of float64 of that shape, of `finite_floats(low, high, tame=tame)`.

    `shape` is an int, a tuple of ints, or a strategy of such, as `hypothesis.extra.numpy.array_shapes()`. Needs NumPy.

    >>> from hypothesis import find
    >>> find(number_arrays((2, 2), -5, 5), lambda a: a[0, 1] > 2).tolist()
    [[0.0, 3.0], [0.0, 0.0]]
    """
    _hypothesis("number_arrays")
    from hypothesis.extra.numpy import arrays

    return arrays("float64", shape, elements=finite_floats(low, high, tame=tame), fill=None)


def array_expressions(
    shape: int | tuple[int, ...], inputs: int = 2, *, adversarial: bool = False, max_statements: int = 8
) -> SearchStrategy[Program]:
    """Make random functions written in NumPy: a `Program` of `inputs` arrays of that shape, that returns one number.

    Elementwise functions, reductions, broadcasting, slices and, for one axis or two, products; adversarial ones have
    kinks, ties and poles besides. They shrink and print as those of `expressions` do.

    >>> from hypothesis import find
    >>> find(array_expressions(3, inputs=1), lambda f: "sin" in repr(f))
    lambda x: np.sum(np.sin(x))
    """
    axes = 1 if isinstance(shape, int) else len(shape)
    operations = programs.ARRAYS + {1: programs.VECTORS, 2: programs.MATRICES}.get(axes, ())
    operations += programs.ROUGH_ARRAYS if adversarial else ()
    return _assembled("array_expressions", operations, inputs, max_statements, (), "np.sum({})")


@dataclass(frozen=True)
class Network:
    """A small multilayer perceptron as plain lists: a layer is a list of neurons, a neuron its weights and its bias.

    `network(x)` gives the outputs of the last layer, which has no activation; `network.run(layers, x)` does the same
    with other weights, and so is the function to differentiate by them.

    >>> net = Network([[[0.5, -1.0, 0.1]], [[2.0, 0.0]]], "tanh")
    >>> net([1.0, 0.5]) == [2.0 * functions.tanh(0.1)]
    True
    >>> from scalargrad import jacobian
    >>> jacobian(net.run, 1)(net.layers, [1.0, 0.5])
    [[0.9900662908474399, -1.9801325816948798]]
    """

    layers: Layers
    activation: str = "tanh"

    def __call__(self, x: Sequence[Any]) -> list[Any]:
        return self.run(self.layers, x)

    def run(self, layers: Sequence[Sequence[Sequence[Any]]], x: Sequence[Any]) -> list[Any]:
        """The outputs for an input `x`, with these weights."""
        bend = getattr(functions, self.activation)
        outputs = list(x)
        for number, layer in enumerate(layers, 1):
            outputs = [functions.dot([*outputs, 1.0], neuron) for neuron in layer]
            if number < len(layers):
                outputs = [bend(y) for y in outputs]
        return outputs


def networks(
    inputs: int = 2,
    outputs: int = 1,
    *,
    activations: Sequence[str] = ("tanh", "sigmoid", "relu", "softplus"),
    max_layers: int = 3,
    max_width: int = 4,
) -> SearchStrategy[Network]:
    """Make random `Network`s: 1 to `max_layers` layers, the inner ones of 1 to `max_width` neurons, weights in [-3, 3].

    `activations` are names of scalargrad's functions. Raises `ValueError` for another name.

    >>> from hypothesis import find
    >>> find(networks(), lambda net: len(net.layers) == 2)
    Network(layers=[[[0.0, 0.0, 0.0]], [[0.0, 0.0]]], activation='tanh')
    """
    st = _hypothesis("networks")
    for name in activations:
        if name not in functions.__all__:
            raise ValueError(f"networks: {name!r} is none of scalargrad's functions")
    weight = finite_floats(-3.0, 3.0, tame=True)

    def of_sizes(sizes: Sequence[int]) -> Any:
        pairs = pairwise((inputs, *sizes, outputs))
        layers = [st.lists(st.lists(weight, min_size=n + 1, max_size=n + 1), min_size=m, max_size=m) for n, m in pairs]
        return st.tuples(*layers).map(list)

    widths = st.lists(st.integers(1, max_width), max_size=max_layers - 1)
    return st.builds(Network, widths.flatmap(of_sizes), st.sampled_from(list(activations)))  # type: ignore[no-any-return]


def datasets(
    features: int = 2, *, classes: int | None = None, min_size: int = 1, max_size: int = 8
) -> SearchStrategy[tuple[list[list[float]], list[float]]]:
    """Make small data sets: a list of samples, each a list of `features` numbers in [-10, 10], and as many targets.

    A target is a number in [-10, 10], or with `classes` a class, 0 to `classes - 1`.

    >>> from hypothesis import find
    >>> find(datasets(classes=3), lambda data: 2 in data[1])
    ([[0.0, 0.0]], [2])
    """
    st = _hypothesis("datasets")
    if classes is not None and classes < 1:
        raise ValueError(f"datasets: at least one class, got {classes}")
    number = finite_floats(-10.0, 10.0, tame=True)
    target = number if classes is None else st.integers(0, classes - 1)
    sample = st.tuples(st.lists(number, min_size=features, max_size=features), target)
    rows = st.lists(sample, min_size=min_size, max_size=max_size)
    return rows.map(lambda given: ([x for x, _ in given], [y for _, y in given]))  # type: ignore[no-any-return]
