"""`custom_vjp`, `custom_jvp` and `checkpoint`: functions with a derivative of their own, or kept in part."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, partial, update_wrapper, wraps
from itertools import compress
from typing import Any

from ..compiler.frontend.bodies import traced_bodies
from ..compiler.frontend.derived import DifferentiableCall, Linearised, element, spread
from ..compiler.ir.program import Program
from ..engine import modes
from ..engine.several import Column, Vector
from ..engine.value import Value
from ..transforms.trees import Structure, flatten, unflatten
from .columns import are_functions, known, leaves_of, numbers, numbers_like


class Flat:
    """A call with arguments in one list: their numbers, and how trees are made of such again."""

    def __init__(self, args: tuple[Any, ...], what: str = "arguments", chosen: Sequence[int] | None = None) -> None:
        self.args = args
        self.chosen = range(len(args)) if chosen is None else chosen
        self.leaves, self.structure = numbers(tuple([args[k] for k in self.chosen]), what)
        self.found: list[Structure] = []  # of results
        self.plain = not any(isinstance(x, Value) for x in self.leaves)

    @cached_property
    def point(self) -> list[float]:
        return list(map(known, self.leaves))

    def arguments(self, leaves: Sequence[Any]) -> list[Any]:
        """All arguments, with these numbers."""
        args = list(self.args)
        for k, tree in zip(self.chosen, unflatten(self.structure, leaves), strict=True):
            args[k] = tree
        return args

    def function(self, f: Callable[..., Any], what: str) -> Callable[[list[Any]], list[Any]]:
        """A function of the arguments as one of their numbers, which notes the structure of its result."""

        def run(leaves: list[Any]) -> list[Any]:
            result, structure = numbers(f(*self.arguments(leaves)), what)
            self.found.append(structure)
            return result

        return run

    def result(self, operation: DifferentiableCall, *more: Any) -> Any:
        """What the call of an operation returns, which takes more operands before the numbers."""
        made = operation(*more, *self.leaves)
        return unflatten(self.found[0], [element(made, k) for k in range(operation.size)])


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose inner numbers reverse mode does not keep, but computes again (Griewank, 1992).

    Arguments and results are numbers or nested lists, tuples and dicts of numbers. It is one operation, and compiles to
    a call. Values and derivatives are those of `f`; memory is what its arguments take. The meaning is that of
    `jax.checkpoint`. `f` is traced, so that it may not branch on its numbers where `Value`s are among them.

    >>> import scalargrad as sg
    >>> layer = sg.checkpoint(lambda x, w: sg.tanh(w * sg.sin(x)))
    >>> sg.grad(layer)(0.5, 2.0) == sg.grad(lambda x, w: sg.tanh(w * sg.sin(x)))(0.5, 2.0)
    True
    """

    are_functions("checkpoint", f)

    @wraps(f)
    def call(*args: Any) -> Any:
        return called(f, args, getattr(f, "__name__", "f"))

    return call


def called(f: Callable[..., Any], args: tuple[Any, ...], name: str) -> Any:
    """The result of a function, as one operation where `Value`s are involved."""
    place = modes.users_line()
    flat = Flat(args)
    if flat.plain or (modes.active and modes.current().anomaly):
        result = f(*args)
        if not any(isinstance(x, Value) for x in flatten(result)[0]) or not flat.plain:
            return result
    (program,), outside = traced_bodies([flat.function(f, f"what {name} returned")], [flat.point], name)
    point = [*map(known, outside), *flat.point]
    return flat.result(DifferentiableCall(name, [program], point, f"at {place}"), *outside)


class _Custom:
    """A function of trees with a derivative of its own."""

    stated: Any = None  # the derivative
    missing = ""  # what is to be done where there is none
    of_adjoints = False  # whether it makes adjoints of arguments, or tangents of results

    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        are_functions(type(self).__name__, function)
        self.function = function
        self.nondiff_argnums = tuple(nondiff_argnums)
        update_wrapper(self, function)

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", "f")

    def __call__(self, *args: Any) -> Any:
        flat = Flat(args, chosen=[k for k in range(len(args)) if k not in self.nondiff_argnums])
        if flat.plain:
            return self.function(*args)
        if self.stated is None:
            raise TypeError(f"{self.name}: {type(self).__name__} without a derivative: {self.missing}")
        place = modes.users_line()
        program = self.traced(flat.function(self.function, f"what {self.name} returned"), flat.point, place)
        rules = partial(self.rules, self.stated, flat, place)
        return flat.result(_Own(self.name, program, flat.point, f"at {place}", rules, self.of_adjoints))

    @abstractmethod
    def rules(self, stated: Any, flat: Flat, place: str) -> list[Program]:
        """The programs of what was stated for a call: the last one is linear in what it takes last; one before gives
        what that takes first, else it is the arguments."""

    def others(self, args: tuple[Any, ...]) -> list[Any]:
        """The arguments that are not differentiated by."""
        return [args[k] for k in self.nondiff_argnums]

    def traced(self, function: Callable[[list[Any]], list[Any]], point: Sequence[float], place: str) -> Program:
        """A function of numbers as a program; an error where something is used that the derivative knows nothing of."""
        (program,), outside = traced_bodies([function], [point], self.name)
        if outside:
            raise TypeError(
                f"{self.name}: a function with a derivative of its own uses a Value from outside "
                f"({outside[0].label or outside[0].operation.name}), whose gradient would be lost: make it an argument"
                f"\n  at {place}"
            )
        return program


class custom_vjp(_Custom):  # noqa: N801  # named as its users know it, from JAX
    """Decorate a function of trees, to state its derivative in reverse mode: `f.defvjp(forward, backward)`.

    `forward(*args)` returns the result and what the derivative needs (residuals: a tree of numbers, or None);
    `backward(residuals, g)` gets that and the adjoint of the result, in its structure, and returns a tuple with the
    adjoint of each argument, in its structure (None for zero). Arguments in `nondiff_argnums` may be anything;
    `backward` gets them first. The meaning is that of `jax.custom_vjp`, save that forward mode works too: the
    derivative that `backward` is the transpose of. On floats `f` itself runs; on `Value`s, and compiled, the others.

    Raises `TypeError` before `defvjp`, for a `backward` that returns something else, and where `f` uses a `Value` that
    is no argument.

    >>> import scalargrad as sg
    >>> @sg.custom_vjp
    ... def clipped(x):  # the identity, which hands on gradients of at most 1
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (sg.clamp(g, -1.0, 1.0),))
    >>> sg.grad(lambda x: clipped(x * x) * 5.0)(3.0)
    6.0
    """

    missing = "call defvjp(forward, backward)"
    of_adjoints = True

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """State the derivative."""
        self.stated = forward, backward

    def rules(self, stated: Any, flat: Flat, place: str) -> list[Program]:
        forward, backward = stated
        kept: list[Any] = []

        def ahead(leaves: list[Any]) -> list[Any]:
            pair = forward(*flat.arguments(leaves))
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"{self.name}: forward must return a pair (result, residuals)\n  at {place}")
            found, structure = numbers(() if pair[1] is None else pair[1], f"{self.name}: the residuals")
            kept[:] = [structure, pair[1] is None]
            return found

        def back(leaves: list[Any]) -> list[Any]:
            residuals = None if kept[1] else unflatten(kept[0], leaves[:count])
            given = backward(*self.others(flat.args), residuals, unflatten(flat.found[0], leaves[count:]))
            parts = flat.structure[2]
            if not isinstance(given, tuple) or len(given) != len(parts):
                of = f" of {len(given)}" if isinstance(given, tuple) else ""
                raise TypeError(
                    f"{self.name}: backward must return a tuple with the adjoint of each of {len(parts)} "
                    f"argument(s), got a {type(given).__name__}{of}\n  at {place}"
                )
            return [x for tree, part in zip(given, parts, strict=True) for x in self._adjoint(tree, part)]

        residuals = self.traced(ahead, flat.point, place)
        count = len(residuals.outputs)
        return [residuals, self.traced(back, [1.0] * (count + leaves_of(flat.found[0])), place)]

    def _adjoint(self, tree: Any, part: Structure) -> list[Any]:
        if tree is None:
            return [0.0] * leaves_of(part)
        what = f"{self.name}: an adjoint that backward returned"
        try:
            return numbers_like(tree, part, what)
        except ValueError as error:
            raise TypeError(f"{error}; it must have the structure of its argument") from None


class _Own(DifferentiableCall):
    """A call whose derivative is stated by programs that are traced when they are asked for: they may call it."""

    def __init__(
        self,
        name: str,
        body: Program,
        point: Sequence[float],
        place: str,
        rules: Callable[[], list[Program]],
        of_adjoints: bool,
    ) -> None:
        super().__init__(name, [body], point, place)
        self.traced = rules
        self.of_adjoints = of_adjoints
        self.stated: list[DifferentiableCall] = []

    def rules(self) -> list[DifferentiableCall]:
        """The calls of those programs."""
        if not self.stated:
            with modes.not_tracing():
                programs = self.traced()
            self.stated = [DifferentiableCall(f"{self.name}′", [p], [1.0] * p.inputs, self.place) for p in programs]
        return self.stated

    def applied(self, operands: Sequence[Any], vector: Sequence[Any], transposed: bool, chosen: Sequence[int]) -> Any:
        """What the rule makes of adjoints or tangents, of which None are zeros; or its transpose of those of what it
        makes: the chosen ones alone."""
        *first, rule = self.rules()
        given = operands
        for each in first:
            kept = each(*operands)
            given = [element(kept, k) for k in range(each.size)]
        if not transposed:
            return rule(*given, *[0.0 if x is None else x for x in vector])
        body, count, n = rule.bodies[0], len(given), rule.bodies[0].inputs
        seeded = [k for k, x in enumerate(vector) if x is not None]

        def back(leaves: list[Any]) -> list[Any]:
            found = Linearised(body, leaves[:n], range(count, n)).backward(zip(seeded, leaves[n:], strict=True), {})
            return [found(count + k) for k in chosen]

        call = self.call(("transposed", *seeded, -1, *chosen), back, [1.0] * (n + len(seeded)))
        return call(*given, *[0.0] * (n - count), *[vector[k] for k in seeded])

    def pull_back(self, node: Any, operands: Sequence[Any], adjoint: Vector, wanted: Sequence[bool]) -> list[Any]:
        chosen = list(compress(range(len(operands)), wanted))
        made = self.applied(operands, [adjoint[k] for k in range(self.size)], not self.of_adjoints, chosen)
        if self.of_adjoints:
            return [element(made, k) if each else None for k, each in enumerate(wanted)]
        return spread(made, wanted)

    def push_forward(self, node: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Vector:
        return Vector({}, [Column(0, self.size, self.applied(operands, tangents, self.of_adjoints, range(self.size)))])

    def __getstate__(self) -> dict[str, Any]:
        self.rules()
        return {name: x for name, x in super().__getstate__().items() if name != "traced"}


class custom_jvp(_Custom):  # noqa: N801
    """Decorate a function of trees, to state its derivative in forward mode: `@f.defjvp`.

    The rule takes `(primals, tangents)`, both a tuple with an entry an argument, and returns the result and its
    tangent, which must be linear in the tangents; reverse mode is its transpose. Arguments in `nondiff_argnums` may be
    anything; the rule gets them first. The meaning is that of `jax.custom_jvp`.

    Raises `TypeError` before `defjvp`, for a rule that returns something else, and where `f` uses a `Value` that is no
    argument.

    >>> import scalargrad as sg
    >>> @sg.custom_jvp
    ... def log1pexp(x):
    ...     return sg.log(1.0 + sg.exp(x))
    >>> @log1pexp.defjvp
    ... def _(primals, tangents):
    ...     return log1pexp(*primals), tangents[0] * sg.sigmoid(primals[0])
    >>> sg.grad(log1pexp)(100.0), sg.jvp(log1pexp, (0.0,), (2.0,))[1]
    (1.0, 1.0)
    """

    missing = "decorate its rule with defjvp"

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """State the derivative."""
        self.stated = rule
        return rule

    def rules(self, stated: Any, flat: Flat, place: str) -> list[Program]:
        n = len(flat.leaves)

        def moved(leaves: list[Any]) -> list[Any]:
            primals, dots = (unflatten(flat.structure, part) for part in (leaves[:n], leaves[n:]))
            pair = stated(*self.others(flat.args), primals, dots)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"{self.name}: the rule must return a pair (result, tangent)\n  at {place}")
            return numbers_like(pair[1], flat.found[0], f"{self.name}: the tangent that the rule returned")

        return [self.traced(moved, [*flat.point, *[1.0] * n], place)]
