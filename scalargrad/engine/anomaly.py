"""What `detect_anomaly` looks at: values and gradients that are inf or nan though they came of finite numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from .chain_rule import edge_product
from .primitive import CONSTANT
from .several import Output


class AnomalyError(ArithmeticError):
    """Under `detect_anomaly`: a value or gradient that is inf or nan while what it came from was finite; a stale
    graph."""


def _described(node: Any) -> str:
    label = getattr(node, "label", "")
    return f"{label} = {node._data!r}" if label else repr(node._data)


def fault(node: Any, what: str) -> AnomalyError:
    origin = getattr(node, "_origin", None) or "an unknown line: it was recorded outside detect_anomaly()"
    return AnomalyError(f"{what}\n  recorded at {origin}")


def check_value(node: Any, operands: tuple[Any, ...]) -> None:
    """Raise if the node is not finite while its operands are."""
    if isfinite(node._data):
        return
    operation = node.operation
    if operation.__class__ is Output:  # of an operation with several, which is looked at number by number
        operation, operands = operands[0].operation, tuple([p for p in operands[0].parents if not p.operation.several])
    if all(isfinite(p._data) for p in operands):
        given = ", ".join(map(_described, operands))
        raise fault(node, f"{operation.name} gave {node._data!r} from finite operands: {given}")


def gradient_check(seeds: Iterable[Any]) -> Callable[[Any, float], None]:
    """Make the check of one backward pass, to be called with each node and its upstream gradient, in order.

    It raises if the node is stale; if it brings a non-finite contribution from a finite upstream gradient and finite
    operands; if contributions that were all finite add up to something that is not; and if an upstream gradient that
    was computed as zero, and is not zero because nothing was selected, meets an infinite local gradient: the
    contribution is taken to be zero, and the limit may be anything.
    """
    finite = all(isfinite(getattr(seed, "_data", seed)) for seed in seeds)
    computed: set[Any] = set()  # nodes that something was brought to, if only a zero

    def check(node: Any, upstream: float) -> None:
        nonlocal finite
        if node.operation is CONSTANT or node.operation.several:
            return
        if node.operation.__class__ is Output:
            computed.add(node.parents[0])
            return
        if finite and not isfinite(upstream):
            raise fault(node, f"the contributions to the gradient of {_named(node)} add up to {upstream!r}")
        operands = node.parents
        if not operands or (upstream == 0.0 and node not in computed):
            return
        operation, given = node.operation, ", ".join(map(_described, operands))
        data = [p._data for p in operands]
        now = operation.compute(*data)
        if now != node._data and not (now != now and node._data != node._data):
            raise fault(
                node,
                f"stale graph: {operation.name} was recorded as {node._data!r}, operands {given} now give {now!r}; "
                "a .data was changed after recording: run the forward pass again before backward()",
            )
        for k, local in enumerate(operation.local_gradients(node._data, data)):
            if operands[k].operation is CONSTANT or operation.flat:
                continue
            if local != 0.0 or not (_selects(operation) or _times_zero(operation, operands, k)):
                computed.add(operands[k])
            if isfinite(edge_product(operation, k, upstream, local)) and (upstream != 0.0 or isfinite(local)):
                continue
            if isfinite(upstream) and all(map(isfinite, data)):
                zero = upstream == 0.0
                raise fault(
                    node,
                    f"the gradient of {operation.name} by operand {k + 1} is "
                    + ("taken to be zero, and may be anything" if zero else "not finite")
                    + f": upstream {upstream!r} x local {local!r}"
                    + ("" if zero else f" = {upstream * local!r}")
                    + f", at operands {given}",
                )
            finite = False

    return check


def _selects(operation: Any) -> bool:
    """Whether a local gradient of zero says that an operand was not selected; that of `abs` at 0 does not."""
    return operation.selects is True and operation.name != "abs"


def _times_zero(operation: Any, operands: Any, k: int) -> bool:
    """Whether a local gradient of zero is a constant: 0.0 times anything is zero all around."""
    n = len(operands)
    return operation.name in ("mul", "dot") and operands[(k + n // 2) % n].operation is CONSTANT


def _named(node: Any) -> str:
    return getattr(node, "label", "") or f"a result of {node.operation.name} ({node._data!r})"
