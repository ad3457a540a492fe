"""Operations and their local gradients as one would write them: "a × b", "1−y²".

Read off the rows of operations, given the names of the operands.
"""

import re
from collections.abc import Sequence
from typing import Any

from ..common.text import clean

_SUPERSCRIPTS = str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POWER = re.compile(r"\(\^(.+)\)(′+)")  # the symbol of a derivative of a power
_MIRRORED = {"<": ">", "≤": "≥"}
_PLACEHOLDERS = 0xF0000  # a plane of private letters: names are put in after the minus signs have been made


def formula(operation: Any, operands: Sequence[str]) -> str:
    """An operation on operands of these names, as one would write it.

    >>> from scalargrad.engine import table
    >>> formula(table.mul, ["a", "b"]), formula(table.tanh, ["n"])
    ('a × b', 'tanh(n)')
    """
    symbol, name, count = clean(operation.symbol), operation.name, len(operands)
    if operation.arity == count == 2 and not any(map(str.isalnum, symbol)):
        if symbol in _MIRRORED and operands[0].lstrip("−")[:1].isdigit():  # as it was written: x > 0
            return f"{operands[1]} {_MIRRORED[symbol]} {operands[0]}"
        return f"{operands[0]} {symbol} {operands[1]}"
    if derivative := _POWER.fullmatch(symbol):
        return _power_derivative(float(derivative[1]), len(derivative[2]), operands[0])
    if count == 1 and symbol.startswith("^"):
        return f"{operands[0]}{_raised(symbol.replace('-', '−'))}"
    if name == "neg":
        return f"−{operands[0]}"
    if name == "identity":
        return operands[0]
    if name == "dot":
        products = [f"{x}·{w}" for x, w in zip(operands[: count // 2], operands[count // 2 :], strict=True)]
        return " + ".join(products if len(products) <= 2 else [products[0], "…", products[-1]])
    shown = operands if count <= 3 else [operands[0], "…", operands[-1]]
    return f"{symbol}({', '.join(shown)})"


def notations(operation: Any, y: str, operands: Sequence[str]) -> tuple[str, ...]:
    """The local gradients as text, with proper minus signs; nothing for so many operands that nobody would read it."""
    if len(operands) > 100:
        return ("",) * len(operands)
    if derivative := _POWER.fullmatch(operation.symbol):
        return (_power_derivative(float(derivative[1]), len(derivative[2]) + 1, operands[0]),)
    names = dict(enumerate((y, *operands), _PLACEHOLDERS))
    texts = operation.local_notation(chr(_PLACEHOLDERS), [chr(k) for k in names][1:])
    return tuple(_raised(clean(text.replace("-", "−"))).translate(names) for text in texts)


def _power_derivative(n: float, order: int, x: str) -> str:
    """The derivative of x**n.

    >>> _power_derivative(3.0, 1, "x"), _power_derivative(3.0, 3, "x"), _power_derivative(0.5, 1, "x")
    ('3·x²', '6', '0.5·x^−0.5')
    """
    factor = 1.0
    for k in range(order):
        factor *= n - k
    power = _raised(f"{x}^{n - order:g}".replace("-", "−"))
    text = f"{factor:g}" if factor == 0.0 or n == order else power if factor == 1.0 else f"{factor:g}·{power}"
    return text.replace("-", "−")


def _raised(text: str) -> str:
    """Whole exponents as superscripts; an exponent of one is left out.

    >>> _raised("3·a^2"), _raised("2·a^1"), _raised("a^0.5"), _raised("a^−1")
    ('3·a²', '2·a', 'a^0.5', 'a⁻¹')
    """

    def raised(match: re.Match[str]) -> str:
        return "" if match[1] == "1" else match[1].translate(_SUPERSCRIPTS)

    return re.sub(r"\^(−?\d+)(?![\d.e])", raised, text)
