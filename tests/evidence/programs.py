"""Random programs: Python functions as users write them, each known by a seed and its number.

A program is a script: captured `Value`s and own primitives, a function `f` made of statements, and `g`, the function
taken at some order of derivative; beside it the arguments of some samples. A statement is text with `{t}` for the name
that it gives a value, and `{0}`, `{1}`, ... for its operands, which are text too: so a statement can be left out, and
an operand replaced, and what is left is a program.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from math import inf, isnan
from typing import Any, NamedTuple

from scalargrad import functions
from scalargrad.engine.primitive import TABLE

from .dags import SPECIAL

HEADER = """\
import numpy as np
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from scalargrad import *
from scalargrad import compile
from scalargrad.functions import *
from scalargrad import activations, losses

def leaves(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [x for each in tree for x in leaves(each)] if isinstance(tree, list | tuple) else [tree]

def constant(x):
    return x.detach() if isinstance(x, Value) else x

def pulled(f, arguments, cotangent):
    value, pull_back = vjp(f, *arguments)
    return value, pull_back(cotangent)
"""

# ---- vocabulary ------------------------------------------------------------------------------------------------------

_PUBLIC = {name: TABLE[name].arity for name in functions.__all__ if name in TABLE}
UNARY = tuple(f"{name}({{0}})" for name, arity in _PUBLIC.items() if arity == 1)
BINARY = tuple(f"{name}({{0}}, {{1}})" for name, arity in _PUBLIC.items() if arity == 2)
# fmt: off
ARITHMETIC = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / {1}", "{0} + {1} * {2}", "{0} * {1} - {2}", "-{0}",
    "({0} - {1}) * {2}",
)
ROUGH = (
    "{0} // {1}", "{0} % {1}", "{0} ** {1}", "{0} ** 2", "{0} ** 3", "{0} ** 0.5", "{0} ** -1", "2 ** {0}", "{0} ** 0",
    "1.5 ** -({0} * {0})", "{0} % 1", "7 // {0}", "3 % {0}", "2 - {0}", "1 / {0}", "0 * {0}", "abs({0} - {0})",
    "pow({0}, 1.5)", "pow({0}, {1})", "+{0}",
)
SMOOTH = (
    "{0} + {1}", "{0} * {1}", "{0} - {1}", "-{0}", "sin({0})", "cos({0})", "tanh({0})", "sigmoid({0})", "atan({0})",
    "softplus({0})", "erf({0})", "erfc({0})", "asinh({0})", "hypot({0}, 1.0)", "atan2({0}, 2.0)",
    "sum([{0}, {1}, {2}])", "mean([{0}, {1}, {2}])", "logsumexp([{0}, {1}, {2}])", "dot([{0}, {1}], [{2}, 0.5])",
    "prod([{0}, 0.5, {1}])", "{0} / (1.0 + {1} * {1})", "1.5 ** -({0} * {0})", "exp(-{0} * {0})",
    "log1p({0} * {0})", "sqrt(1.0 + {0} * {0})", "expm1(-{0} * {0})", "cbrt(3.0 + {0} * {0})", "2.0 - {0}",
    "log(2.0 + {0} * {0})", "cosh(sin({0}))", "sinh(cos({0}))", "tan(0.5 * sin({0}))", "asin(0.5 * sin({0}))",
    "acosh(2.0 + {0} * {0})", "atanh(0.5 * sin({0}))", "exp2(sin({0}))", "acos(0.5 * cos({0}))",
    "activations.softmax([{0}, {1}, {2}])[0]", "activations.gelu({0})", "activations.silu({0})", "{0} ** 3", "{0} ** 2",
)
CHOICES = (
    "max({0}, {1})", "min({0}, {1})", "max([{0}, {1}, {2}])", "min({0}, {1}, {0})", "max({0}, 0.0)",
    "clamp({0}, {1}, {2})",
    "clamp({0}, -1.0, 1.0)", "relu({0})", "abs({0})", "where({0}, {1}, {2})", "where(step({0}), {1}, {2})", "sign({0})",
    "where(step({0}) * step({1}), {2}, {0})", "step({0}) * {1}", "{0} if {1} > {2} else {1}", "max([{0}])",
    "{0} if 0 < {1} < 1 else {2}", "{0} if {1} else {2}", "min([{0}, {0}])", "max({0}, {1}) * {0}",
    "{1} if not {0} >= 0.5 else {2}", "where({0} > {1}, {0}, {1})", "where({0}, {0}, 0.0)",
)
NARY = (
    "sum([{0}, {1}, {0}])", "mean([{0}, {1}, {2}, {1}])", "dot([{0}, {0}, {1}], [{1}, {1}, {2}])",
    "prod([{0}, {1}, {0}])",
    "logsumexp([{0}, {1}, {1}])", "sum([{0}])", "prod([{0}, {1}, {2}, {0}])", "logsumexp([{0}, {0}])",
    "dot([{0}], [{1}])",
    "activations.softmax([{0}, {1}, {2}])[1]", "activations.log_softmax([{0}, {1}])[0]",
    "sum([x * x for x in [{0}, {1}]])",
    "activations.softmax([{0}, {1}, {0}], temperature=0.5)[0]", "dot(activations.softmax([{0}, {1}]), [{2}, {0}])",
    "activations.softmax([{0}, {1}], temperature=1.0 + {2} * {2})[0]", "mean([{0}])",
    "sum([{0}, 1, True, Fraction(1, 2)])",
)
ACTIVATIONS = (
    "activations.identity({0})", "activations.sigmoid({0})", "activations.tanh({0})", "activations.relu({0})",
    "activations.leaky_relu({0})", "activations.leaky_relu({0}, slope=0.25)", "activations.leaky_relu({0}, slope={1})",
    "activations.leaky_relu({0}, 0.0)", "activations.elu({0})", "activations.elu({0}, alpha=0.5)",
    "activations.elu({0}, alpha={1})", "activations.selu({0})", "activations.gelu({0})",
    'activations.gelu({0}, approximate="tanh")', "activations.silu({0})", "activations.softplus({0})",
    "activations.softplus({0}, beta=2.0)", "activations.softplus({0}, beta=1.0 + {1} * {1})",
    "activations.hardtanh({0})", "activations.hardtanh({0}, low=-0.5, high=2)", "activations.hardsigmoid({0})",
    "activations.softsign({0})", 'activations.activation("leaky_relu", slope=0.1)({0})',
)
LOSSES = (
    "losses.mean_squared_error([{0}, {1}], [{2}, 0.5])",
    'losses.mean_squared_error([[{0}, {1}]], [[0.5, {2}]], reduction="sum")',
    "losses.mean_absolute_error([{0}, {1}], [{1}, 0.5])", "losses.huber([{0}, {1}], [{2}, 0.5])",
    "losses.huber([{0}], [{1}], delta=0.75)", "losses.hinge([{0}, {1}], [1, -1])",
    "losses.binary_cross_entropy([sigmoid({0}), sigmoid({1})], [1, 0.25])",
    "losses.binary_cross_entropy_with_logits([{0}, {1}], [1.0, 0.0])",
    "losses.binary_cross_entropy_with_logits([{0}], [sigmoid({1})], pos_weight=3.0)",
    "losses.cross_entropy([[{0}, {1}, {2}]], [1])", "losses.cross_entropy([[{0}, {1}], [{1}, {2}]], [0, [0.25, 0.75]])",
    "losses.cross_entropy([[{0}, {1}]], [0], label_smoothing=0.1)",
    "losses.cross_entropy([[{0}, {1}]], [1], class_weights=[1.0, 2.0])",
    "losses.categorical_cross_entropy([activations.softmax([{0}, {1}])], [1])",
    "losses.categorical_cross_entropy([activations.softmax([{0}, {1}])], [[0.25, 0.75]])",
    "losses.negative_log_likelihood([activations.log_softmax([{0}, {1}])], [0])",
    "losses.kl_divergence([activations.softmax([{0}, {1}])], [activations.softmax([{1}, {2}])])",
)
LOOPS = (
    "{t} = {0}\nfor _ in range(3):\n    {t} = 1.0 + {1} + {1} * {t} + {1}",
    "{t} = {0}\nfor _ in range(2):\n    {t} = {2} * {t} + {1} * {0}",
    "{t} = {0}\nfor _ in range(4):\n    {t} = sin({t}) + {1}",
    "{t} = {0}\nfor k in range(3):\n    {t} = {t} * {1} / (k + 1)",
    "{t} = {0}\nfor _ in range(3):\n    if {t} > 1.0:\n        {t} = 0.5 * {t}\n    else:\n        {t} = {t} + {1}",
    "{t} = {0}\nfor each in [{1}, {2}, 0.5]:\n    {t} = max({t} * each, each)",
    "{t} = 0\nfor each in ({0}, {1}, {2}):\n    {t} += each * each",
    "{t} = {0}\nfor _ in range(3):\n    {t} = {t} - 0.1 * ({t} * {t} - {1})",
)
INNER = (
    "{t} = grad(lambda u: sin(u) * {1} + u * {0})({0})",
    "{t} = grad(lambda u, w: u * w * {1}, (0, 1))({0}, {2})[1]",
    "{t} = grad(lambda u: {0} * u)(1.0)",
    "{t} = grad(lambda u: exp(-u * u) + relu(u - {1}))({0})",
    "{t} = value_and_grad(lambda u: tanh(u * {1}) * u)({0})\n{t} = {t}[0] + {t}[1]",
    "{t} = jvp(lambda u: u * u * {1}, ({0},), ({2},))[1]",
    "{t} = hvp(lambda u: sin(u) * u * {1}, ({0},), (1.0,))",
    "{t} = sum([d * d for d in grad(lambda p: tanh(p[0] * p[1]) * {1})([{0}, {2}])])",
    "{t} = {0}\nfor _ in range(2):\n    {t} = {t} - 0.1 * grad(lambda u: (u * {1} - {2}) ** 2)({t})",
    "{t} = grad(lambda u: grad(lambda s: s * s * u * {1})({0}))({2})",
    "{t} = atan2(grad(lambda u: {0} * u)({1}), -1.0)",
    "{t} = dot(jacobian(lambda u: [u * {1}, sin(u)])({0}), [1.0, {2}])",
    "{t} = vjp(lambda u, s: u * s, {0}, {1})[1]({2})[0]",
)
OTHER = (
    "{t} = constant({0}) * {1}", "with no_grad():\n    {t} = {0} * {1}", "{t} = {1} + constant(sin({0}))",
    "with no_grad():\n    {t} = tanh({0})\n{t} = {t} * {1}", "{t} = {0}\n{t} += {1}\n{t} *= {2}",
    "{t} = [{0}, [{1}, ({2},)]]\n{t} = {t}[1][1][0] * {t}[0]",
    '{t} = {{"a": {0}, "b": {1}}}\n{t} = {t}["a"] - {t}["b"]',
)
CONTROL = (  # loops, choices, calls and roots as operations
    "{t} = scan(lambda c, x: (sin(c * {0}) + x, c * {1}), {2}, [{1}, 0.5, {0}])\n{t} = {t}[0] + sum({t}[1])",
    "{t}, {u} = scan(lambda c, x: ((c[1], c[0] * x), [c[0], {1}]), ({0}, {2}), [{0}, 0.3], reverse=True)\n"
    "{t} = {t}[0] * {u}[0][1] + {u}[1][0]",
    "{t} = scan(lambda c, _: (tanh(c * {1}) + {0}, None), {0}, length=5)[0]",
    "{t} = scan(lambda c, x: (c * x + {1}, c), {0}, [0.5, {2}, {1}, 0.1], checkpoint=2)\n{t} = {t}[0] * {t}[1][2]",
    "{t} = fori_loop(0, 3, lambda i, c: c * {1} + i, {0})",
    "{t} = while_loop(lambda c: abs(c) > 1.0, lambda c: 0.5 * c, {0}, max_steps=1100) * {1}",
    "{t} = while_loop(lambda c: c[0] < 1.0, lambda c: (c[0] + 0.3, c[1] * {1}), (0.0 * {0}, {0}), max_steps=9)[1]",
    "{t} = cond({0} > {1}, lambda a, b: a * b, lambda a, b: a + {2}, {0}, {1})",
    "{t} = cond({0}, lambda a: {{'y': [sin(a), a]}}, lambda a: {{'y': [a, {1}]}}, {2})\n{t} = sum({t}['y'])",
    "{t} = checkpoint(lambda a, b: [tanh(a * b), a + {2}])({0}, {1})\n{t} = {t}[0] * {t}[1]",
    "{t} = root(lambda y, a: y + 0.5 * sin(y) - a, sin({1}), {0})",
    "{t} = root(lambda y, a: [y[0] + 0.1 * sin(y[1]) - a, y[1] - sin(a) * {1}], [0.0, 0.0], {0})\n"
    "{t} = {t}[0] * {t}[1]",
    "{t} = root(lambda y: y ** 3 + y - {0}, 0.5, bracket=(-20.0, 20.0))",
    "{t} = scan(lambda c, x: (cond(c > 0.5, lambda u: u * x, lambda u: u + {1}, c), c), {0}, [0.9, 1.1, {2}])\n"
    "{t} = {t}[0] + {t}[1][1]",
    "{t} = scan(lambda c, x: (scan(lambda d, y: (sin(d) * y + c, d), x, [{0}, {1}])[0] + c, x), {2}, [0.4, {0}])\n"
    "{t} = {t}[0] * {t}[1][0]",
    "{t} = scan(lambda c, x: (while_loop(lambda z: abs(z) > 1.0, lambda z: z * 0.5, c * x, max_steps=1100), None), "
    "{0}, [{1}, 2.5, {2}])[0]",
    "{t} = fori_loop(0, 2, lambda i, c: root(lambda y, a: y + 0.2 * tanh(y) - a, 0.0, c * {1}), {0})",
    "{t} = grad(lambda u: scan(lambda c, x: (c * u + sin(x), None), {0}, [{1}, 0.2])[0])({2})",
    "{t} = jvp(lambda u: while_loop(lambda c: abs(c) > 0.5, lambda c: 0.4 * c * cos(0.1 * u), u + {1}, "
    "max_steps=1100), ({0},), (1.0,))[1]",
    "{t} = while_loop(lambda c: abs(c[0]) > 1.0, lambda c: (while_loop(lambda z: abs(z) > 2.0, lambda z: 0.5 * z, "
    "0.7 * c[0], max_steps=1100), c[1] * {1}), ({0}, {2}), max_steps=9)\n{t} = {t}[0] + {t}[1]",
    "{t} = while_loop(lambda c: abs(c) > 1.0, lambda c: cond(c > {1}, lambda u: 0.5 * u, lambda u: 0.3 * u, c), {0}, "
    "max_steps=1100)",
    "{t} = cond({0} > {1}, lambda a: scan(lambda c, x: (sin(c) * x, None), a, [{1}, 0.5])[0], lambda a: "
    "cond(a > 0.0, lambda u: u * {0}, lambda u: root(lambda y, a: y + 0.5 * sin(y) - a, 0.0, u), a), {2})",
    "{t} = minimum(lambda y, a: cosh(y) - y * sin(a), 0.0, {0}) * {1}",
    "{t} = fixed_point(lambda y, a: 0.25 * sin(y) + a, 0.0, {0}) * {1}",
    "{t} = root(lambda y, a: y + 0.1 * fori_loop(0, 2, lambda i, c: sin(c), y) - a, 0.0, {0})",
    # calls of compiled functions, whose definitions are in CALLED
    "{t} = stage({0}, {1})\n{t} = {t}[0] * {2} + {t}[1]",
    "{t} = stage({0}, {1})\n{t} = stage({t}[1], {t}[0])\n{t} = stage({t}[0], {0})[0] * {t}[1]",
    "{t} = stage({0}, 0.5)[1] * stage({0}, {0})[0]",
    "{t} = bent({0}, {1}) + bent({1}, {2})",
    "{t} = turned({0}, 3) * turned({1}, n=4, side='right')",
    '{t} = nested({{"a": {0}, "b": [{1}, {2}]}})\n{t} = {t}["y"] * {t}["z"][0]',
    "{t} = scan(lambda c, x: (stage(c, x)[0], stage(x, c)[1]), {0}, [{1}, 0.5, {2}])\n{t} = {t}[0] + {t}[1][1]",
    "{t} = while_loop(lambda c: abs(c) > 1.0, lambda c: 0.1 * stage(0.1 * c, {1})[1], {0}, max_steps=1100)",
    "{t} = cond({0} > {1}, lambda a, b: stage(a, b)[0], lambda a, b: turned(b, 3) * a, {0}, {2})",
    "{t} = root(lambda y, a: y + 0.001 * stage(0.1 * y, 0.2)[1] - a, 0.0, {0})",
    "{t} = looped({0}, {1})",
    "{t} = grad(lambda u: stage(u, {0})[0] * u)({1}) + slopes({0}, {2})[1]",
    "{t} = jvp(lambda u: stage(u, {0})[1], ({1},), ({2},))[1]",
    "{t} = checkpoint(lambda a, b: stage(a, b)[0] * a)({0}, {1})",
)
_CALLED = """\
@compile
def stage(x, y):
    for _ in range(12):
        x, y = sin(x * y) + y, cos(x) - 0.5 * y * x
    return [x, y]

@compile
def bent(x, y):
    for _ in range(20):
        x = sin(x) + 0.1 * y
    return x if x > y else x * y

@compile(static_argnames="n")
def turned(x, n, side="left"):
    for _ in range(6 * n):
        x = sin(x) * 1.1 + (0.1 * x * x if side == "left" else 0.3 * x)
    return x

@compile
def nested(p):
    x, (y, z) = p["a"], p["b"]
    for _ in range(3):
        x, y = stage(x, y)
        z = tanh(z * turned(x, 2))
    return {"y": x * z, "z": (y, 1.0)}

@compile
def looped(x, y):
    c, ys = scan(lambda c, t: (stage(c, t)[0], c * y), x, [0.1, y])
    c = while_loop(lambda c: abs(c) > 1.0, lambda c: 0.5 * c, c, max_steps=1100)
    return sum(ys) + turned(root(lambda z, a: z + 0.5 * sin(z) - a, 0.0, c), 2)

@compile
def slopes(x, y):
    return grad(lambda x, y: stage(x, y)[0] * y, (0, 1))(x, y)"""
# Compiled functions that a program calls: operations, save the one that branches.
CALLED = {re.findall(r"def (\w+)", text)[0]: text for text in _CALLED.split("\n\n")}
PRIMITIVES = {  # name: (how it is defined, how it is called)
    "cube": ("@primitive(lambda y, a: (3.0 * a * a,))\ndef cube(a):\n    return a * a * a", "cube({0})"),
    "wave": (
        "@primitive(lambda y, a, b: (b * cos(a * b), a * cos(a * b)))\ndef wave(a, b):\n    return sin(a * b)",
        "wave({0}, {1})",
    ),
    "lean": ("@primitive((2.0, -1.0))\ndef lean(a, b):\n    return 2.0 * a - b", "lean({0}, {1})"),
    "squares": (
        "@primitive(lambda y, *xs: [2.0 * x for x in xs])\n"
        "def squares(*xs):\n    return float(sum([x * x for x in xs]))",
        "squares({0}, {1}, {0})",
    ),
    "kink": ("@primitive(lambda y, a: (step(a - 1.0),))\ndef kink(a):\n    return relu(a - 1.0)", "kink({0})"),
    "slope": ("@primitive(lambda y, a: grad(sin)(a))\ndef slope(a):\n    return sin(a)", "slope({0})"),
    "inside": ("@primitive(lambda y, a: (cos(a),))\ndef inside(a):\n    return grad(lambda u: -cos(u))(a)",
    "inside({0})"),
}
# What hands on nothing at some points, over what has an infinite slope, or a value of its own kind, there.
FLAT = (
    "activations.hardtanh({})", "activations.hardsigmoid({} + 5.0)", "activations.leaky_relu({}, 0.0)",
    "relu({} - 1.0)",
    "clamp({}, -1.0, 1.0)", "max({}, 0.0)", "step({}) * {}", "min({}, 2.0)", "sigmoid({})", "tanh({})", "abs({})",
    "0.0 * {}", "exp(-{})", "{} ** 2", "atan({})", "1.0 / {}", "where({}, 1.0, {})", "activations.softsign({})",
)
STEEP = (
    "exp({0})", "log({0})", "sqrt({0})", "sqrt(abs({0}))", "cbrt({0})", "asin({0})", "atanh({0})", "acosh({0})",
    "1.0 / {0}",
    "{0} ** 0.5", "log1p({0})", "{0} / {1}", "hypot({0}, {1})", "atan2({0}, {1})", "{0} ** {1}", "{0} * {0}",
    "exp({0} * {1})",
)
COMPARISONS = ("{0} > {1}", "{0} < {1}", "{0} <= {1}", "{0} >= {1}", "{0} == {1}", "{0} != {1}")
EXACT_COMPARISONS = (
    "{0} < Fraction(1, 3)", "{0} >= Fraction(1, 3)", 'Decimal("0.1") <= {0}', '{0} <= Decimal("0.1")',
    "{0} > 2**53 + 1", "{0} == 2**53 + 1", "{0} < 10**400",
    "bool({0} == np.float32(0.1))", "bool({0} >= np.float32(0.1))",
    "{0} == True", "1 < {0}", "{0} != Fraction(1, 2)", "{0} > -10**400",
)
FLAG_USES = (  # {c}: a comparison's result
    "where({c}, {0}, {1})", "where({c}, {0}, 0.0)", "{0} if {c} else {1}", "{c} * {0}", "{0} + {c}",
    "where({c}, sqrt({0}), {1})", "where({c}, {0}, {0})", "{0} if not {c} else {1}", "where({c}, log({0}), 1.0)",
)
OF_COMPARISONS = (  # {c}: that of two numbers, which is a bool in the eager run
    "[{0}, {1}][{c}]", "int({c}) * {0}", "float({c}) + {0}", "({c} == True) * {0}", "({c} ^ ({0} > {1})) * {1}",
    "{0} - {c} * {1}", "{0} / (1 + {c})", "{0} ** {c}", "sum([{0}, {c}, {c}])", "max({c}, {0})", "{0} * ({c} + {c})",
    "({c} and {0}) + 1.0", "({c} or {0}) * 2.0", "where({c} & ({0} > 0.0) | ({1} < 0.0), {1}, {0})", "-{c} + {0}",
)
TAME_CONSTANTS = (
    "1.0", "0.5", "(-1.0)", "2.0", "2", "3", "(-2)", "0.1", "(-0.3)", "1", "True", "Fraction(1, 3)", "0", "0.0",
)
# fmt: on


def number_text(x: float) -> str:
    text = "nan" if isnan(x) else repr(x)
    return f"({text})" if text[0] == "-" else text


WILD_CONSTANTS = tuple(map(number_text, SPECIAL))
# fmt: off
MASKED = (
    "relu({0})", "tanh({0})", "sigmoid({0})", "cbrt({0})", "erfc({0})", "activations.gelu({0})",
    "activations.silu({0})", "acosh({0})", "logsumexp([{0}, 0.5])", "hypot({0}, 1.0)", "exp({0})", "log({0})",
    "activations.elu({0})", "softplus({0})", "sqrt({0})", "atan2({0}, 0.5)", "pow({0}, 1.5)", "sin({0})",
)
# fmt: on

# ---- a program -------------------------------------------------------------------------------------------------------


class Statement(NamedTuple):
    target: str
    text: str
    operands: tuple[str, ...]

    def lines(self) -> list[str]:
        text = self.text if "{t}" in self.text else "{t} = " + self.text
        return text.format(*self.operands, t=self.target, u=f"{self.target}_").split("\n")


class Program(NamedTuple):
    """A function and how it is taken, with the arguments of some samples: the first is where it is traced."""

    number: int
    kind: str
    preamble: tuple[str, ...]
    parameters: tuple[str, ...]
    statements: tuple[Statement, ...]
    result: Statement
    taking: tuple[str, ...]  # lines, the last of which defines g
    order: int
    samples: tuple[tuple[Any, ...], ...]
    axes: tuple[int | None, ...]  # which arguments a batch shares
    tiles: int = 0  # so many samples in a batch, if not one of each
    threads: int = 1
    name: str = "f"  # by which the function calls itself: that of something that generated code calls, perhaps

    @property
    def cost(self) -> tuple[int, ...]:
        """What a smaller program has less of, the weightiest first."""
        text = self.source()
        zeros = text.count("0.5") + len(repr(self.samples))
        return len(self.statements) + len(self.preamble), self.order, len(self.samples), self.tiles, len(text), zeros

    def source(self) -> str:
        """f and g, as Python that runs after the header."""
        lines = [*self.preamble, f"def f({', '.join(self.parameters)}):"]
        for statement in self.statements:
            lines += ["    " + line for line in statement.lines()]
        lines.append("    return " + self.result.text.format(*self.result.operands))
        if self.name != "f":
            lines.append(f"f.__name__ = {self.name!r}")
        return "\n".join([*lines, *self.taking, ""])

    def namespace(self) -> dict[str, Any]:
        """What the source defines."""
        space: dict[str, Any] = dict(_header())
        exec(compile(self.source(), f"<program {self.number}>", "exec"), space)
        return space

    def smaller(self) -> Iterator[Program]:
        """Programs with less in them."""
        if len(self.samples) > 1:
            for kept in (self.samples[:1], self.samples[:2], self.samples[: len(self.samples) // 2], self.samples[1:]):
                yield self._replace(samples=kept)
            for k in range(len(self.samples)):
                yield self._replace(samples=(*self.samples[:k], *self.samples[k + 1 :]))
        if self.tiles:
            for tiles in (0, self.tiles // 2, self.tiles - 1):
                yield self._replace(tiles=tiles)
        if self.threads > 1:
            yield self._replace(threads=1)
        if self.name != "f":
            yield self._replace(name="f")
        if len(self.taking) > 1:  # one order less
            less = [line.replace("s1", "f").replace("s2", "s1").replace("s3", "s2") for line in self.taking[1:]]
            yield self._replace(taking=tuple(less), order=self.order - 1)
        if self.order > 0 and len(self.taking) == 1:
            yield self._replace(taking=("g = f",), order=0)
            if "grad(f)" not in self.taking[0]:
                yield self._replace(taking=("g = grad(f)",), order=1)
            if "(0, 1" in self.taking[0]:
                yield self._replace(taking=(re.sub(r"\(0, 1[, 0-9]*\)", "0", self.taking[0]),))
        for k in range(len(self.preamble)):
            name = re.search(r"def (\w+)|^(\w+) =", self.preamble[k])
            assert name is not None
            if (name[1] or name[2]) not in "".join(line for s in self.statements for line in s.lines()):
                yield self._replace(preamble=(*self.preamble[:k], *self.preamble[k + 1 :]))
        yield from self._without_blocks()
        for k in range(len(self.statements) - 1, -1, -1):
            gone = self.statements[k]
            rest = (*self.statements[:k], *self.statements[k + 1 :])
            for stand_in in dict.fromkeys((*gone.operands, "0.5", "1.0")):
                yield self._replace(
                    statements=tuple(_replaced(s, gone.target, stand_in) for s in rest),
                    result=_replaced(self.result, gone.target, stand_in),
                )
        for k, statement in enumerate(self.statements):
            for text in _simpler(statement):
                changed = statement._replace(text=text)
                yield self._replace(statements=(*self.statements[:k], changed, *self.statements[k + 1 :]))
            for j, operand in enumerate(statement.operands):
                for other in dict.fromkeys((*statement.operands, "1.0", "0.0", "x", "x0")):
                    if other != operand and (other[0] not in "vcx" or other in self._known(k)):
                        operands = (*statement.operands[:j], other, *statement.operands[j + 1 :])
                        changed = statement._replace(operands=operands)
                        yield self._replace(statements=(*self.statements[:k], changed, *self.statements[k + 1 :]))
        if self.result.text != "{0}":
            for operand in self.result.operands:
                yield self._replace(result=Statement("", "{0}", (operand,)))
        for k, sample in enumerate(self.samples):
            for simple in (1.0, 0.0, 0.5, 2.0):
                for changed in _simpler_trees(sample, simple):
                    yield self._replace(samples=(*self.samples[:k], changed, *self.samples[k + 1 :]))

    def _without_blocks(self) -> Iterator[Program]:
        """Without what the result does not need, and without halves, quarters, ... of the statements."""
        needed: set[str] = set(_words(self.result))
        alive = []
        for statement in reversed(self.statements):
            if statement.target in needed:
                alive.append(statement)
                needed.update(_words(statement))
        if len(alive) < len(self.statements):
            yield self._replace(statements=tuple(alive[::-1]))
        size = len(self.statements) // 2
        while size > 1:
            for start in range(len(self.statements) - size, -1, -size):
                gone = {s.target: s.operands[0] for s in self.statements[start : start + size]}
                left = [*self.statements[:start], *self.statements[start + size :], self.result]
                for stand_in in ("", "0.5"):
                    for name in reversed(gone):
                        left = [_replaced(s, name, stand_in or gone[name]) for s in left]
                    yield self._replace(statements=tuple(left[:-1]), result=left[-1])
            size //= 2

    def _known(self, k: int) -> set[str]:
        return {s.target for s in self.statements[:k]} | set(self.parameters)

    def shrunk(self, fails: Callable[[Program], bool], tries: int = 400) -> Program:
        """The smallest program found that still fails, in some seconds."""
        found, end = self, time.monotonic() + 15.0
        smaller = found.smaller()
        while tries and time.monotonic() < end and (candidate := next(smaller, None)) is not None:
            if candidate.cost < found.cost:
                tries -= 1
                if fails(candidate):
                    found, smaller = candidate, candidate.smaller()
        return found


_known_header: dict[str, Any] = {}


def _header() -> dict[str, Any]:
    if not _known_header:
        exec(compile(HEADER, "<header of programs>", "exec"), _known_header)
    return _known_header


def _replaced(statement: Statement, name: str, by: str) -> Statement:
    operands = tuple(re.sub(rf"\b{name}\b", by, operand) for operand in statement.operands)
    return statement._replace(operands=operands)


def _words(statement: Statement) -> list[str]:
    return re.findall(r"[vc]\d+", " ".join(statement.operands))


def _simpler(statement: Statement) -> Iterator[str]:
    for text in ("{0} * {1}", "{0} + {1}", "-{0}", "{0} * {0}"):
        if all(f"{{{k}}}" not in text for k in range(len(statement.operands), 3)) and text != statement.text:
            yield text
    arms = re.findall(r"\{t\} = (.*)", statement.text)
    if "\n" in statement.text:
        yield from (arm for arm in arms if "{t}" not in arm and "{u}" not in arm)


def _simpler_trees(tree: Any, simple: float) -> Iterator[Any]:
    """The tree with one number replaced."""
    if isinstance(tree, dict):
        for key, child in tree.items():
            yield from ({**tree, key: changed} for changed in _simpler_trees(child, simple))
    elif isinstance(tree, list | tuple):
        for k, child in enumerate(tree):
            yield from (type(tree)([*tree[:k], changed, *tree[k + 1 :]]) for changed in _simpler_trees(child, simple))
    elif len(repr(tree)) > len(repr(simple)) or (repr(tree) != repr(simple) and tree not in (0.0, 1.0)):
        yield simple


# ---- drawing ---------------------------------------------------------------------------------------------------------

KINDS = {  # how often, and how many statements at least and at most, by the highest order at which they are taken
    "smooth": (14, (1, 7), 4),
    "choices": (16, (1, 7), 4),
    "rows": (16, (1, 6), 3),
    "wild": (16, (1, 5), 3),
    "branches": (8, (2, 7), 3),
    "edges": (12, (1, 2), 3),
    "masks": (8, (3, 8), 2),
    "wide": (6, (12, 30), 1),
    "inner": (8, (1, 4), 2),
    "own": (4, (1, 4), 3),
    "long": (0.2, (150, 300), 1),
    "control": (0, (1, 3), 3),  # one program in so many
}
CONTROL_EVERY = 20
SHAPES = (*("{}",) * 4, "[{}, {}]", "({}, {})", "dict(a={}, b={})", "[{}, [{}, {}]]", "dict(w=[{}, {}], b={})")
RESULTS = ("[{0}, {1}]", "({0}, [{1}, {2}])", "dict(a={0}, b=({1},))", "[{0}]", "({0}, {0}, 1.0)")
NAMES = ("sqrt", "exp", "abs", "copysign", "inf", "nan", "x", "o", "x0", "v1", "t1", "float", "<lambda>", "two words")
_PLACES = {  # where the leaves of a shape are
    "{}": ("",),
    "[{}, {}]": ("[0]", "[1]"),
    "({}, {})": ("[0]", "[1]"),
    "dict(a={}, b={})": ('["a"]', '["b"]'),
    "[{}, [{}, {}]]": ("[0]", "[1][0]", "[1][1]"),
    "dict(w=[{}, {}], b={})": ('["w"][0]', '["w"][1]', '["b"]'),
}


class _Drawer:
    """What draws the statements of one program."""

    def __init__(self, r: random.Random, kind: str, order: int) -> None:
        self.r, self.kind, self.order = r, kind, order
        self.wild = kind == "wild" or r.random() < 0.1
        self.statements: list[Statement] = []
        self.preamble: list[str] = []
        self.flags: list[str] = []
        self.parameters: list[str] = []
        self.shapes: list[str] = []
        self.names: list[str] = []
        for k in range(1 + int(3 * r.random())):
            name, shape = f"x{k}", r.choice(SHAPES)
            self.parameters.append(name)
            self.shapes.append(shape)
            self.names += [name + place for place in _PLACES[shape]]
        if r.random() < 0.15:
            for k in range(1 + int(2 * r.random())):
                self.preamble.append(f"w{k} = Value({self.number()!r})")
                self.names.append(f"w{k}")

    def number(self) -> float:
        """An input."""
        r = self.r
        chance = r.random()
        if self.wild and chance < 0.5:
            return r.choice(SPECIAL)
        if self.kind == "edges" and chance < 0.45:
            return r.choice((0.0, 0.0, 0.0, -0.0, 1.0, -1.0, 1000.0, inf, -inf, 1e-300))
        if chance > 0.9:
            return r.choice((0.0, 0.0, -0.0, 1.0, -1.0, inf, -inf, float("nan"), 1e308, 5e-324, 1000.0, 1000.0, -1e-9))
        if chance > 0.8:
            return r.choice((0.0, 1.0, -1.0, 0.5, 2.0, 3.0))
        return r.uniform(-3.0, 3.0)

    def operand(self) -> str:
        chance = self.r.random()
        if chance < 0.5:
            return self.names[-1 - int(self.r.random() * min(3, len(self.names)))]
        if chance < 0.82:
            return self.r.choice(self.names)
        return self.r.choice(WILD_CONSTANTS if self.wild and chance < 0.93 else TAME_CONSTANTS)

    def operands(self, text: str) -> tuple[str, ...]:
        count = 1 + max(map(int, re.findall(r"\{(\d)", text)), default=-1)
        chosen = [self.operand() for _ in range(count)]
        if not any(each in self.names for each in chosen):
            chosen[0] = self.r.choice(self.names)
        return tuple(chosen)

    def add(self, text: str, operands: tuple[str, ...] | None = None) -> str:
        target = f"v{len(self.statements)}"
        self.statements.append(Statement(target, text, self.operands(text) if operands is None else operands))
        self.names.append(target)
        return target

    def flag(self) -> str:
        """A condition: a comparison, a number that is 0 or 1, or a known one."""
        chance = self.r.random()
        if self.flags and chance < 0.4:
            return self.r.choice(self.flags)
        if chance < 0.5:
            return self.r.choice(("True", "False", "0", "1.0"))
        if chance < 0.6:
            return self.add("step({0})")
        target = f"c{len(self.statements)}"
        text = self.r.choice(EXACT_COMPARISONS if chance > 0.93 else COMPARISONS)
        if "np." in text and self.order:  # what is not differentiated by is a float, which NumPy compares its own way
            text = "{0} < 10**400"
        self.statements.append(Statement(target, text, self.operands(text)))
        if len(self.flags) > 1 and chance < 0.65:
            both = f"c{len(self.statements)}"
            self.statements.append(Statement(both, self.r.choice(("{0} & {1}", "{0} | {1}")), (target, self.flags[-1])))
            target = both
        self.flags.append(target)
        return target

    def use_of_flag(self) -> None:
        text, flag = self.r.choice(FLAG_USES), self.flag()
        if flag in self.flags and self.r.random() < 0.4:
            text = self.r.choice(OF_COMPARISONS)
        operands = self.operands(text.replace("{c}", "1.0"))
        self.add(text.replace("{c}", f"{{{len(operands)}}}"), (*operands, flag))

    def expression(self) -> str:
        words = self.r.choice((ARITHMETIC, SMOOTH, UNARY, CHOICES))
        return self.edge() if self.kind == "edges" or self.r.random() < 0.3 else self.r.choice(words)

    def edge(self) -> str:
        outer, inner = self.r.choice(FLAT), self.r.choice(STEEP)
        return outer.replace("{}", inner)

    def branch(self) -> None:
        conditions = (*COMPARISONS, *COMPARISONS, "0 < {0} < {1}", "{0} > 0.5 and {1} < 2", "{0}", "not {0} < 1")
        condition, chance = self.r.choice(conditions), self.r.random()
        arms = [self.expression() for _ in range(3)]
        if self.kind == "edges" and self.r.random() < 0.5:  # beside an edge, what has none
            arms[int(self.r.random() * 2)] = self.r.choice(("{0}", "2.0 * {0}", "{0} * 1.0", "{0} + {1}"))
        one, other, third = (f"    {{t}} = {arm}\n" for arm in arms)
        if chance < 0.3:
            text = f"if {condition}:\n{one}elif {{2}} >= {{1}}:\n{third}else:\n{other}"
        elif chance < 0.5:
            text = f"if {condition}:\n    if {{1}} < {{2}}:\n    {one}    else:\n    {third}else:\n{other}"
        else:
            text = f"if {condition}:\n{one}else:\n{other}"
        text = text.rstrip()
        self.add(text, tuple(self.operand() for _ in range(3)))

    def unit(self) -> None:
        """Some statement of this program's kind."""
        r, kind = self.r, self.kind
        chance = r.random()
        if kind == "smooth":
            self.add(r.choice(SMOOTH) if chance < 0.9 else r.choice(LOOPS))
        elif kind == "choices" and chance < 0.6:
            self.use_of_flag() if chance < 0.25 else self.add(r.choice(CHOICES))
        elif kind == "rows" and chance < 0.75:
            words = (UNARY, UNARY, BINARY, NARY, ACTIVATIONS) if self.order > 1 or chance > 0.1 else (LOSSES,)
            self.add(r.choice(r.choice(words)))
        elif kind == "wild" and chance < 0.2:
            self.add(self.edge())
        elif kind == "wild":
            self.add(r.choice(r.choice((UNARY, BINARY, ARITHMETIC, ROUGH, CHOICES, NARY, ACTIVATIONS))))
        elif kind == "branches" and chance < 0.6:
            self.branch() if chance < 0.4 else self.add(r.choice(LOOPS))
        elif kind == "edges":
            self.branch() if chance < 0.6 else self.add(self.edge())
        elif kind == "inner" and chance < 0.7:
            self.add(r.choice(INNER))
        elif kind == "control" and chance < 0.8:
            text = r.choice(CONTROL)
            self.call(text)
            self.add(text)
        elif kind == "own" and chance < 0.7:
            name = r.choice((*PRIMITIVES, *("cube", "wave", "lean", "squares", "kink") * 3))
            definition, call = PRIMITIVES[name]
            if definition not in self.preamble:
                self.preamble.append(definition)
            self.add(call)
        elif chance > 0.94:
            self.add(r.choice(OTHER))
        else:
            self.add(r.choice(r.choice((ARITHMETIC, ARITHMETIC, SMOOTH, UNARY, CHOICES, ROUGH, NARY, ACTIVATIONS))))

    def call(self, text: str) -> None:
        """Define the compiled functions that a text calls."""
        for name in re.findall(r"\b(\w+)\(", text):
            definition = CALLED.get(name, "")
            if definition and definition not in self.preamble:
                self.call(definition.replace(f"{name}(", ""))  # that it calls
                self.preamble.append(definition)

    def masks(self, count: int) -> None:
        """Units of a layer, some of them dropped by a mask that several share; their sum with weights, and a norm."""
        r = self.r
        units = []
        shared = self.flag()
        for _ in range(count):
            inside = self.add(r.choice(("{0} + {1}", "{0} * {1}", "{0} - {1}")))
            text = r.choice(MASKED).format("{1}")
            units.append(
                self.add(
                    f"where({{0}}, {text}, {r.choice(('0.0', '0.0', '1.0', '{1}'))})",
                    (shared if r.random() < 0.5 else self.flag(), inside),
                )
            )
        weights = [r.choice((*self.names[:4], "0.5", "(-1.5)")) for _ in units]
        listed = ", ".join(f"{{{k}}}" for k in range(count))
        others = ", ".join(f"{{{count + k}}}" for k in range(count))
        first = self.add(f"dot([{listed}], [{others}])", (*units, *weights))
        if r.random() < 0.6:
            self.add(f"{{{count}}} + sum([u * u for u in [{listed}]])", (*units, first))

    def wide(self, count: int) -> None:
        """Many values that live across calls in the arms of selections, so that registers run out."""
        r = self.r
        alive = [self.add(r.choice(("{0} + {1}", "{0} * {1}", "{0} - {1}", "{0} + 2.0 * {1}"))) for _ in range(count)]
        shared = self.flag()
        kept = self.add("where({0}, {1}, {2})", (shared, alive[0], alive[1]))
        called = []
        for _ in range(1 + int(3 * r.random())):
            text = r.choice(MASKED).format("{1}")
            flag = shared if r.random() < 0.7 else self.flag()
            called.append(
                self.add(f"where({{0}}, {text}, {{2}})", (flag, r.choice(self.names), r.choice(("1.0", *alive))))
            )
        terms = " + ".join(f"{{{k}}} * {{{count + k}}}" for k in range(count))
        self.add(terms + f" + {{{2 * count}}}", (*alive, *(r.choice(called) for _ in alive), kept))


def _tree(shape: str, numbers: Sequence[Any]) -> Any:
    return eval(shape.format(*(f"n[{k}]" for k in range(len(numbers)))), {"n": numbers, "dict": dict})


def _text(shape: str, numbers: Sequence[float]) -> str:
    return shape.format(*map(number_text, numbers))


def _taking(d: _Drawer, order: int, tree_result: str) -> tuple[str, ...]:
    """How `f` is taken: `order` derivatives, one over the other, each of some way."""
    r = d.r
    every = "0" if len(d.parameters) == 1 else f"({', '.join(map(str, range(len(d.parameters))))})"

    def directions() -> str:
        drawn = [
            _text(shape, [r.choice((1.0, 0.0, 0.5, -2.0, d.number() if d.wild else 1.0)) for _ in _PLACES[shape]])
            for shape in d.shapes
        ]
        return f"({', '.join(drawn)},)"

    if order == 0:
        return ("g = f",)
    lines = []
    name = "f"
    last = 1 if order == 1 or r.random() < 0.4 else 2
    for level in range(1, order - last + 1):
        inner = r.choice((f"grad({name}, {every})(*a)",) * 3 + (f"jvp({name}, a, {directions()})[1]",))
        form = r.choice(("sum(leaves({}))", "sum([d * d for d in leaves({})])", "dot(leaves({0}), leaves({0}))"))
        if "{0}" in form and order > 2:
            form = "sum(leaves({}))"
        lines.append(f"s{level} = lambda *a: " + form.format(inner))
        name = f"s{level}"
    argnums = r.choice(("0", every, every))
    if last == 1:
        cotangent = tree_result.format(*(r.choice(("1.0", "0.5", "(-2.0)", "0.0")) for _ in range(3)))
        if tree_result != "{0}":
            forms: tuple[str, ...] = (
                f"lambda *a: jvp({name}, a, {directions()})",
                f"lambda *a: pulled({name}, a, {cotangent})",
                f"jacobian({name}, {argnums})",
            )
        else:
            forms = (
                f"grad({name}, {argnums})",
                f"grad({name}, {argnums})",
                f"value_and_grad({name}, {argnums})",
                f"lambda *a: jvp({name}, a, {directions()})",
                f"lambda *a: pulled({name}, a, {r.choice(('1.0', '0.5', '(-2.0)'))})",
                f"jacobian({name}, {argnums})",
            )
    else:
        forms = (
            f"grad(lambda *a: sum(leaves(grad({name}, {every})(*a))), {argnums})",
            f"grad(lambda *a: sum([d * d for d in leaves(grad({name}, {every})(*a))]), {argnums})",
            f"lambda *a: hvp({name}, a, {directions()})",
            f"lambda *a: hvp({name}, a, {directions()})",
            f"hessian({name}, {argnums})",
            f"jacobian(grad({name}, {every}), {argnums})",
            f"grad(lambda *a: sum(leaves(grad({name}, {every})(*a))), {argnums})",
            f"value_and_grad(lambda *a: sum([d * d for d in leaves(grad({name}, {every})(*a))]), {argnums})",
            f"grad(lambda *a: jvp({name}, a, {directions()})[1])",
            f"lambda *a: jvp(value_and_grad({name}, {every}), a, {directions()})",
        )
    return (*lines, "g = " + r.choice(forms))


_SAMPLES = (1, 2, 2, 3, 3, 4, 5, 8, 9, 17)


def program(seed: int, number: int) -> Program:
    """The program of that number among those of that seed."""
    r = random.Random((seed << 40) + number)
    kind = r.choices(tuple(KINDS), [weight for weight, _, _ in KINDS.values()])[0]
    if number % CONTROL_EVERY == CONTROL_EVERY - 1:
        kind = "control"
    _, (least, most), highest = KINDS[kind]
    order = min(r.choices(range(5), (24, 34, 26, 10, 6))[0], highest)
    if order > 2:
        most = min(most, 4)
    d = _Drawer(r, kind, order)
    count = r.randint(least, most)
    if kind == "masks":
        d.masks(count)
    elif kind == "wide":
        d.wide(count if order == 0 else least)
    else:
        while len(d.statements) < count:
            d.unit()
    tree_result = r.choice(RESULTS) if order < 2 and r.random() < 0.3 else "{0}"
    used = re.findall(r"\{(\d)\}", tree_result)
    picked = [d.names[-1], *(r.choice(d.names) for _ in used)][: 1 + max(map(int, used))]
    result = Statement("", tree_result, tuple(picked))
    if tree_result == "{0}" and r.random() < 0.3:
        result = Statement("", "{0} + {1}", (d.names[-1], r.choice(d.names)))
    taking = _taking(d, order, tree_result)
    samples = _samples(d)
    axes: list[int | None] = [0 if k == 0 or r.random() < 0.85 else None for k in range(len(d.parameters))]
    r.shuffle(axes)
    shared = [k for k, axis in enumerate(axes) if axis is None]
    samples = [tuple(samples[0][k] if k in shared else x for k, x in enumerate(sample)) for sample in samples]
    chance = r.random()
    tiles = 0 if chance < 0.95 or kind == "long" else 300 + int(50 * r.random()) if chance < 0.985 else 2100
    return Program(
        number, kind, tuple(d.preamble), tuple(d.parameters), tuple(d.statements), result, taking, order,
        tuple(samples), tuple(axes), tiles, 2 if r.random() < 0.1 or tiles > 2000 else 1,
        r.choice((*NAMES, *re.findall(r"\b([a-z]\w*)\(", repr(d.statements)))) if r.random() < 0.1 else "f",
    )  # fmt: skip


def _samples(d: _Drawer) -> list[tuple[Any, ...]]:
    r = d.r
    count = r.choice(_SAMPLES[4:] if d.kind == "edges" else _SAMPLES)
    drawn: list[list[float]] = []
    leaves = sum(len(_PLACES[shape]) for shape in d.shapes)
    for _ in range(count):
        if drawn and r.random() < 0.4:  # a neighbour: one number changed, or two that are equal
            numbers = list(r.choice(drawn))
            numbers[int(r.random() * leaves)] = d.number() if r.random() < 0.7 else r.choice(numbers)
        else:
            numbers = [d.number() for _ in range(leaves)]
        drawn.append(numbers)
    samples = []
    for numbers in drawn:
        supply = iter(numbers)
        samples.append(tuple(_tree(shape, [next(supply) for _ in _PLACES[shape]]) for shape in d.shapes))
    return samples
