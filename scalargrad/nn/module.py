"""`Module`: whatever has parameters; they are found in its attributes, named, replaced, saved and loaded.

A class of the user's is as much a module as the layers of this package, of which nothing is known here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import lru_cache
from operator import attrgetter, is_not
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Self

from ..engine.primitive import LEAF
from ..engine.rendering import rendered
from ..engine.value import Value
from ..state import ANY, Path, attributes, inside, load_all, read_at, read_state, slots_of, within, write_state
from ..transforms.trees import flatten

Number = Any  # a float or a `Value`


class Module:
    """What has parameters. A module of your own is a subclass that keeps them in attributes and defines `__call__`.

    Found as its parameters are the leaf `Value`s in its attributes, in lists, tuples and dicts there, and in modules
    there; one that is reached twice counts once. Where only something else holds some (a set, a deque, an array, an
    object that is no module, a `functools.partial`, the class), they raise `TypeError`; what a function closes over is
    not looked for.

    >>> from scalargrad import Value
    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.offset = Value(2.0), Value(1.0)
    ...     def __call__(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> dict(line.named_parameters())
    {'slope': Value(data=2.0, grad=0.0), 'offset': Value(data=1.0, grad=0.0)}
    >>> line.state_dict()
    {'parameters': {'slope': 2.0, 'offset': 1.0}, 'modules': {}}
    """

    training = True  # whether `Dropout` drops: see `train` and `eval`

    def __call__(self, inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say what it computes: define __call__")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parameters())} parameters)"

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Go through the parameters, each with the place where Python finds it.

        >>> from scalargrad.nn import MLP
        >>> [name for name, _ in MLP(1, [2]).named_parameters()][:2]
        ['layers[0].neurons[0].weights[0]', 'layers[0].neurons[0].bias']
        """
        return iter([each for each in _walk(self) if isinstance(each[1], Value)])

    def parameters(self) -> list[Value]:
        """The parameters in order, as an optimizer takes them."""
        return [x for _, x in _walk(self) if isinstance(x, Value)]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Go through this module, whose name is "", and all modules in it."""
        return iter([each for each in _walk(self) if isinstance(each[1], Module)])

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad()

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all in it to training, where `Dropout` drops; return it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch this module and all in it to evaluation, where `Dropout` does nothing; return it."""
        return self.train(False)

    def with_parameters(self, parameters: Iterable[Number]) -> Self:
        """Return a copy of this module that computes with these numbers (floats, `Value`s) in its parameters' places.

        The generators of `Dropout`s are shared with this one. Raises `ValueError` unless there is one number for each
        parameter.

        >>> from scalargrad.nn import MLP
        >>> MLP(1, [1], init="zeros").with_parameters([3.0, 0.5])([2.0])
        6.5
        """
        own, given = self.parameters(), list(parameters)
        if len(own) != len(given):
            raise ValueError(f"{type(self).__name__}: has {len(own)} parameter(s), got {len(given)}")
        numbers = dict(zip(own, given, strict=True))
        copied: Self = _replaced(self, lambda x: numbers.get(x, x), {})
        return copied

    def functional(self) -> tuple[list[float], Callable[[Sequence[Number], Any], Any]]:
        """Return the parameters as a list of floats, and the module as a function `f(parameters, inputs)`.

        On floats it returns floats, on `Value`s `Value`s, so that it can be differentiated as any other function.

        >>> from scalargrad import grad
        >>> from scalargrad.nn import MLP
        >>> parameters, f = MLP(1, [1], init="zeros").functional()
        >>> parameters, grad(f)(parameters, [3.0])
        ([0.0, 0.0], [3.0, 1.0])
        """

        return [p.data for p in self.parameters()], lambda parameters, inputs: self.with_parameters(parameters)(inputs)

    def frozen(self) -> Self:
        """Return a copy in evaluation mode that computes with plain numbers: the same bits, no graph, and fast.

        Floats have no methods of `Value`s: a module of your own is to say `tanh(x)`, where micrograd's say `x.tanh()`.
        """
        done: dict[int, Any] = {}
        copied: Self = _replaced(self, _DATA, done)
        for each in done.values():
            if isinstance(each, Module):
                each.training = False
        return copied

    def predict(self, inputs: Any) -> Any:
        """Call a `frozen()` copy: numbers in, numbers out. For many inputs, make one such copy and call that.

        >>> from scalargrad.nn import MLP
        >>> MLP(1, [1], init="zeros").predict([2.0])
        0.0
        """
        return self.frozen()(inputs)

    def draw(self, **options: Any) -> Any:
        """Draw the network by layer, or one of its neurons unfolded: see `scalargrad.draw_network`."""
        return rendered("network", self, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return rendered("network in a notebook", self)  # type: ignore[no-any-return]

    def own_state(self) -> dict[str, Any] | None:
        """What this module itself must save besides parameters, as plain data for JSON; None if nothing."""
        return None

    def load_own_state(self, state: Any) -> None:
        """Take over what `own_state` returned; `ValueError` where it is not that, and nothing is changed."""

    def _own_states(self) -> dict[str, tuple[Module, dict[str, Any]]]:
        found = ((place, module, module.own_state()) for place, module in self.named_modules())
        return {place: (module, state) for place, module, state in found if state is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the parameters' values, nested as the attributes are, and other modules' states, as data for JSON."""
        return {
            "parameters": _values(self, set()),
            "modules": {place: state for place, (_, state) in self._own_states().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` returned.

        Raises `ValueError` where it does not fit (unknown or missing names, other sizes, what is not a number), saying
        where; then nothing is changed.

        >>> from scalargrad.nn import MLP
        >>> MLP(1, [1]).load_state_dict({"parameters": {"layers": [{"neurons": [{"bias": 0}]}]}, "modules": {}})
        Traceback (most recent call last):
        ...
        ValueError: MLP: missing parameters['layers'][0]['neurons'][0]['weights']
        """
        own_states = self._own_states()
        with within(type(self).__name__):
            like = {"parameters": _values(self, set()), "modules": dict.fromkeys(own_states, ANY)}
            state = read_at("", state, like)
        numbers = [x for x in flatten(state["parameters"])[0] if x is not None]  # in the order of the parameters
        load_all(
            (module.own_state, module.load_own_state, state["modules"][place])
            for place, (module, _) in own_states.items()
        )
        for (_, p), x in zip(self.named_parameters(), numbers, strict=True):
            p.data = x

    def save(self, path: Path) -> None:
        """Write the state to a JSON file, every float with all its digits; after an error, the file is as before.

        Such a file is data. To load it runs no code, as to load a pickle does: take those from nobody you do not trust.
        """
        write_state(path, _FORMAT, {"module": repr(self), **self.state_dict()})

    def load(self, path: Path) -> Self:
        """Take over the state from a file that `save` wrote, and return this module.

        Raises `ValueError` for a file that is none of those, for one saved from a module that was not the same, as
        `repr` tells it, and where the state does not fit; then nothing is changed.
        """
        saved = read_state(path, _FORMAT)
        with within(os.fspath(path)):
            if saved.pop("module", None) != repr(self):
                raise ValueError(
                    f"saved from another module than {self!r}; "
                    "if that is meant, use load_state_dict() on the file's 'parameters' and 'modules'"
                )
            self.load_state_dict(saved)
        return self


_FORMAT = "scalargrad module 1"
_HOLDERS = (Value, Module, list, tuple, dict)
_DATA = attrgetter("data")


def _walk(root: Module) -> list[tuple[str, Any]]:
    """The module itself, its parameters and modules, each once, with its place."""
    found: list[tuple[str, Any]] = []
    others: list[tuple[str, Any]] = []  # in which nothing is looked for
    seen: set[int] = set()
    left: list[tuple[str, Any]] = [("", root)]
    while left:
        place, x = reached = left.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Value):
            if x.operation is LEAF:
                found.append(reached)
            continue
        if isinstance(x, Module):
            found.append(reached)
            before, after = f"{place}." if place else "", ""
            for name, child in _of_class(type(x)):
                others.append((before + name, child))
            items: Iterable[tuple[Any, Any]] = (attributes(x) if slots_of(type(x)) else vars(x)).items()
        else:
            before, after = f"{place}[", "]"
            items = x.items() if isinstance(x, dict) else enumerate(x)
        inner = []
        for key, child in items:
            if isinstance(child, _HOLDERS):
                inner.append((f"{before}{key!r}{after}" if after else before + key, child))
            elif not isinstance(child, _PLAIN):
                others.append((f"{before}{key}{after}", child))
        left += reversed(inner)
    for place, x in others:
        if _hides_values(x, seen):
            raise TypeError(
                f"{type(root).__name__}: {place} is a {type(x).__name__}, in which parameters are not looked for; "
                "keep them in a list, tuple or dict, or make a Module of what holds them"
            )
    return found


_PLAIN = (str, bytes, int, float, type(None), type, ModuleType, FunctionType, BuiltinFunctionType)


def _in_class(kind: type) -> list[tuple[str, Any]]:
    """What stands in a module's class, where a parameter would be everybody's."""
    members = [member for each in kind.__mro__ for member in vars(each).items()]
    return [(f"{name} of the class", x) for name, x in members if isinstance(x, _HOLDERS)]


_of_class: Callable[[type], list[tuple[str, Any]]] = lru_cache(maxsize=1024)(_in_class)


def _hides_values(x: Any, known: set[int]) -> bool:
    """Whether something has parameters or modules in it that are not `known`, as far as is to be seen."""
    seen: set[int] = set()
    left = [x]
    while left:
        x = left.pop()
        if isinstance(x, _PLAIN) or id(x) in seen or id(x) in known:
            continue
        seen.add(id(x))
        if isinstance(x, Module) or (isinstance(x, Value) and x.operation is LEAF):
            return True
        if isinstance(x, Mapping):
            left += [*x, *x.values()]
        elif isinstance(x, Collection):
            left += getattr(x, "flat", x) if getattr(getattr(x, "dtype", None), "kind", "O") == "O" else ()
        elif type(x).__module__.partition(".")[0] != __name__.partition(".")[0]:  # ours hold what others were given
            left += inside(x)
    return False


def _values(x: Any, seen: set[int]) -> Any:
    """The numbers of all parameters, nested as they are held; None for what holds none."""
    if not isinstance(x, _HOLDERS) or id(x) in seen or (isinstance(x, Value) and x.operation is not LEAF):
        return None
    seen.add(id(x))
    if isinstance(x, Value):
        return x.data
    if isinstance(x, list | tuple):
        items = [_values(child, seen) for child in x]
        return items if any(each is not None for each in items) else None
    named = attributes(x) if isinstance(x, Module) else {str(key): child for key, child in x.items()}
    found = {name: each for name, child in named.items() if (each := _values(child, seen)) is not None}
    return found if found or isinstance(x, Module) else None


def _replaced(x: Any, swap: Callable[[Value], Any], done: dict[int, Any]) -> Any:
    """A copy of a holder, kept in `done` by identity, with parameters swapped; a container without any is kept."""
    if id(x) in done:
        return done[id(x)]
    copied: Any  # known before what is in it, which may refer back
    copied = done[id(x)] = object.__new__(type(x)) if isinstance(x, Module) else copy(x) if isinstance(x, dict) else []
    named = attributes(x) if isinstance(x, Module) else x if isinstance(x, dict) else None
    old, new = (x, copied) if named is None else (list(named.values()), [])
    for child in old:
        if isinstance(child, _HOLDERS):
            child = swap(child) if isinstance(child, Value) else _replaced(child, swap, done)
        new.append(child)
    if isinstance(x, Module):
        vars(copied).update(zip(named or (), new, strict=True))
        for key in slots_of(type(x)):
            if key in vars(copied):
                setattr(copied, key, vars(copied).pop(key))
    elif isinstance(x, dict):
        copied.update(zip(x, new, strict=True))
    elif type(x) is not list:
        copied = type(x)(*copied) if hasattr(x, "_fields") else type(x)(copied)
    done[id(x)] = copied if isinstance(x, Module) or any(map(is_not, new, old)) else x
    return done[id(x)]
