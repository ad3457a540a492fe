"""Random programs: functions of some numbers, made of statements, that print as the Python they are.

A `Program` is a function with its source text. What is drawn at random are statements, each an operation and its
operands; any number stands for some operand, so that leaving out a statement, as shrinking does, leaves a program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import functions


class Operation(NamedTuple):
    """An expression in `{a}`, `{b}`, `{c}`, as many as it has operands."""

    text: str
    operands: int


def _operations(*texts: str) -> tuple[Operation, ...]:
    return tuple(Operation(text, sum("{" + name + "}" in text for name in "abc")) for text in texts)


# fmt: off
# Smooth, and of moderate size and slope where their operands are. One function each: a program that shrinks to one
# statement then names the culprit.
SMOOTH = _operations(
    "{a} + {b}", "{a} * {b}", "{a} - {b}", "-{a}", "sin({a})", "cos({a})", "tanh({a})", "sigmoid({a})", "atan({a})",
    "softplus({a})", "erf({a})", "erfc({a})", "asinh({a})", "hypot({a}, 1.0)", "atan2({a}, 2.0)", "atan2(3.0, {a})",
    "sum([{a}, {b}, {c}])", "mean([{a}, {b}, {c}])", "logsumexp([{a}, {b}, {c}])", "dot([{a}, {b}], [{c}, 0.5])",
    "prod([{a}, 0.5, {b}])", "0.5 * {a} + 0.25 * {b}", "{a} / (1.0 + {b} * {b})", "1.5 ** -({a} * {a})",
    "exp(-{a} * {a})", "log1p({a} * {a})", "sqrt(1.0 + {a} * {a})", "expm1(-{a} * {a})", "cbrt(3.0 + {a} * {a})",
)
# With kinks, poles, jumps, edges of domains, ties and overflow.
ROUGH = _operations(
    "relu({a})", "abs({a})", "max({a}, {b})", "min({a}, {b}, {c})", "clamp({a}, -1.0, 1.0)", "{a} / {b}", "{a} ** {b}",
    "{a} ** 2", "{a} ** 0.5", "{a} ** -1.5", "{a} ** 3", "exp({a})", "exp2({a})", "expm1({a})", "log({a})", "log2({a})",
    "log10({a})", "log1p({a})", "sqrt({a})", "cbrt({a})", "tan({a})", "asin({a})", "acos({a})", "sinh({a})",
    "cosh({a})", "acosh({a})", "atanh({a})", "atan2({a}, {b})", "hypot({a}, {b})", "{a} % {b}",
    "{a} // {b}", "floor({a})", "ceil({a})", "round({a})", "sign({a})", "step({a})", "prod([{a}, {b}, {c}])",
    "logsumexp([{a}, {b}, {b}])", "where({a} > {b}, {b}, {c})", "({a} - {b}) * {c}",
)
# Of arrays of one shape, in NumPy's names: each gives an array of that shape. The second and third are for one axis,
# and for two.
ARRAYS = _operations(
    "{a} + {b}", "{a} * {b}", "{a} - {b}", "-{a}", "np.sin({a})", "np.cos({a})", "np.tanh({a})", "np.arctan({a})",
    "np.exp(-{a} * {a})", "np.log1p({a} * {a})", "np.sqrt(1.0 + {a} ** 2)", "np.expm1(-{a} * {a})", "np.arcsinh({a})",
    "np.hypot({a}, 1.0)", "np.arctan2({a}, 2.0)", "np.logaddexp({a}, {b})", "{a} / (1.0 + {b} ** 2)",
    "0.5 * {a} + 0.25", "np.tanh(np.sum({a} * {b})) * {c}", "{a} - np.mean({b})",
    "{a} / np.linalg.norm(1.0 + {b} ** 2)",
)
VECTORS = _operations("np.tanh({a} @ {b}) * {c}", "{a}[::-1] * {b}", "np.concatenate([{a}[:1], {b}[1:]])")
MATRICES = _operations(
    "np.tanh({a} @ {b}.T) @ {c}", "{a}[:, ::-1] * {b}", "np.mean({a}, axis=0) + {b}",
    "{a} / (1.0 + np.sum({b} ** 2, axis=1, keepdims=True))", "np.tanh(np.dot({a}, {b}[0]))[:, None] * {c}",
)
ROUGH_ARRAYS = _operations(
    "np.maximum({a}, {b})", "np.minimum({a}, 0.5)", "np.abs({a})", "np.where({a} > {b}, {b}, {c})", "{a} / {b}",
    "np.clip({a}, -1.0, 1.0)", "np.exp({a})", "np.log({a})", "np.sqrt({a})", "np.sign({a}) * {b}", "np.max({a}) - {b}",
)
# fmt: on
TAME_CONSTANTS = (1.0, 0.5, -1.0, 2.0, 0.1, -0.3, 3.0)
WILD_CONSTANTS = (0.0, 1.0, -1.0, -0.0, 1e-8, 1e8, 1e-200, -1e200, 0.1, 709.0)

_NAMES = {name: getattr(functions, name) for name in functions.__all__}


class Program:
    """A function of numbers or `Value`s, given by its source: a lambda in scalargrad's functions.

    `repr` is that source, and runs as it stands after `from scalargrad.functions import *`, and `import numpy as np` if
    it is written in NumPy. `arity` is the number of arguments. Its text is evaluated as Python: make no program of text
    from elsewhere.

    >>> f = Program("lambda x, y: (a := sin(x), a * y + a)[-1]")
    >>> f
    lambda x, y: (a := sin(x), a * y + a)[-1]
    >>> f.arity, f(0.5, 2.0)
    (2, 1.438276615812609)

    On `Value`s no arithmetic raises; on plain floats `/` and `**` raise where Python's do.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.__name__ = "f"
        names = dict(_NAMES)
        if "np." in source:
            import numpy

            names["np"] = numpy
        self._function = eval(source, names)
        self.arity: int = self._function.__code__.co_argcount

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __repr__(self) -> str:
        return self.source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __reduce__(self) -> Any:
        return Program, (self.source,)


def assemble(
    inputs: int,
    statements: Sequence[tuple[Operation, Sequence[int]]],
    constants: Sequence[float] = (),
    result: str = "{}",
) -> Program:
    """The program of these statements, each an operation and three numbers that stand for its operands.

    An even number counts the inputs, then the results so far, from the first one; an odd one counts results from the
    last one back; a multiple of 7, but 0, stands for a constant, if there are any. The program returns `result` of
    the last statement.
    """
    names = list("xyz"[:inputs]) if inputs <= 3 else [f"x{k}" for k in range(inputs)]
    arguments = ", ".join(names)
    lines: list[str] = []
    for number, (operation, operands) in enumerate(statements):
        chosen: list[str] = []
        for operand in operands[: operation.operands]:
            depends = any(name in names for name in chosen)  # on an input: constants alone would be Python's to compute
            if constants and operand % 7 == 0 and operand and (depends or len(chosen) + 1 < operation.operands):
                constant = constants[operand // 7 % len(constants)]
                chosen.append(f"({constant!r})" if str(constant)[0] == "-" else repr(constant))
            elif operand % 2:
                chosen.append(names[-1 - operand // 2 % len(names)])
            else:
                chosen.append(names[operand // 2 % len(names)])
        text = operation.text.format(**dict(zip("abc", chosen, strict=False)))
        if number == len(statements) - 1:
            lines.append(result.format(text))
        else:
            names.append(f"{'abcdefgh'[number]}" if number < 8 else f"v{number}")
            lines.append(f"{names[-1]} := {text}")
    return Program(f"lambda {arguments}: " + (lines[0] if len(lines) == 1 else f"({', '.join(lines)})[-1]"))
