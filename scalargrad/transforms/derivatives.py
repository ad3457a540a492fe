"""Derivatives as functions of functions: `grad`, `jacobian`, `hessian` and their kin, composable to any order.

A function is differentiated by running it on `Value`s and walking the graph that it leaves behind. Unlike
`Value.backward`, nothing is stored in the leaves: the results are returned, in the structure of the arguments.

Arguments are numbers or trees of numbers: lists, tuples, dicts, dataclasses, arrays (see `trees.py`). Each call gives
the function fresh nodes; where an argument is already a `Value`, because a derivative of this derivative is being
taken, the node is an `identity` of it, so that the two differentiations cannot be confused. Results are floats, and
`Value`s inside another differentiation that they depend on.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from types import MethodType
from typing import Any

from ..engine import modes, table
from ..engine.anomaly import fault, gradient_check
from ..engine.chain_rule import depending, differentiating, float_adjoints, graph_adjoints, order_since, tangents
from ..engine.primitive import as_float
from ..engine.value import Value, begin, constant
from ..version import VERSION, is_this
from .collector import Resting
from .pickling import restored, saved
from .trees import LEAF, Static, Structure, described, flatten, leaves_like, paths, replaced, unflatten

Tree = Any  # a number, or what holds numbers: see `trees.py`


def _recording() -> AbstractContextManager[None]:
    return modes.recording() if modes.active and not modes.current().recording else nullcontext()


def _fresh(x: Any) -> Value:
    if isinstance(x, Value):
        return Value._record(table.identity, (x,))
    leaf = Value(x)
    if modes.active and (tracer := modes.tracer()) is not None:
        tracer.inner.add(leaf)
    return leaf


def _is_function(f: Any) -> None:
    if not callable(f):
        hint = "; of a Value that is computed already, use its backward()" if isinstance(f, Value) else ""
        raise TypeError(f"expected a function to differentiate, got {type(f).__name__}{hint}")


def parameter(f: Any, place: int | str) -> str:
    """What a function calls an argument, of whose position or name is given."""
    if isinstance(place, str):
        return place
    return dict(enumerate(parameters(f))).get(place, f"argument {place}")


def parameters(f: Any) -> list[str]:
    """The names of the parameters that can be given by position, less what is bound; none if `f` does not tell."""
    import inspect  # not paid for where nothing is to be named

    try:
        given = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # of functions that do not tell, as some that are written in C
        return []
    return [each.name for each in given if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]


def _all_numbers(leaves: Sequence[Any], structure: Structure, what: str) -> None:
    """Raise for the leaves that are no numbers, naming their place."""
    if all(isinstance(x, Value) or type(x) is float for x in leaves):
        return
    for x, place in zip(leaves, paths(structure, what), strict=True):
        if not isinstance(x, Value):
            as_float(x, place)


def name_way_out(error: TypeError) -> None:
    """Have NumPy's error on an array of objects, which `np.array` makes of `Value`s, say what to use."""
    note = "of Values, scalargrad.numpy's array and asarray, or np.stack, make an array that all functions here take"
    known = any(each in str(error) for each in ("dtype('O')", "loop of ufunc", "float() of a Value"))
    if known and note not in getattr(error, "__notes__", ()):
        error.add_note(note)


class _Run:
    """One run of a function on fresh nodes: the nodes, what came out, and the graph between them."""

    def __init__(
        self, f: Any, arguments: Sequence[Any], chosen: Sequence[int | str], keywords: Any, one: bool, aux: bool
    ) -> None:
        _is_function(f)
        given, self.one, self.has_aux = list(arguments), one, aux
        nested = False
        recording = not modes.active or modes.current().recording
        begun = begin()
        tracer = modes.tracer()
        mark = tracer.mark() if tracer is not None else None
        self.inputs: list[Value] = []
        self.structures: list[Structure] = []
        with _recording():
            for k in chosen:
                holder: Any = keywords if isinstance(k, str) else given
                try:
                    leaves, structure = flatten(holder[k], static=True)
                except (TypeError, ValueError):
                    flatten(holder[k], parameter(f, k), static=True)
                    raise
                nested = nested or any(isinstance(x, Value) for x in leaves)
                try:
                    nodes = [_fresh(x) for x in leaves]
                except (TypeError, ValueError, OverflowError):
                    _all_numbers(leaves, structure, parameter(f, k))
                    raise
                if structure[0] is Static:
                    as_float(holder[k], parameter(f, k))
                holder[k] = unflatten(structure, nodes, "argument")
                self.inputs += nodes
                self.structures.append(structure)
            differentiating.begun.append(begun)
            try:
                result = f(*given, **keywords)
            except TypeError as error:
                name_way_out(error)
                raise
            finally:
                differentiating.begun.pop()
        self.aux: Any = None
        if aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError("has_aux=True: the function must return a pair (value, auxiliary data)")
            result, self.aux = result
        self.outputs, self.output_structure = flatten(result, "the function's result", static=True)
        if self.output_structure[0] is Static:
            as_float(result, "the function's result")
        _all_numbers(self.outputs, self.output_structure, "the function's result")
        # While a function is compiled, everything is kept as a graph, by the tracer where it can.
        self.walk = tracer.walk(mark, self.outputs, self.inputs) if tracer is not None else None
        self.kept_from = tracer.detached if tracer is not None and not recording else None
        self.order: list[Value] = []
        old: list[Value] = []
        if self.walk is None:
            self.order, old = order_since(begun, [x for x in self.outputs if isinstance(x, Value)], self.inputs)
        # The result is differentiable in its turn if it depends on more than was made here: on an argument that is a
        # `Value`, or on one from outside, be it a leaf or an input of another differentiation.
        self.as_graph = tracer is not None or (recording and (nested or bool(old)))
        self.stop = [*self.inputs, *old]
        self.wanted = depending(self.order, self.inputs) if self.as_graph and self.walk is None else None
        if aux and not self.as_graph:
            self.aux = replaced(self.aux, lambda x: x._data if isinstance(x, Value) else x)

    def plain(self, x: Any) -> Any:
        """A result as the caller gets it."""
        return x._data if isinstance(x, Value) and not self.as_graph else self.kept(x)

    def kept(self, x: Any) -> Any:
        """A result that is a graph while a function is compiled, as `no_grad()` around the derivative wants it."""
        return x if self.kept_from is None or not isinstance(x, Value) else self.kept_from(x)

    def value(self) -> Tree:
        return unflatten(self.output_structure, [self.plain(x) for x in self.outputs])

    def scalar(self, of: str) -> Any:
        if self.output_structure != LEAF and not (len(self.outputs) == 1 and self.output_structure[1:] == ((), 1)):
            kind = described(self.output_structure)
            raise TypeError(f"{of}: the function must return one number, not {kind}; use jacobian, or vjp")
        return self.outputs[0]

    def seeds(self, numbers: Sequence[Any]) -> list[Any]:
        """Numbers that a caller chose; of a graph, where others might stand in their place, all as nodes."""
        if not self.as_graph and not any(isinstance(x, Value) for x in numbers):
            return [*numbers]
        return [x if isinstance(x, Value) else constant(x) for x in numbers]

    def backward(self, seeds: Sequence[Any]) -> list[Any]:
        """The derivative of the seeded outputs by every input; a zero is 0.0, not -0.0."""
        if self.walk is not None:
            return [self.kept(x) for x in self.walk.backward(seeds)]
        given = [(y, s) for y, s in zip(self.outputs, seeds, strict=True) if isinstance(y, Value)]
        check = gradient_check(seeds) if modes.active and modes.current().anomaly else None
        found: dict[Any, Any]
        if self.as_graph or (seeds and isinstance(seeds[0], Value)):
            with _recording():
                found = graph_adjoints(self.order, given, self.inputs, check, self.wanted)
                found = {x: 0.0 + found.get(x, 0.0) for x in self.inputs}
            return [self.kept(found[x]) for x in self.inputs]
        found = float_adjoints(self.order, given, self.stop, check)
        return [found.get(x, 0.0) for x in self.inputs]

    def forward(self, seeds: dict[Value, Any]) -> list[Any]:
        if self.walk is not None:
            return [self.kept(x) for x in self.walk.forward(seeds)]
        with _recording():
            as_graph = self.as_graph or isinstance(next(iter(seeds.values()), None), Value)
            found = tangents(self.order, seeds, as_graph)
            if modes.active and modes.current().anomaly:
                _check_tangents(self.order, found, self.outputs)
            every = [0.0 + found.get(y, 0.0) if isinstance(y, Value) else 0.0 for y in self.outputs]
        return [self.kept(x) for x in every]

    def split(self, flat: Sequence[Any]) -> Tree:
        """A flat list over all inputs as one tree an argument; the one alone, where it was asked for."""
        supply = iter(flat)
        trees = [unflatten(structure, supply, "derivative") for structure in self.structures]
        return trees[0] if self.one else tuple(trees)


Argnums = int | Sequence[int] | None
Argnames = str | Sequence[str] | None


def named(option: str, given: Any) -> tuple[str, ...]:
    """The names that an option has, one or several."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{option}: expected the name of a parameter, or a tuple of such, got {given!r}")
    return tuple(names)


def _chosen(
    f: Any, argnums: Argnums, argnames: Argnames, arguments: Sequence[Any], keywords: dict[str, Any]
) -> tuple[list[int | str], bool]:
    """The arguments to differentiate by, positions before names, and whether it is one alone, given as such."""
    names = named("argnames", argnames or ())
    if argnums is None and argnames is None:
        argnums = 0
    found: list[int | str] = [] if argnums is None else list(_positions(argnums, len(arguments)))
    known = parameters(f) if names else []
    for name in names:
        if name in keywords:
            found.append(name)
        elif name in known[: len(arguments)]:
            found.append(known.index(name))
        else:
            raise ValueError(
                f"argnames: {name!r} names none of the arguments that are given: "
                f"{', '.join([*known[: len(arguments)], *keywords]) or 'none'}"
            )
    if len(set(found)) != len(found) or not found:
        raise ValueError(f"argnums, argnames: expected different arguments, got {argnums!r} and {argnames!r}")
    one = argnums is None or argnames is None
    return found, one and not isinstance(argnums if argnames is None else argnames, list | tuple)


def _positions(argnums: int | Sequence[int], count: int) -> list[int]:
    try:
        given: Any = argnums if isinstance(argnums, list | tuple) else [argnums]
        numbers = [operator.index(k) for k in given]
    except TypeError:
        raise TypeError(f"argnums: expected an int or a tuple of ints, got {argnums!r}") from None
    for k in numbers:
        if not -count <= k < count:
            raise ValueError(f"argnums: {k} is not the position of one of {count} positional argument(s)")
    return [k % count for k in numbers]


class Derivative:
    """What `grad` and its kin return: a function, which goes into pickles as what it was made of."""

    def __init__(self, run: Callable[..., Any], of: str, f: Any, maker: Callable[..., Any], options: Any) -> None:
        _is_function(f)
        name = getattr(f, "__name__", "f")
        self.run, self.f, self.maker, self.options = run, f, maker, options
        self.__wrapped__ = f  # whose parameters it takes
        self.__name__ = self.__qualname__ = f"{of}({name})"
        self.__doc__ = f"The {of} of `{name}`: takes the arguments that `{name}` takes."
        self.__module__ = getattr(f, "__module__", None) or __name__

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.run(*arguments, **keywords)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"

    def __reduce__(self) -> Any:
        return _made_again, (VERSION, self.maker, saved(self.f), self.options)

    __copy__ = __deepcopy__ = lambda self, *memo: self  # as Python's functions


def _made_again(version: str, maker: Callable[..., Any], f: Any, options: tuple[Any, ...]) -> Any:
    is_this(version, f"the pickle of a {maker.__name__}")
    return maker(restored(f), *options)


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = None, has_aux: bool = False, argnames: Argnames = None
) -> Callable[..., tuple[Any, Any]]:
    """Make the function that gives the value of `f` and its gradient from one pass.

    Takes, returns and raises what `grad` does, but for the value that comes first; with `has_aux=True` the first is the
    pair of value and auxiliary data.

    >>> from scalargrad import value_and_grad
    >>> value_and_grad(lambda x, y: x * y * y)(2.0, 3.0)
    (18.0, 9.0)
    """

    return _derivative(value_and_grad, f, (argnums, has_aux, argnames), _value_and_gradient, has_aux)


def _derivative(
    maker: Callable[..., Any], f: Any, options: Any, finish: Callable[[_Run], Any], has_aux: bool = False
) -> Derivative:
    """The function, of what `f` takes, that makes a result of one run of it; argnums and argnames end its options."""

    def derivative(*arguments: Any, **keywords: Any) -> Any:
        with Resting():
            chosen, one = _chosen(f, options[0], options[-1], arguments, keywords)
            run = _Run(f, arguments, chosen, keywords, one, has_aux)
            made = finish(run)
            del run  # so that the collector finds no graph when it is back
        return made

    return Derivative(derivative, maker.__name__, f, maker, options)


def _value_and_gradient(run: _Run) -> tuple[Any, Any]:
    y = run.plain(run.scalar("grad"))
    gradient = run.split(run.backward([1.0]))
    value = y if isinstance(y, Value) else as_float(y)
    return (value, run.aux) if run.has_aux else value, gradient


def grad(
    f: Callable[..., Any], argnums: Argnums = None, has_aux: bool = False, argnames: Argnames = None
) -> Callable[..., Any]:
    """Make the gradient of a function that returns one number: `(df/dx1, df/dx2, ...)`, by reverse mode.

    - `argnums`: the position of the argument to differentiate by, 0 if nothing is said, or several: then the gradients
      come as a tuple.
    - `argnames`: its name, or several, beside or in place of `argnums`; positions come before names.
    - `has_aux`: `f` returns `(value, auxiliary data)`, and the gradient `(gradient, auxiliary data)`.

    An argument is a number, or holds numbers: a list, tuple, dict, dataclass, NumPy array, `array.array`, or an object
    of a class that `register_pytree_node` knows, nested as they may be. Its gradient has the same structure, with None
    where the argument has a str, None, an enumeration or a function. For a NumPy array of any shape `f` gets an array
    of `Value`s, for NumPy's functions. Other arguments are handed on as they are. Raises `TypeError` for what is not a
    number, naming its place, and for a function that returns no single number; `ValueError` for `argnums` or
    `argnames` that are not there.

    >>> from scalargrad import grad, sin
    >>> grad(lambda p: p["a"] * p["x"][0] ** p["x"][1])({"a": 2.0, "x": [3.0, 2]})
    {'a': 9.0, 'x': [12.0, 19.775021196025975]}
    >>> grad(lambda x, k: k * x * x, argnames="k")(3.0, k=2.0)
    9.0
    >>> grad(grad(grad(sin)))(0.5)
    -0.8775825618903728
    """

    def gradient(run: _Run) -> Any:
        _, found = _value_and_gradient(run)
        return (found, run.aux) if has_aux else found

    return _derivative(grad, f, (argnums, has_aux, argnames), gradient, has_aux)


def _numbers_like(tree: Any, structure: Structure, what: str) -> list[Any]:
    leaves = leaves_like(tree, structure, what)
    places = paths(structure, what)
    return [x if isinstance(x, Value) else as_float(x, place) for x, place in zip(leaves, places, strict=True)]


def _one_an_argument(name: str, given: Any) -> None:
    if not isinstance(given, list | tuple):
        raise TypeError(f"{name}: expected a tuple with one entry an argument, got {type(given).__name__}")


def vjp(f: Callable[..., Any], *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """Run `f` and return its value and the map from a cotangent to the vector-Jacobian product: reverse mode.

    The map takes a tree of the structure of `f`'s result, `v`, and returns `v^T J`, one tree an argument. It can be
    called again and again; the function is not run again. Raises `ValueError` for a cotangent of another structure.

    >>> from scalargrad import vjp
    >>> y, pull_back = vjp(lambda a, b: [a * b, a + b], 2.0, 3.0)
    >>> y, pull_back([1.0, 0.0]), pull_back([0.0, 1.0])
    ([6.0, 5.0], (3.0, 2.0), (1.0, 1.0))
    """
    with Resting():
        run = _Run(f, primals, range(len(primals)), {}, False, False)

    def pull_back(cotangent: Tree) -> Any:
        seeds = run.seeds(_numbers_like(cotangent, run.output_structure, "cotangent"))
        with Resting():
            return run.split(run.backward(seeds))

    return run.value(), pull_back


def _check_tangents(order: Sequence[Any], found: dict[Any, Any], outputs: Sequence[Any]) -> None:
    """Raise where finite numbers first led to what makes a result's derivative inf or nan; what selects hides it."""

    def finite(x: Any) -> bool:
        number = getattr(x, "_data", x)  # of several at once, each of the operations on them is looked at
        return not isinstance(number, float) or isfinite(number)

    if all(finite(found.get(y, 0.0)) for y in outputs if isinstance(y, Value)):
        return
    for node in reversed(order):
        before = node.parents
        if before and not finite(found.get(node, 0.0)) and all(finite(found.get(p, 0.0)) and finite(p) for p in before):
            given = ", ".join(repr(p._data) for p in before)
            raise fault(node, f"the derivative of {node.operation.name} is not finite, at operands {given}")


def jvp(f: Callable[..., Any], primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """The value of `f` and its directional derivative `J v`, by forward mode over the recorded graph.

    `primals` are the arguments, `tangents` their directions, of the same structure. Raises `ValueError` where they
    differ.

    >>> from scalargrad import jvp
    >>> jvp(lambda a, b: [a * b, a + b], (2.0, 3.0), (1.0, 10.0))
    ([6.0, 5.0], [23.0, 11.0])
    """
    _one_an_argument("primals", primals)
    _one_an_argument("tangents", tangents)
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: {len(tangents)} tangent(s) for {len(primals)} primal(s)")
    with Resting():
        run = _Run(f, primals, range(len(primals)), {}, False, False)
        directions = _numbers_like(tuple(tangents), (tuple, None, tuple(run.structures)), "tangents")
        seeds = dict(zip(run.inputs, run.seeds(directions), strict=True))
        return run.value(), unflatten(run.output_structure, run.forward(seeds), "derivative")


def jacobian(f: Callable[..., Any], argnums: Argnums = None, argnames: Argnames = None) -> Callable[..., Any]:
    """Make the Jacobian of a function: the structure of its result, each number replaced by its gradient.

    Of an array of shape `s` by one of shape `t` it is an array of shape `s + t`. `f` runs once; then one pass an output
    (reverse mode) or one an input (forward mode), whichever are fewer. Arguments and errors are those of `grad`.

    >>> from scalargrad import jacobian
    >>> jacobian(lambda x: [x[0] * x[1], x[0] + x[1], x[0] ** 2])([3.0, 4.0])
    [[4.0, 3.0], [1.0, 1.0], [6.0, 0.0]]
    """

    def rows(run: _Run) -> Any:
        n, m = len(run.inputs), len(run.outputs)
        if m <= n:
            found = [run.backward([float(i == k) for i in range(m)]) for k in range(m)]
        else:
            columns = [run.forward({x: 1.0}) for x in run.inputs]
            found = [[column[k] for column in columns] for k in range(m)]
        return unflatten(run.output_structure, map(run.split, found), "derivative")

    return _derivative(jacobian, f, (argnums, argnames), rows)


def elementwise_grad(f: Callable[..., Any], argnums: Argnums = None, argnames: Argnames = None) -> Callable[..., Any]:
    """Make the gradient of the sum of all numbers that `f` returns, in one pass; named as in autograd.

    Of a function that NumPy applies to each number of an array, that is the array of its derivatives. Arguments and
    errors are those of `grad`.

    >>> from scalargrad import elementwise_grad
    >>> elementwise_grad(lambda x: [x[0] ** 2, x[1] ** 2])([3.0, 5.0])
    [6.0, 10.0]
    """
    return _derivative(
        elementwise_grad, f, (argnums, argnames), lambda run: run.split(run.backward([1.0] * len(run.outputs)))
    )


def hessian(f: Callable[..., Any], argnums: Argnums = None, argnames: Argnames = None) -> Callable[..., Any]:
    """Make the Hessian of a function that returns one number: the Jacobian of its gradient, reverse over reverse.

    By an array of shape `t` it is an array of shape `t + t`.

    >>> from scalargrad import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    gradient = grad(f, argnums, argnames=argnames)
    return Derivative(jacobian(gradient, argnums, argnames), "hessian", f, hessian, (argnums, argnames))


def hvp(f: Callable[..., Any], primals: Sequence[Tree], tangents: Sequence[Tree]) -> Tree:
    """The Hessian-vector product `H v`, forward over reverse, without building the Hessian.

    `primals` and `tangents` as in `jvp`; returns one tree an argument, as a tuple (a tree alone for one argument).

    >>> from scalargrad import hvp
    >>> hvp(lambda x: x[0] ** 2 * x[1], ([3.0, 5.0],), ([1.0, 0.0],))
    [10.0, 6.0]
    """
    _one_an_argument("primals", primals)
    every: int | tuple[int, ...] = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, every), primals, tangents)[1]


def hessp(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function `(x, p, *args)` that gives the Hessian of `f(x, *args)` by `x` times `p`: SciPy's `hessp=`.

    `p` has the structure of `x`, and so has the product, which takes one pass, as in `hvp`. Raises what `grad` does,
    and `ValueError` for a `p` of another structure.

    >>> from scalargrad import hessp
    >>> hessp(lambda x, a: a * x[0] ** 2 * x[1])([3.0, 5.0], [1.0, 0.0], 2.0)
    [20.0, 12.0]
    """

    def product(x: Tree, p: Tree, *args: Any, **keywords: Any) -> Tree:
        leaves_like(p, flatten(x, "x", static=True)[1], "p")
        return hvp(lambda x: f(x, *args, **keywords), (x,), (p,))

    made = Derivative(product, "hessp", f, hessp, ())
    del made.__wrapped__  # which has no p
    made.__doc__ = f"The Hessian of `{made.__name__[6:-1]}` by its first argument times p, which comes second."
    return made
