"""`Value`: a number that remembers how it was computed, so that `backward()` can tell what it depends on and how much.

Nodes and operators are here; what the operations are and what their derivatives are stands in `table.py`; what is done
to a whole graph, in `chain_rule.py`.

A node holds its operands in two slots, `_a` and `_b`, rather than in a tuple: `(a, None)` for one operand, `(a, b)` for
two, `(None, tuple)` for any other number, `(None, None)` for none. The garbage collector walks every tracked object
again and again while a graph grows; one object a node instead of two halves the time of the forward pass.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..version import is_this
from . import modes, table
from .anomaly import check_value, gradient_check
from .chain_rule import (
    Added,
    NoGradient,
    Read,
    Used,
    differentiating,
    float_adjoints,
    graph_adjoints,
    made_before,
    order_of_pass,
)
from .pickling import reduce, unseen_first
from .primitive import CONSTANT, LEAF, Primitive, as_float, exact
from .rendering import rendered, renderers
from .several import Vector

_new = object.__new__
_BARE = "v.data, or v.detach().data in a function that is being differentiated"

# What users of other libraries look for, and what serves here.
_ELSEWHERE = {
    **dict.fromkeys(("item", "numpy", "tolist"), "the bare number is v.data"),
    "requires_grad": "all Values record; v.detach() and no_grad() stop it",
    "grad_fn": "v.operation and v.parents tell what it was computed from",
    "value": "the number is v.data",
}
_now = NoGradient()  # the `_grad` of nodes that are made now
_lock = Lock()


def begin() -> NoGradient:
    """Begin a new time for the nodes that are made from now on; its mark."""
    global _now
    with _lock:
        _now = _now.next()
        return _now


class Value:
    """A float64 that records the operations it goes through, for derivatives by reverse-mode differentiation.

    `Value(data, label="")` makes a leaf from a real number (int, float, bool, Fraction, Decimal, NumPy scalar). All
    else raises `TypeError`; an integer that no float equals raises `ValueError`, one too large for a float raises
    `OverflowError`. Operators and scalargrad's functions make further nodes; plain numbers among their operands become
    constants.

    >>> x = Value(3.0, label="x")
    >>> y = x * x + 2 * x
    >>> y.backward()
    >>> y.data, x.grad
    (15.0, 8.0)

    `data` is the value; a real number of any type can be assigned to it. `grad` is the derivative of the last
    `backward()`'s root by this node: set on inner nodes, added to on leaves, 0.0 before any pass. `operation` and
    `parents` tell what it was computed from; `label` names it in drawings. Comparisons compare `data`; `hash` is by
    identity.
    """

    __slots__ = ("__weakref__", "_a", "_b", "_data", "_grad", "_group", "_label", "_made", "_origin", "operation")
    __match_args__ = ("data",)

    operation: Primitive
    _data: float
    _grad: Any  # a float; a `Value` after backward(create_graph=True); a `NoGradient` before any pass
    _made: Any  # of leaves alone: see `NoGradient`; while a function is compiled, of derivatives: the tracer
    _a: Value | None
    _b: Any  # a `Value`, a tuple of them, or None
    _group: str
    _label: str
    _origin: Any  # where it was recorded, under `detect_anomaly()`; while a function is compiled, its number

    def __init__(self, data: Any, label: str = "") -> None:
        self._data = data if type(data) is float else as_float(data)
        self._grad = self._made = _now
        self.operation = LEAF
        self._a = self._b = None
        if label != "":
            self.label = label
        if modes.active:
            _in_group(self)

    @property
    def data(self) -> float:
        """The number. Of what a function that is being differentiated computes, and of anything in one that is being
        compiled, to read it is an error, as it would leave the graph: `v.detach().data` says that it may."""
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("reading .data")
        begun = differentiating.begun
        if begun and self.operation is not CONSTANT and not made_before(self, begun[0]):
            raise TypeError(
                "reading .data in a function that is being differentiated would lose the gradient: compute with the "
                f"Value itself, or say v.detach().data\n  at {modes.users_line()}"
            )
        return self._data

    @data.setter
    def data(self, x: Any) -> None:
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("assigning to .data")
        if isinstance(x, Value):
            raise TypeError("data: expected a real number, got a Value; assign its number, x.data")
        self._data = as_float(x, "data")
        grad = self._grad
        if type(grad) is float:
            self._grad = Used(grad)
        elif type(grad) is Read:
            self._grad = float(grad)
            warnings.warn(
                "the gradient by which .data was moved was added to that of the move before, as backward() does: call "
                "zero_grad() before each backward()",
                stacklevel=2,
            )

    @property
    def grad(self) -> Any:
        """The gradient: a float, or a `Value` after `backward(create_graph=True)`. Assigning None forgets it."""
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("reading .grad")
        grad = self._grad
        if type(grad) is Added:
            self._grad = Read(grad)
        return 0.0 if type(grad) is NoGradient else float(grad) if isinstance(grad, Used) else grad

    @grad.setter
    def grad(self, g: Any) -> None:
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("assigning to .grad")
        self._grad = _now if g is None else g if isinstance(g, Value) else as_float(g, "grad")

    @property
    def has_gradient(self) -> bool:
        """Whether a backward pass has reached this node since it was made, or since `zero_grad()`."""
        return type(self._grad) is not NoGradient

    @property
    def parents(self) -> tuple[Value, ...]:
        """The operands, in order and with repeats: `a * a` has two.

        >>> a = Value(2.0); (a * a).parents == (a, a)
        True
        """
        a, b = self._a, self._b
        if a is None:
            return () if b is None else b
        return (a,) if b is None else (a, b)

    @property
    def label(self) -> str:
        """The name shown in drawings and messages; "" if none was given."""
        return getattr(self, "_label", "")

    @label.setter
    def label(self, text: str) -> None:
        self._label = _text(text, "label")

    @property
    def group(self) -> str:
        """What the node belongs to in drawings, such as "layer1/neuron0"; "" for nothing. See `scalargrad.group`."""
        return getattr(self, "_group", "")

    @group.setter
    def group(self, path: str) -> None:
        self._group = _text(path, "group")

    @property
    def is_leaf(self) -> bool:
        """True for an input: made by `Value(...)`, neither computed nor a constant."""
        return self.operation is LEAF

    @property
    def is_constant(self) -> bool:
        """True for a plain number in an expression, a detached value, or a result computed under `no_grad()`."""
        return self.operation is CONSTANT

    @property
    def local_gradients(self) -> tuple[float, ...]:
        """The derivative of this node by each operand, in the operands' order.

        >>> a, b = Value(2.0), Value(-3.0)
        >>> (a * b).local_gradients
        (-3.0, 2.0)
        """
        operands = self.parents
        return self.operation.local_gradients(self.data, [p._data for p in operands]) if operands else ()

    def __repr__(self) -> str:
        name = f", label={self.label!r}" if self.label else ""
        if modes.active and modes.tracer() is not None and not self.is_constant:
            return f"Value(varies from call to call, at {id(self):#x}{name})"  # as it is compared: by identity
        grad = self._grad._data if isinstance(self._grad, Value) else 0.0 + self._grad
        return f"Value(data={self._data!r}, grad={grad!r}{name})"

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # NumPy asks every element of an array for several
            raise AttributeError(name)
        if name == "_mask":  # asked by numpy.ma alone, which has taken `_data` for the numbers of an array of its own
            raise TypeError("a masked array and a Value, whose gradient would be lost: fill it, or index by ~x.mask")
        if (method := f"method {name}") in renderers:
            return partial(renderers[method], self)
        hint = f": {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"a Value has no {name!r}{hint}", name=name, obj=self)

    def backward(self, seed: Any = 1.0, create_graph: bool = False, **unknown: Any) -> None:
        """Differentiate this node by everything it was computed from: the chain rule, in reverse topological order.

        Every pass computes its own adjoints, `seed` at this node and upstream x local summed over the paths elsewhere;
        it then adds them to the `grad` of leaves and sets the `grad` of inner nodes. An upstream gradient of exactly
        zero contributes zero, whatever the local gradient is.

        With `create_graph=True` the gradients are `Value`s, which can be differentiated again. They refer to the graph
        and the graph to them, so such graphs are freed by the garbage collector; `scalargrad.grad` has no such cycle.

        >>> x = Value(2.0)
        >>> (x ** 3).backward(create_graph=True)
        >>> dx = x.grad; x.zero_grad(); dx.backward()
        >>> dx.data, x.grad
        (12.0, 12.0)
        """
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("backward()")
        if unknown:
            hint = ": graphs are kept, and a second backward() adds" if "retain_graph" in unknown else ""
            raise TypeError(f"backward: unknown option {next(iter(unknown))}{hint}")
        if self.operation is CONSTANT:
            raise ValueError("backward() of a constant: it was computed under no_grad(), or detached, and has no graph")
        if isinstance(seed, Value) and not create_graph:
            raise TypeError("backward: a Value as seed needs create_graph=True; or give seed.data")
        seed = seed if isinstance(seed, Value) else as_float(seed, "seed")
        check = gradient_check((seed,)) if modes.active and modes.current().anomaly else None
        order = order_of_pass((self,))
        adjoint: dict[Any, Any]
        if create_graph:
            with modes.recording() if modes.active else nullcontext():
                found = graph_adjoints(order, ((self, seed),), (), check)
                adjoint = {node: _node(found.get(node, 0.0)) for node in order}
                _store(adjoint)
        else:
            _store(float_adjoints(order, ((self, seed),), (), check))

    def zero_grad(self) -> None:
        """Forget this node's gradient, so that the next `backward()` does not add to it."""
        self._grad = _now

    def detach(self) -> Value:
        """This value as a constant: gradients do not flow through it.

        >>> x = Value(3.0)
        >>> (x * x.detach()).backward(); x.grad
        3.0
        """
        if modes.active and (tracer := modes.tracer()) is not None:
            return tracer.detached(self)  # type: ignore[no-any-return]
        return constant(self._data)

    def __array_ufunc__(self, *given: Any, **options: Any) -> Any:
        return rendered("ufunc", *given, **options)  # NumPy asks for it, of numbers and arrays of its own too

    def __array_function__(self, *given: Any) -> Any:
        return rendered("array function", *given)

    def draw(self, **options: Any) -> Any:
        """Draw how this value was computed and how its gradient comes back: see `scalargrad.draw`."""
        return rendered("graph", self, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return rendered("graph in a notebook", self)  # type: ignore[no-any-return]

    # ---- operators ---------------------------------------------------------------------------------------------------
    # Those of arithmetic and comparison, and the functions that are methods, are made below the class from rows.

    if TYPE_CHECKING:

        def __add__(self, other: Any) -> Value: ...

        __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
        __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __add__

        def __lt__(self, other: Any) -> bool: ...
        def exp(self) -> Value: ...

        __le__ = __gt__ = __ge__ = __lt__
        log = sqrt = sin = cos = tanh = sigmoid = relu = __neg__ = __abs__ = __floor__ = __ceil__ = exp

    def __pos__(self) -> Value:
        return self

    def __round__(self, digits: None = None) -> Value:
        if digits is not None:
            raise TypeError("round: a Value rounds to whole numbers only; use round(v * 100) / 100 for digits")
        return _unary(table.round, self)

    def __divmod__(self, other: Any) -> tuple[Value, Value]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Value, Value]:
        return other // self, other % self

    def __pow__(self, exponent: Any, modulus: None = None) -> Value:
        if modulus is not None:
            raise TypeError("pow: a Value takes no modulus")
        if isinstance(exponent, Value):
            return Value._record(table.pow, (self, exponent))
        other = _number(exponent, "pow", "__rpow__")
        return other if other is NotImplemented else _unary(table.power(other), self)

    def __rpow__(self, base: Any) -> Value:
        other = _number(base, "pow", "__pow__")
        return other if other is NotImplemented else Value._record(table.pow, (constant(other), self))

    def __bool__(self) -> bool:
        if modes.active and (tracer := modes.tracer()) is not None:
            return tracer.truth(self)  # type: ignore[no-any-return]
        return self._data != 0.0

    __hash__ = object.__hash__

    def __float__(self) -> float:
        raise TypeError(
            "float() of a Value, or a function of math or numpy on one, would lose its gradient: "
            f"use scalargrad's function of that name, or for the bare number {_BARE}; an array to "
            "assign Values into is np.zeros_like(x), or np.empty_like(x), of one"
        )

    def __int__(self) -> int:
        raise TypeError(f"int() of a Value, or its use as an index, would lose its gradient: use {_BARE}")

    __index__ = __trunc__ = __int__

    def __complex__(self) -> complex:
        raise TypeError(f"complex() of a Value would lose its gradient: use for the bare number {_BARE}")

    @staticmethod
    def _record(operation: Primitive, operands: Sequence[Any]) -> Value:
        """Make the node of an operation on any mixture of `Value`s and numbers: what `Primitive` calls."""
        if operation.arity == 1 and len(operands) == 1:
            return _unary(operation, operands[0])
        name = operation.name
        given = tuple(operands)
        if set(map(type, given)) != _VALUES:
            given = tuple([x if isinstance(x, Value) else constant(as_float(x, name)) for x in given])
        if operation.arity is not None and len(given) != operation.arity:
            raise TypeError(f"{name}: takes {operation.arity} operand(s), got {len(given)}")
        v = _new(Value)
        v._data = operation.compute(*[x._data for x in given])
        v._grad = _now
        v.operation = operation
        if len(given) == 2:
            v._a, v._b = given
        elif len(given) == 1:
            v._a, v._b = given[0], None
        else:
            v._a, v._b = None, given
        return _in_mode(v) if modes.active else v

    def __copy__(self) -> Value:
        """An independent copy of the whole graph, as `copy.deepcopy`."""
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("copying a Value")
        if id(self) not in memo:
            derived = []
            for node in unseen_first(self, memo):
                if id(node) not in memo:
                    a, b = node._a, node._b
                    if b is not None:
                        b = memo[id(b)] if isinstance(b, Value) else tuple([memo[id(p)] for p in b])
                    a = None if a is None else memo[id(a)]
                    memo[id(node)] = _restore(None, node.operation, a, b, *_state(node))
                    if type(node) is not Value:
                        derived.append(node)
            for node in derived:  # when all are there, for what they have may refer to any
                _fill(memo[id(node)], deepcopy(_own(node), memo))
        copied: Value = memo[id(self)]
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("pickling a Value")
        reduced = reduce(self, _restore, _state(self))
        return reduced if type(self) is Value else (*reduced, _own(self), None, None, _fill)


def _text(x: Any, what: str) -> str:
    if not isinstance(x, str):
        raise TypeError(f"{what}: expected a str, got {type(x).__name__}")
    return x


def _node(x: Any) -> Any:
    """A gradient as a `Value`, -0.0 as 0.0; one that does not vary is a leaf, whose own derivatives are zero."""
    if not isinstance(x, Value):
        return x if x.__class__ is Vector else Value(0.0 + x)
    return x if x._data != 0.0 else 0.0 + x


def _store(adjoint: dict[Any, Any]) -> None:
    """Set the gradients of inner nodes and add to those of leaves."""
    for node, g in adjoint.items():
        operation = node.operation
        if operation is not LEAF:
            if operation is not CONSTANT:
                node._grad = g
        elif type(node._grad) is NoGradient:
            node._grad = g
        else:
            node._grad = node._grad + g


def constant(x: float) -> Value:
    """A node for a plain number."""
    v = _new(Value)
    v._data = x
    v._grad = _now
    v.operation = CONSTANT
    v._a = v._b = None
    return v


_VALUES = {Value}


def _state(node: Value) -> tuple[Any, ...]:
    """What a copy keeps besides operation and operands; a gradient that is itself a graph is kept as its number."""
    grad = None if type(node._grad) is NoGradient else node._grad
    state = node._data, grad._data if isinstance(grad, Value) else grad, node.label, node.group
    return state if type(node) is Value else (*state, type(node))


def _own(node: Value) -> dict[str, Any]:
    """What a class derived from `Value` has added to a node, in its `__dict__` and in slots."""
    state: Any = object.__getstate__(node)
    return {**{name: x for name, x in state[1].items() if name not in Value.__slots__}, **(state[0] or {})}


def _fill(node: Value, own: dict[str, Any]) -> None:
    for name, x in own.items():
        setattr(node, name, x)


def _restore(
    before: Any,
    operation: Primitive,
    a: Any,
    b: Any,
    data: float,
    grad: float | None,
    label: str,
    group: str,
    kind: type[Value] = Value,
) -> Value:
    if type(before) is str:  # in a pickle, a leaf's
        is_this(before, "a pickled Value")
    v = _new(kind)
    v._data = data
    v._grad = _now if grad is None else grad
    v._made = _now
    v.operation = operation
    v._a, v._b = a, b
    if label:
        v._label = label
    if group:
        v._group = group
    return v


def _unary(operation: Primitive, a: Value) -> Value:
    v = _new(Value)
    v._data = operation.compute(a._data)
    v._grad = _now
    v.operation = operation
    v._a = a
    v._b = None
    return _in_mode(v) if modes.active else v


def _in_mode(node: Value) -> Value:
    """The node as the current thread's and task's mode wants it."""
    mode = modes.recent()
    if mode.tracer is not None and mode.tracer.mode is mode:  # so that it has not ended: most nodes there are
        return mode.tracer.made(node, True)  # type: ignore[no-any-return]
    mode = modes.current()
    if mode.anomaly and not node.operation.several:
        node._origin = modes.users_line()
        check_value(node, node.parents)
    if mode.tracer is not None:
        return mode.tracer.made(node, mode.recording)  # type: ignore[no-any-return]
    return _in_group(node) if mode.recording else constant(node._data)


def _in_group(node: Value) -> Value:
    if group := modes.current().group:
        node._group = group
    return node


def _number(x: Any, name: str, reflected: str) -> Any:
    """`x` as a float; `NotImplemented` for a class of somebody else's that defines the reflected operator."""
    if type(x) is float:
        return x
    try:
        return as_float(x, name)
    except TypeError:
        kind = type(x)
        numpys_scalar = kind.__module__ == "numpy" and not hasattr(kind, "__array_function__")
        if kind.__module__ != "builtins" and not numpys_scalar and hasattr(kind, reflected):
            return NotImplemented
        raise


def _make_operators(operation: Primitive) -> None:
    name = operation.name if operation is not table.div else "truediv"
    compute, forward, reflected = operation.compute, f"__{name}__", f"__r{name}__"
    adds = operation is table.add

    def method(self: Value, other: Any) -> Value:
        if type(other) is not Value and not isinstance(other, Value):
            other = _number(other, name, reflected)
            if other is NotImplemented:
                return NotImplemented  # type: ignore[no-any-return]  # the protocol of operators
            other = constant(other)
        v = _new(Value)
        v._data = compute(self._data, other._data)
        v._grad = _now
        v.operation = operation
        v._a = self
        v._b = other
        return _in_mode(v) if modes.active else v

    def reflected_method(self: Value, other: Any) -> Value:
        if adds and type(other) is int and other == 0:  # how the builtin sum() starts
            return self
        other = _number(other, name, forward)
        return NotImplemented if other is NotImplemented else method(constant(other), self)

    for each, title in ((method, forward), (reflected_method, reflected)):
        each.__name__, each.__qualname__ = title, f"Value.{title}"
        setattr(Value, title, each)


def _make_comparison(title: str, compare: Callable[[Any, Any], bool]) -> None:
    def method(self: Value, other: Any) -> Any:
        if not isinstance(other, Value):
            try:
                other = exact(other)
            except TypeError:
                return NotImplemented  # the protocol of operators
        if modes.active and (tracer := modes.tracer()) is not None:
            return tracer.compare(title, self, other)
        return compare(self._data, other._data if isinstance(other, Value) else other)

    method.__name__, method.__qualname__ = f"__{title}__", f"Value.__{title}__"
    setattr(Value, method.__name__, method)


def _make_product(row: Primitive) -> None:
    """A product of the chain rule as a method, of an upstream gradient and a local one: what a recording pass does most
    of all, and so written out, as in the row."""
    selects = row is table.gate

    def method(self: Value, local: Value) -> Value:
        v = _new(Value)
        a, b = self._data, local._data
        v._data = a * b if a != 0.0 and (b != 0.0 or not selects) else 0.0
        v._grad = _now
        v.operation = row
        v._a = self
        v._b = local
        return _in_mode(v) if modes.active else v

    setattr(Value, f"_{row.name}", method)


def _make_method(row: Primitive, name: str = "") -> None:
    def method(self: Value) -> Value:
        return _unary(row, self)

    method.__name__ = name or row.name
    method.__qualname__ = f"Value.{method.__name__}"
    method.__doc__ = None if name else f"`scalargrad.{row.name}(self)`."
    setattr(Value, method.__name__, method)


for _each in (table.add, table.sub, table.mul, table.div, table.mod, table.floordiv):
    _make_operators(_each)
for _each in (table.chain, table.gate):
    _make_product(_each)
for _each in (table.exp, table.log, table.sqrt, table.sin, table.cos, table.tanh, table.sigmoid, table.relu):
    _make_method(_each)
for _each in (table.neg, table.abs, table.floor, table.ceil):
    _make_method(_each, f"__{_each.name}__")
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _make_comparison(_name, getattr(operator, _name))
