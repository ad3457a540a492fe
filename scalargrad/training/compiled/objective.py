"""The objective as compiled functions: the same bits as on `Value`s, at the speed of machine code.

A model is traced as a function of its parameters and one sample; a batch is a `map` over it. What cannot be replayed is
refused with a `TraceError` that says why: random numbers, a module that changes itself, results of several structures.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import wraps
from itertools import chain
from operator import add
from random import Random
from types import FunctionType, ModuleType
from typing import Any

from ...compiler import CompiledFunction, GuardLimitError, TraceError, compile  # noqa: A004
from ...compiler.backends import native as native
from ...compiler.frontend.trace import trace
from ...compiler.ir.lowering import Functions
from ...compiler.ir.program import Program, bits
from ...engine.modes import no_grad
from ...engine.primitive import as_float
from ...engine.value import Value
from ...functions.primitives import mean
from ...losses.batches import plain
from ...nn import Module
from ...state import attributes, inside
from ...transforms.derivatives import value_and_grad, vjp
from ...transforms.trees import Structure, flatten, unflatten
from ..objective import Objective

REFUSALS = (TypeError, ValueError, GuardLimitError)  # that something cannot be compiled; TraceError is one


class UntraceableError(TraceError):
    """What a model or a penalty raised while it was traced: the eager run, which may not raise it, has its say."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        # A Value that is traced cannot be shown any more when tracing has ended.
        error.args = tuple([repr(x) if isinstance(x, Value) else x for x in error.args])
        self.error = error


def _of_user(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that runs what users wrote, whose errors are no errors of the compiler, which are not hidden."""

    @wraps(f)
    def run(*arguments: Any) -> Any:
        try:
            return f(*arguments)
        except TraceError:
            raise
        except Exception as error:
            raise UntraceableError(error) from error

    return run


class CompiledObjective:
    """An objective as compiled functions, traced at these weights and this sample; else `TraceError`."""

    def __init__(
        self, objective: Objective, backend: Any, weights: Sequence[float], x: Any, functions: Functions = "library"
    ) -> None:
        self.objective, self.backend, self.functions = objective, backend, functions
        self.structure: Structure | None = None  # of a prediction
        self.state = state_of(objective.model)
        self.predict = self._compiled(_of_user(self._outputs))
        self.pull_back = self._compiled(_of_user(self._pulled_back))
        self.samples = objective.samples
        self.of_sample = self._compiled(_of_user(self._loss_and_gradient))
        self.terms = None if self.samples is None else self._compiled(self.samples.of_sample)
        penalty = objective.penalty
        self.penalty = None if penalty is None else self._compiled(_of_user(value_and_grad(penalty)))
        leaves, structure = flatten(((list(weights), x), {}))
        leaves = [as_float(each, "a sample") for each in leaves]
        program = self.predict.traced(leaves, structure).program
        if not same(program, trace(_of_user(self._outputs), structure, leaves)[0]):
            raise TraceError("the model is another function every time that it is run")
        as_evaluated = self._compiled(_of_user(self._evaluated))
        alike = same(program, as_evaluated.traced(leaves, structure).program)
        self.evaluate = self.predict if alike else as_evaluated
        self.check(weights, x)
        for function in (self.predict, self.penalty):
            for variant in () if function is None else chain.from_iterable(function.specializations.values()):
                objective.check(variant.captured)

    def _compiled(self, f: Callable[..., Any]) -> CompiledFunction:
        return compile(f, backend=self.backend, functions=self.functions)

    def _agree(self, a: float, b: float) -> bool:
        """Whether an eager number and a compiled one are the same; polynomials are only near the C library's."""
        return bits(a) == bits(b) or (self.functions == "polynomial" and abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1.0))

    def _outputs(self, parameters: Any, x: Any) -> list[Any]:
        return self._flat(watched(self.objective.model.with_parameters(parameters), x))

    def _evaluated(self, parameters: Any, x: Any) -> list[Any]:
        return self._flat(watched(self.objective.model.with_parameters(parameters).eval(), x))

    def _pulled_back(self, parameters: Any, x: Any, derivatives: Any) -> Any:
        pull_back: Any = vjp(lambda ws: self._outputs(ws, x), parameters)[1]
        return pull_back(derivatives)[0]

    def _loss_and_gradient(self, parameters: Any, x: Any, target: Any, share: Any) -> Any:
        """The terms of one sample's loss, and the derivatives of their share in the batch's by the parameters."""
        assert self.samples is not None
        outputs, pull_back = vjp(lambda ws: self._outputs(ws, x), parameters)
        terms, pull_loss = vjp(lambda ys: self.samples.of_sample(unflatten(self.structure, ys), target), outputs)  # type: ignore[union-attr]
        (derivatives,) = pull_loss([share] * len(terms))
        return terms, pull_back(derivatives)[0]

    def _flat(self, result: Any) -> list[Any]:
        outputs, structure = flatten(result, "the model's result")
        if self.structure is None:
            self.structure = structure
        if structure != self.structure or not outputs:
            raise TraceError("the model's result is not of one structure for all samples")
        return outputs

    def __call__(self, weights: Sequence[float], inputs: list[Any], targets: list[Any]) -> tuple[float, list[float]]:
        gradient: list[float]
        encoded = None if self.samples is None else self.samples.encoded(targets, self.structure)
        if self.samples is not None and encoded is not None:
            share = 1.0 / (self.samples.width(self.structure) * len(targets))
            axes = (None, 0, 0, None)
            sums, gradient = self.of_sample.map(weights, inputs, encoded, share, in_axes=axes, reduce="sum")
            value = self.samples.mean(sums, len(targets))
        else:
            predictions = self._predictions(self.predict, weights, inputs)
            value, derivatives = self.objective.of_predictions(predictions, targets)
            gradient = self.pull_back.map(weights, inputs, derivatives, in_axes=(None, 0, 0), reduce="sum")
        if self.penalty is not None:
            more, of_penalty = self.penalty(list(weights))
            value, gradient = value + more, list(map(add, gradient, of_penalty))
        self.objective.checked = True
        return value, gradient

    def _predictions(self, function: Any, weights: Sequence[float], inputs: list[Any]) -> list[tuple[Any, Structure]]:
        columns = function.map(weights, inputs, in_axes=(None, 0))
        return [(list(row), self.structure) for row in zip(*columns, strict=True)]

    def predictions(self, weights: Sequence[float], inputs: list[Any]) -> list[Any]:
        """What the model, in evaluation mode, says to each input, as plain numbers."""
        return [unflatten(s, y) for y, s in self._predictions(self.evaluate, weights, inputs)]

    def loss_of(self, predictions: list[Any], targets: list[Any]) -> float | None:
        """The objective's loss of predictions that are plain numbers, if it is one of the library's own."""
        encoded = None if self.samples is None else self.samples.encoded(targets, self.structure)
        if self.terms is None or encoded is None:
            return None
        columns = self.terms.map(predictions, encoded)
        return mean.compute(*chain.from_iterable(zip(*columns, strict=True)))

    def check(self, weights: Sequence[float], x: Any) -> None:
        """Raise `TraceError` if model or penalty are another function than what was traced."""
        if state_of(self.objective.model) != self.state:
            raise TraceError("the model has been changed since it was traced")
        numbers = [Value(w) for w in weights]  # a `sum` of floats is compensated from Python 3.12 on
        with no_grad():
            outputs = _of_user(self.objective.model.with_parameters(numbers))(x)
        eager = [plain(y) for y in flatten(outputs)[0]]
        ((compiled, _),) = self._predictions(self.predict, weights, [x])
        if not all(map(self._agree, eager, compiled)):
            raise TraceError(f"the model gives {eager}, but gave {compiled} when it was traced: it depends on more")
        if self.penalty is not None and self.objective.penalty is not None:
            with no_grad():
                now = plain(_of_user(self.objective.penalty)(numbers))
            then = self.penalty(list(weights))[0]
            if not self._agree(now, then):
                raise TraceError(f"the penalty is {now}, but was {then} when it was traced: it depends on more")


def same(a: Program, b: Program) -> bool:
    def operation(row: Any) -> Any:
        if not row.several:
            return row
        facts = {name: x for name, x in vars(row).items() if name[0] != "_" and isinstance(x, int | str | tuple)}
        return {**facts, "bodies": None, "place": ""}, list(map(parts, row.programs()))

    def parts(p: Program) -> Any:
        guards = [guard._replace(line="") for guard in p.guards]
        return p.inputs, list(map(operation, p.operations)), p.operands, p.outputs, list(map(bits, p.constants)), guards

    return bool(parts(a) == parts(b))


# ---- what a program cannot repeat ------------------------------------------------------------------------------------


def watched(model: Module, x: Any) -> Any:
    """The model's result; `TraceError` if it drew random numbers or changed itself, which is put back."""
    generators = _generators(model)
    before, states = state_of(model), [get() for get, _ in generators]
    mutable = [x for x in _held(model) if hasattr(x, "flat") or (isinstance(x, _CONTAINERS) and hasattr(x, "clear"))]
    contents = [(x, copy(x)) for x in mutable]  # which copies of the model share
    try:
        result = model(x)
    finally:
        drew = [(put, then) for (get, put), then in zip(generators, states, strict=True) if repr(get()) != repr(then)]
        for put, then in drew:
            put(then)
    if drew:
        raise TraceError("the model draws random numbers, which a program would repeat for ever")
    if state_of(model) != before:
        for x, content in contents:
            if hasattr(x, "flat"):
                x[...] = content
                continue
            x.clear()
            (x.extend if hasattr(x, "extend") else x.update)(content)
        raise TraceError("the model changes its own attributes as it computes")
    return result


def _held(model: Module) -> list[Any]:
    """All that a model's attributes hold, at any depth, but parameters, modules, and what objects of ours hold."""
    found: dict[int, Any] = {}
    left = [x for _, module in model.named_modules() for x in attributes(module).values()][::-1]
    while left:
        x = left.pop()
        if id(x) in found or isinstance(x, (*_PLAIN, Value, Module, ModuleType)):
            continue
        found[id(x)] = x
        if isinstance(x, _CONTAINERS):
            left += x.values() if isinstance(x, dict) else x
        elif type(x).__module__.partition(".")[0] != __name__.partition(".")[0]:
            left += [*inside(x), getattr(x, "__dict__", None)]
    return list(found.values())


_PLAIN = (int, float, complex, str, bytes, type(None), type, FunctionType)
_CONTAINERS = (list, tuple, dict, set, frozenset, deque)


def _generators(model: Module) -> list[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """How to read and to set the state of each generator of random numbers: the model's, Python's, NumPy's."""
    found: list[Any] = [*[x for x in _held(model) if isinstance(x, Random)], random]
    numpy = sys.modules.get("numpy")
    of_numpy = [] if numpy is None else [(numpy.random.get_state, numpy.random.set_state)]
    return [*[(x.getstate, x.setstate) for x in found], *of_numpy]


def state_of(model: Module) -> list[Any]:
    """All that a model's result may depend on besides its parameters and its input, as far as it is to be seen."""
    own = [attributes(module) for _, module in model.named_modules()]
    kinds = dict.fromkeys(kind for _, module in model.named_modules() for kind in type(module).__mro__)
    return [(type(x), _summary(x)) for x in [*own, *map(dict, map(vars, kinds)), *_held(model)]]


def _summary(x: Any) -> Any:
    """What is directly in something; what is in that has entries of its own."""
    if isinstance(x, Random):
        return hash(x.getstate())
    if hasattr(x, "tobytes"):
        return x.tobytes()
    own = x if isinstance(x, _CONTAINERS) else attributes(x)
    if not own:  # of NumPy: generators
        return repr(getattr(getattr(x, "bit_generator", None), "state", x))
    items = [*own, *own.values()] if isinstance(own, dict) else own
    each = [(type(item), repr(item) if isinstance(item, _PLAIN) else "") for item in items]
    return sorted(each, key=repr) if isinstance(x, (set, frozenset)) else each
