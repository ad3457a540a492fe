"""Clipping of gradients, between `backward()` and `step()`: all together by their norm, or each by itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from math import inf, isfinite, nan

from ..engine.value import Value
from ..functions.values import clamp
from .base import check_leaf, gradient, listed


def _with_gradients(caller: str, params: Iterable[Value]) -> list[Value]:
    found = listed(caller, params)
    for k, w in enumerate(found):
        check_leaf(caller, f"parameter {k}", w)
    return [w for w in found if w.has_gradient]


def clip_grad_norm(params: Iterable[Value], max_norm: float, norm_type: float = 2.0) -> float:
    """Scale all gradients together so that their norm is at most `max_norm`; return the norm that they had.

    `g = g max_norm / norm` where `norm > max_norm`, with `norm = (sum of |g|^p)^(1/p)` over all parameters; `p =
    norm_type` may be inf. Nothing over- or underflows on the way. Where a gradient is inf or nan all are left as they
    are: what to do then is for the optimizer's `on_nonfinite`. Raises `ValueError` for a bound that is negative or nan,
    and for `p < 1`.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), algorithm 1. (PyTorch
    divides by `norm + 1e-6`.)

    >>> a, b = Value(1.0), Value(1.0)
    >>> (3.0 * a + 4.0 * b).backward()
    >>> clip_grad_norm([a, b], 1.0), round(a.grad, 15), round(b.grad, 15)
    (5.0, 0.6, 0.8)
    """
    if not max_norm >= 0.0:
        raise ValueError(f"clip_grad_norm: the bound must be at least 0, got {max_norm!r}")
    if not norm_type >= 1.0:
        raise ValueError(f"clip_grad_norm: the norm's order must be at least 1, got {norm_type!r}")
    params = _with_gradients("clip_grad_norm", params)
    gradients = [gradient(w) for w in params]
    if not all(map(isfinite, gradients)):
        return nan if any(map(math.isnan, gradients)) else inf
    largest = max(map(abs, gradients), default=0.0)
    if largest == 0.0:
        return 0.0
    shares = [abs(g) / largest for g in gradients]
    if norm_type == inf:
        norm = 1.0
    elif norm_type == 2.0:
        norm = math.hypot(*shares)
    else:
        norm = math.fsum(x**norm_type for x in shares) ** (1.0 / norm_type)
    if largest * norm > max_norm:
        for w, g in zip(params, gradients, strict=True):
            w.grad = g / largest / norm * max_norm
    return largest * norm


def clip_grad_value(params: Iterable[Value], limit: float) -> None:
    """Bring each gradient by itself into `[-limit, limit]`; a nan stays one. Raises `ValueError` for a negative limit.

    >>> a, b = Value(1.0), Value(1.0)
    >>> (3.0 * a - 0.5 * b).backward()
    >>> clip_grad_value([a, b], 1.0); a.grad, b.grad
    (1.0, -0.5)
    """
    if not limit >= 0.0:
        raise ValueError(f"clip_grad_value: the limit must be at least 0, got {limit!r}")
    for w in _with_gradients("clip_grad_value", params):
        w.grad = clamp(gradient(w), -limit, limit)
