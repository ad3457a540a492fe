"""`Module`: whatever has parameters; they are found in its attributes, named, replaced, saved and loaded.

This stands apart from the layers because it knows nothing of them: a class of the user's is as much a module as theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import is_not
from typing import Any, Self

from ..engine.rendering import rendered
from ..engine.table import LEAF
from ..engine.trees import is_number, shown
from ..engine.value import Value
from .storage import Path, read_json, write_json

Number = Any  # a float or a `Value`


class Module:
    """What has parameters. A module of your own is a subclass that keeps them in attributes and defines `__call__`.

    Found as its parameters are the leaf `Value`s in its attributes, in lists, tuples and dicts there, and in modules
    there; one that is reached twice counts once.

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

    # ---- what it is made of ------------------------------------------------------------------------------------------

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Go through the parameters, each with the place where Python finds it.

        >>> from scalargrad.nn import MLP
        >>> [name for name, _ in MLP(1, [2]).named_parameters()][:2]
        ['layers[0].neurons[0].weights[0]', 'layers[0].neurons[0].bias']
        """
        return ((place, x) for place, x in _walk(self) if isinstance(x, Value))

    def parameters(self) -> list[Value]:
        """The parameters in order, as an optimizer takes them."""
        return [x for _, x in self.named_parameters()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Go through this module, whose name is "", and all modules in it."""
        return ((place, x) for place, x in _walk(self) if isinstance(x, Module))

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

    # ---- as a function of its parameters -----------------------------------------------------------------------------

    def with_parameters(self, parameters: Iterable[Number]) -> Self:
        """Return a copy of this module that computes with these numbers (floats, `Value`s) in its parameters' places.

        The generators of `Dropout`s are shared with this one. Raises `ValueError` unless there is one number for each
        parameter.

        >>> from scalargrad.nn import MLP
        >>> MLP(1, [1], init="zeros").with_parameters([3.0, 0.5])([2.0])
        6.5
        """
        given = list(parameters)
        numbers: dict[Value, Number] = {}

        def number_for(x: Value) -> Number:
            if x.operation is not LEAF:
                return x
            if x not in numbers:  # found in the order of `parameters()`
                numbers[x] = given[len(numbers)] if len(numbers) < len(given) else x
            return numbers[x]

        copied: Self = _replaced(self, number_for, {})
        if len(numbers) != len(given):
            raise ValueError(f"{type(self).__name__}: has {len(numbers)} parameter(s), got {len(given)}")
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

        def function(parameters: Sequence[Number], inputs: Any) -> Any:
            return self.with_parameters(parameters)(inputs)

        return [p.data for p in self.parameters()], function

    def frozen(self) -> Self:
        """Return a copy in evaluation mode that computes with plain numbers: the same bits, no graph, and fast."""
        done: dict[int, Any] = {}
        copied: Self = _replaced(self, lambda x: x.data, done)
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

    # ---- saving, loading ---------------------------------------------------------------------------------------------

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
        kind, own_states = type(self).__name__, self._own_states()
        expected = {"parameters": _values(self, set()), "modules": dict.fromkeys(own_states)}
        if not isinstance(state, Mapping):
            raise ValueError(f"{kind}: expected a dict as state_dict() returns it, got {type(state).__name__}")
        _same_keys(kind, "", expected, state)
        numbers: list[float] = []  # in the order of the parameters, whatever the order of the state's keys is
        _same_shape(kind, "parameters", expected["parameters"], state["parameters"], numbers)
        _same_keys(kind, "modules", expected["modules"], state["modules"])
        done: list[tuple[Module, dict[str, Any]]] = []
        try:
            for place, (module, before) in own_states.items():
                module.load_own_state(state["modules"][place])
                done.append((module, before))
        except Exception:
            for module, before in done:
                module.load_own_state(before)
            raise
        for (_, p), x in zip(self.named_parameters(), numbers, strict=True):
            p.data = x

    def save(self, path: Path) -> None:
        """Write the state to a JSON file, every float with all its digits; after an error, the file is as before.

        inf and nan are written as `Infinity` and `NaN`, which Python's `json` reads.
        """
        write_json(path, {"format": _FORMAT, "module": repr(self), **self.state_dict()})

    def load(self, path: Path) -> Self:
        """Take over the state from a file that `save` wrote, and return this module.

        Raises `ValueError` for a file that is none of those, for one saved from a module that was not the same, as
        `repr` tells it, and where the state does not fit; then nothing is changed.
        """
        saved = read_json(path, _FORMAT)
        if saved.pop("module", None) != repr(self):
            raise ValueError(
                f"{os.fspath(path)}: saved from another module than {self!r}; "
                "if that is meant, use load_state_dict() on the file's 'parameters' and 'modules'"
            )
        try:
            self.load_state_dict(saved)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error
        return self


_FORMAT = "scalargrad module 1"
_HOLDERS = (Value, Module, list, tuple, dict)
_NOTHING = object()


def _walk(root: Module) -> list[tuple[str, Any]]:
    """The module itself, its parameters and modules, each once, with its place."""
    found: list[tuple[str, Any]] = []
    seen: set[int] = set()

    def walk(place: str, holder: Any) -> None:
        seen.add(id(holder))
        if isinstance(holder, Module):
            found.append((place, holder))
            items = [(f"{place}.{name}" if place else name, x) for name, x in vars(holder).items()]
        elif isinstance(holder, dict):
            items = [(f"{place}[{key!r}]", x) for key, x in holder.items()]
        else:
            items = [(f"{place}[{k}]", x) for k, x in enumerate(holder)]
        for item in items:
            x = item[1]
            if isinstance(x, Value):
                if x.operation is LEAF and id(x) not in seen:
                    seen.add(id(x))
                    found.append(item)
            elif isinstance(x, _HOLDERS) and id(x) not in seen:
                walk(*item)

    walk("", root)
    return found


def _values(x: Any, seen: set[int]) -> Any:
    """The numbers of all parameters, nested as they are held; None for an item of a list that holds none."""
    if not isinstance(x, _HOLDERS) or id(x) in seen:
        return _NOTHING
    if isinstance(x, Value) and x.operation is not LEAF:
        return _NOTHING
    seen.add(id(x))
    if isinstance(x, Value):
        return x.data
    if isinstance(x, list | tuple):
        items = [_values(child, seen) for child in x]
        return (
            [None if each is _NOTHING else each for each in items]
            if any(i is not _NOTHING for i in items)
            else _NOTHING
        )
    named = vars(x) if isinstance(x, Module) else {str(key): child for key, child in x.items()}
    found = {name: each for name, child in named.items() if (each := _values(child, seen)) is not _NOTHING}
    return found if found or isinstance(x, Module) else _NOTHING


def _replaced(x: Any, swap: Callable[[Value], Any], done: dict[int, Any]) -> Any:
    """A copy of a holder with what `swap` says in its parameters' places; a container without any is not copied.

    `done` comes to hold the copy of every holder by its identity.
    """
    if id(x) in done:
        return done[id(x)]
    copied: Any
    if isinstance(x, Module | dict):
        copied = object.__new__(type(x)) if isinstance(x, Module) else {}
        done[id(x)] = copied  # before what is in it, which may refer back
        into, items = (vars(copied), vars(x)) if isinstance(x, Module) else (copied, x)
        for key, child in items.items():
            if isinstance(child, _HOLDERS):
                child = swap(child) if isinstance(child, Value) else _replaced(child, swap, done)
            into[key] = child
        changed = isinstance(x, Module) or any(into[key] is not child for key, child in items.items())
    else:
        copied = done[id(x)] = []
        copied += [
            child if not isinstance(child, _HOLDERS) else
            swap(child) if isinstance(child, Value) else _replaced(child, swap, done)
            for child in x
        ]  # fmt: skip
        changed = any(map(is_not, copied, x))
        if type(x) is not list:
            copied = type(x)(*copied) if hasattr(x, "_fields") else type(x)(copied)
    done[id(x)] = copied if changed else x
    return done[id(x)]


def _place(inside: str, key: str) -> str:
    return f"{inside}[{key!r:.80}]" if inside else f"{key!s:.80}"


def _same_keys(kind: str, inside: str, expected: Mapping[str, Any], given: Any) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{kind}: expected a dict at {inside}, got {shown(given)}")
    for key in expected:
        if key not in given:
            raise ValueError(f"{kind}: missing {_place(inside, key)}")
    for key in given:
        if key not in expected:
            raise ValueError(f"{kind}: unknown {_place(inside, key)}")


def _same_shape(kind: str, inside: str, expected: Any, given: Any, numbers: list[float]) -> None:
    """Check a state against the present one, and collect its numbers in the order of the parameters."""
    if isinstance(expected, dict):
        _same_keys(kind, inside, expected, given)
        for key, part in expected.items():
            _same_shape(kind, _place(inside, key), part, given[key], numbers)
    elif isinstance(expected, list):
        if not isinstance(given, list):
            raise ValueError(f"{kind}: expected a list at {inside}, got {shown(given)}")
        if len(given) != len(expected):
            raise ValueError(f"{kind}: expected {len(expected)} item(s) at {inside}, got {len(given)}")
        for k, (part, x) in enumerate(zip(expected, given, strict=True)):
            _same_shape(kind, f"{inside}[{k}]", part, x, numbers)
    elif expected is None:
        if given is not None:
            raise ValueError(f"{kind}: expected null at {inside}, got {shown(given)}")
    elif is_number(given):
        numbers.append(float(given))
    else:
        raise ValueError(f"{kind}: expected a number at {inside}, got {shown(given)}")
