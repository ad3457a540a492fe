"""Optimizers: each published method as one update rule, written as its paper writes it, in its paper's symbols.

A method is its hyperparameters with their defaults, the names of what it remembers, and `rule`: a pure function from a
parameter `w`, its gradient `g`, its step `t = 1, 2, ...`, its state `s` and the hyperparameters `h` to a new parameter
and a new state. All that they share (parameter groups, schedules, weight decay, non-finite gradients, saving) is in
`base.py`, so that here stand equations and nothing else.

Names, defaults and conventions (what `eps` is added to, how steps are counted) are PyTorch's. In the equations
everything remembered starts at zero.

>>> w = Value(1.0, label="w")
>>> optimizer = Adam([w], lr=0.1)
>>> for _ in range(100):
...     optimizer.zero_grad()
...     ((w - 3.0) ** 2).backward()
...     optimizer.step()
>>> round(w.data, 2)
3.01
"""

# ruff: noqa: N806  # G and E are the papers' symbols

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..engine.table import div, relu, sqrt
from ..engine.value import Value  # noqa: F401  # for the examples
from ..functions.primitives import max as maximum
from .base import Optimizer, State

__all__ = [  # noqa: RUF022  # in the order of the file
    "SGD", "Momentum", "AdaGrad", "RMSProp", "AdaDelta", "Adam", "AdamW", "AMSGrad", "NAdam", "RAdam",
]  # fmt: skip
__dir__ = __all__.copy


# ---- gradient descent ------------------------------------------------------------------------------------------------


class SGD(Optimizer):
    """Stochastic gradient descent: `w = w - lr g`; with momentum:

        v = momentum v + (1 - dampening) g        (v = g at t = 1)
        w = w - lr v                              with nesterov:  w = w - lr (g + momentum v)

    Weight decay is added to the gradient (L2): `g = g + weight_decay w`. Raises `ValueError` for Nesterov's form
    without momentum or with dampening.

    Robbins and Monro, "A Stochastic Approximation Method" (1951); with momentum as Sutskever et al., "On the importance
    of initialization and momentum in deep learning" (2013), but for the rate, which they have inside `v`.

    >>> w = Value(1.0); (3.0 * w).backward(); optimizer = SGD([w], lr=0.1)
    >>> optimizer.step(); round(w.data, 15)
    0.7
    """

    defaults: ClassVar = {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}
    state_names = ("v",)

    def _checked(self, h: Mapping[str, Any]) -> dict[str, Any]:
        checked = super()._checked(h)
        if checked.get("nesterov") and (checked["momentum"] == 0.0 or checked["dampening"] != 0.0):
            momentum, dampening = checked["momentum"], checked["dampening"]
            raise ValueError(f"{self._kind}: nesterov needs a momentum, no dampening, got {momentum=} and {dampening=}")
        return checked

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        if h.momentum == 0.0:
            return w - h.lr * g, s
        (v,) = s
        v = g if t == 1 else h.momentum * v + (1.0 - h.dampening) * g
        return w - h.lr * (g + h.momentum * v if h.nesterov else v), (v,)


class Momentum(SGD):
    """Gradient descent as a heavy ball rolls: `SGD` with a momentum of 0.9, under its own name.

        v = momentum v + g
        w = w - lr v

    Polyak, "Some methods of speeding up the convergence of iteration methods" (1964).

    >>> w = Value(0.0); w.backward(); optimizer = Momentum([w], lr=1.0)
    >>> for _ in range(3): optimizer.step(); print(w.data)
    -1.0
    -2.9
    -5.609999999999999
    """

    defaults: ClassVar = {**SGD.defaults, "momentum": 0.9}


# ---- a rate of each parameter's own ----------------------------------------------------------------------------------


class AdaGrad(Optimizer):
    """Divide each parameter's rate by the root of all its squared gradients so far: it can only fall.

        G = G + g^2                               (from initial_accumulator_value)
        w = w - lr / (1 + (t - 1) lr_decay) g / (sqrt(G) + eps)

    Weight decay is added to the gradient. Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning
    and Stochastic Optimization" (2011).

    >>> w = Value(0.0); w.backward(seed=5.0); optimizer = AdaGrad([w], lr=1.0)
    >>> for _ in range(3): optimizer.step(); print(round(w.data, 9))
    -1.0
    -1.707106781
    -2.28445705
    """

    defaults: ClassVar = {
        "lr": 1e-2, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10,
    }  # fmt: skip
    state_names = ("G",)

    @classmethod
    def start(cls, h: Any) -> State:
        return (h.initial_accumulator_value,)

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        (G,) = s
        G = G + g * g
        lr = h.lr / (1.0 + (t - 1) * h.lr_decay)
        return w - lr * div(g, sqrt(G) + h.eps), (G,)


class RMSProp(Optimizer):
    """Divide each parameter's rate by the root of a decaying mean of its squared gradients.

        v = alpha v + (1 - alpha) g^2
        m = alpha m + (1 - alpha) g               with centered, else m = 0
        d = g / (sqrt(v - m^2) + eps)
        b = momentum b + d                        with momentum, else b = d
        w = w - lr b

    Hinton's lecture has `alpha=0.9`; the default here, as PyTorch's, is 0.99. Weight decay is added to the gradient.
    Where rounding makes the centred `v - m^2` negative, it counts as 0.

    Tieleman and Hinton, "Neural Networks for Machine Learning", lecture 6.5 (2012); centred: Graves, "Generating
    Sequences With Recurrent Neural Networks" (2013), equations 38 to 45.

    >>> w = Value(0.0); w.backward(seed=5.0); optimizer = RMSProp([w], lr=0.1, alpha=0.9)
    >>> for _ in range(3): optimizer.step(); print(round(w.data, 6))
    -0.316228
    -0.545643
    -0.737738
    """

    defaults: ClassVar = {
        "lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False,
    }  # fmt: skip
    state_names = ("v", "m", "b")

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        v, m, b = s
        v = h.alpha * v + (1.0 - h.alpha) * g * g
        if h.centered:
            m = h.alpha * m + (1.0 - h.alpha) * g
        d = div(g, sqrt(relu(v - m * m)) + h.eps)
        b = h.momentum * b + d if h.momentum != 0.0 else d
        return w - h.lr * b, (v, m, b)


class AdaDelta(Optimizer):
    """Measure each step in units of its parameter: by the root of a decaying mean of the squares of its own steps.

        E_g = rho E_g + (1 - rho) g^2
        d = sqrt(E_d + eps) / sqrt(E_g + eps) g
        E_d = rho E_d + (1 - rho) d^2
        w = w - lr d

    Weight decay is added to the gradient. Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), algorithm 1.

    >>> w = Value(0.0); w.backward(seed=5.0); optimizer = AdaDelta([w])
    >>> for _ in range(3): optimizer.step(); print(round(w.data, 6))
    -0.003162
    -0.006407
    -0.009708
    """

    defaults: ClassVar = {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0}
    state_names = ("E_g", "E_d")

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        E_g, E_d = s
        E_g = h.rho * E_g + (1.0 - h.rho) * g * g
        d = div(sqrt(E_d + h.eps), sqrt(E_g + h.eps)) * g
        E_d = h.rho * E_d + (1.0 - h.rho) * d * d
        return w - h.lr * d, (E_g, E_d)


# ---- Adam and its family ---------------------------------------------------------------------------------------------

_OF_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}  # what its family has in common


class Adam(Optimizer):
    """Decaying means of the gradient and of its square, each corrected for having started at zero.

        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        m_hat = m / (1 - beta1^t)
        v_hat = v / (1 - beta2^t)                 with amsgrad:  v_max / (1 - beta2^t), see AMSGrad
        w = w - lr m_hat / (sqrt(v_hat) + eps)

    Weight decay is added to the gradient or, with `decoupled_weight_decay`, taken off the parameter, see `AdamW`.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.

    >>> w = Value(0.0); w.backward(seed=5.0); optimizer = Adam([w], lr=0.1)
    >>> for _ in range(3): optimizer.step(); print(round(w.data, 6))
    -0.1
    -0.2
    -0.3
    """

    defaults: ClassVar = {**_OF_ADAM, "amsgrad": False, "decoupled_weight_decay": False}
    state_names = ("m", "v", "v_max")

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        m, v, v_max = s
        beta1, beta2 = h.betas
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g * g
        if h.amsgrad:
            v_max = maximum(v_max, v)
        m_hat = m / (1.0 - beta1**t)
        v_hat = (v_max if h.amsgrad else v) / (1.0 - beta2**t)
        return w - h.lr * div(m_hat, sqrt(v_hat) + h.eps), (m, v, v_max)


class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient, and so from the division by `sqrt(v_hat)`:

        w = w (1 - lr weight_decay)               then as Adam

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.

    >>> w = Value(1.0); w.backward(seed=0.0); optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
    >>> optimizer.step(); w.data
    0.95
    """

    defaults: ClassVar = {**Adam.defaults, "weight_decay": 1e-2, "decoupled_weight_decay": True}


class AMSGrad(Adam):
    """Adam that never forgets a large gradient: it divides by the root of the greatest `v` so far.

        v_max = max(v_max, v)
        v_hat = v_max / (1 - beta2^t)             the rest as Adam

    The paper has no bias correction; PyTorch's form, which is this one, has.

    Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond" (2018), algorithm 2.

    >>> w = Value(0.0); w.backward(); optimizer = AMSGrad([w], lr=0.1)
    >>> optimizer.step(); round(w.data, 6)
    -0.1
    """

    defaults: ClassVar = {**Adam.defaults, "amsgrad": True}


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose decay `mu` grows from half of `beta1` to `beta1`.

        mu = beta1 (1 - 0.96^(t momentum_decay) / 2)          mu_next likewise, at t + 1
        mu_product = mu_product mu                            from 1
        m, v, v_hat as in Adam
        m_hat = mu_next m / (1 - mu_product mu_next) + (1 - mu) g / (1 - mu_product)
        w = w - lr m_hat / (sqrt(v_hat) + eps)

    Weight decay: as in `Adam`. Dozat, "Incorporating Nesterov Momentum into Adam" (2016).

    >>> w = Value(0.0); w.backward(seed=5.0); optimizer = NAdam([w], lr=0.1)
    >>> for _ in range(3): optimizer.step(); print(round(w.data, 6))
    -0.105645
    -0.184014
    -0.257235
    """

    defaults: ClassVar = {**_OF_ADAM, "lr": 2e-3, "momentum_decay": 4e-3, "decoupled_weight_decay": False}
    state_names = ("m", "v", "mu_product")

    @classmethod
    def start(cls, h: Any) -> State:
        return 0.0, 0.0, 1.0

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        m, v, mu_product = s
        beta1, beta2 = h.betas
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * h.momentum_decay))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * h.momentum_decay))
        mu_product = mu_product * mu
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g * g
        m_hat = mu_next * m / (1.0 - mu_product * mu_next) + (1.0 - mu) * g / (1.0 - mu_product)
        v_hat = v / (1.0 - beta2**t)
        return w - h.lr * div(m_hat, sqrt(v_hat) + h.eps), (m, v, mu_product)


class RAdam(Optimizer):
    """Adam that does not divide by `v` until it rests on enough gradients to be trusted, and rectifies it by `r` then.

        m, v, m_hat as in Adam
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 t beta2^t / (1 - beta2^t)
        w = w - lr m_hat                                              if rho <= 5, otherwise:
        l = sqrt(1 - beta2^t) / (sqrt(v) + eps)
        r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        w = w - lr m_hat r l

    The paper's bound is 4; PyTorch's, which is this one, is 5, and so is the place of `eps`. Weight decay: as in
    `Adam`.

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2.

    >>> w = Value(0.0); w.backward(seed=5.0); optimizer = RAdam([w], lr=0.1)
    >>> for _ in range(7): optimizer.step()
    >>> round(w.data, 6)
    -2.505856
    """

    defaults: ClassVar = {**_OF_ADAM, "decoupled_weight_decay": False}
    state_names = ("m", "v")

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        m, v = s
        beta1, beta2 = h.betas
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g * g
        m_hat = m / (1.0 - beta1**t)
        correction = 1.0 - beta2**t
        rho_inf = 2.0 / (1.0 - beta2) - 1.0
        rho = rho_inf - 2.0 * t * beta2**t / correction
        if not rho > 5.0:
            return w - h.lr * m_hat, (m, v)
        l = div(sqrt(correction), sqrt(v) + h.eps)
        r = sqrt((rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho))
        return w - h.lr * m_hat * r * l, (m, v)
