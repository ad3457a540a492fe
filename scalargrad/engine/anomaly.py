"""What `detect_anomaly` looks at: values and gradients that are inf or nan though they came of finite numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from .chain_rule import edge_product
from .table import CONSTANT


class AnomalyError(ArithmeticError):
    """Under `detect_anomaly`: a value or gradient that is inf or nan while what it came from was finite; a stale
    graph."""


def _described(node: Any) -> str:
    label = getattr(node, "label", "")
    return f"{label} = {node._data!r}" if label else repr(node._data)


def _fault(node: Any, what: str) -> AnomalyError:
    origin = getattr(node, "_origin", None) or "an unknown line: it was recorded outside detect_anomaly()"
    return AnomalyError(f"{what}\n  recorded at {origin}")


def check_value(node: Any, operands: tuple[Any, ...]) -> None:
    """Raise if the node is not finite while its operands are."""
    if not isfinite(node._data) and all(isfinite(p._data) for p in operands):
        given = ", ".join(map(_described, operands))
        raise _fault(node, f"{node.operation.name} gave {node._data!r} from finite operands: {given}")


def gradient_check(seeds: Iterable[Any]) -> Callable[[Any, float], None]:
    """Make the check of one backward pass, to be called with each node and its upstream gradient, in order.

    It raises if the node is stale, if it brings a non-finite contribution from a finite upstream gradient and finite
    operands, or if contributions that were all finite add up to something that is not.
    """
    finite = all(isfinite(getattr(seed, "_data", seed)) for seed in seeds)

    def check(node: Any, upstream: float) -> None:
        nonlocal finite
        if node.operation is CONSTANT:
            return
        if finite and not isfinite(upstream):
            raise _fault(node, f"the contributions to the gradient of {_named(node)} add up to {upstream!r}")
        operands = node.parents
        if not operands:
            return
        operation, given = node.operation, ", ".join(map(_described, operands))
        data = [p._data for p in operands]
        now = operation.compute(*data)
        if now != node._data and not (now != now and node._data != node._data):
            raise _fault(
                node,
                f"stale graph: {operation.name} was recorded as {node._data!r}, operands {given} now give {now!r}; "
                "a .data was changed after recording: run the forward pass again before backward()",
            )
        for k, local in enumerate(operation.local_gradients(node._data, data)):
            if operands[k].operation is CONSTANT or isfinite(edge_product(operation, k, upstream, local)):
                continue
            if isfinite(upstream) and all(map(isfinite, data)):
                raise _fault(
                    node,
                    f"the gradient of {operation.name} by operand {k + 1} is not finite: "
                    f"upstream {upstream!r} x local {local!r} = {upstream * local!r}, at operands {given}",
                )
            finite = False

    return check


def _named(node: Any) -> str:
    return getattr(node, "label", "") or f"a result of {node.operation.name} ({node._data!r})"
