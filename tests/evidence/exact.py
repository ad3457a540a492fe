"""The chain rule in exact arithmetic, on the local gradients that nodes report as floats, and the bound on rounding.

The numbers are `m 2**e`, whole `m`: `Fraction` without its reductions to lowest terms, and several times as fast. That
both say the same is tested. The bound is that of rounding theory: a product of n local gradients, whose contributions
are summed, is off by at most gamma_n = n u/(1 - n u) of the sum of |product| over the paths, u = 2**-53, plus what
products that underflow lose (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

Dyadic = tuple[int, int]  # (m, e): m 2**e

ZERO: Dyadic = (0, 0)
SMALLEST: Dyadic = (1, -1074)
PRECISION = 53


def dyadic(x: float) -> Dyadic:
    numerator, denominator = x.as_integer_ratio()
    return numerator, 1 - denominator.bit_length()


def times(a: Dyadic, b: Dyadic) -> Dyadic:
    return a[0] * b[0], a[1] + b[1]


def plus(a: Dyadic, b: Dyadic) -> Dyadic:
    (m, e), (n, f) = a, b
    return (m + (n << (f - e)), e) if e <= f else ((m << (e - f)) + n, f)


def minus(a: Dyadic, b: Dyadic) -> Dyadic:
    return plus(a, (-b[0], b[1]))


def size(a: Dyadic) -> Dyadic:
    return abs(a[0]), a[1]


def fraction(a: Dyadic) -> Fraction:
    return Fraction(a[0]) * Fraction(2) ** a[1]


class Adjoint(NamedTuple):
    """What is known of a derivative: its exact value, and how far a float may be from it."""

    value: Dyadic
    paths: Dyadic  # the sum of |product of local gradients| over the paths
    underflow: Dyadic
    roundings: int

    def error(self, found: float, extra: int = 0) -> float:
        """How far a float is off, in units of the bound for so many further roundings: at most 1, or it is wrong."""
        off = size(minus(dyadic(found), self.value))
        if off[0] == 0:
            return 0.0
        n = self.roundings + extra
        unit = (1 << PRECISION) - n
        # off / (n u / (1 - n u) paths + 2 underflow), with numerator and denominator multiplied by 2**53 - n
        bound = plus((n * self.paths[0], self.paths[1]), (2 * unit * self.underflow[0], self.underflow[1]))
        if bound[0] == 0:
            return float("inf")
        e = min(off[1], bound[1])
        return _ratio((unit * off[0]) << (off[1] - e), bound[0] << (bound[1] - e))


def _ratio(a: int, b: int) -> float:
    try:
        return a / b
    except OverflowError:
        return float("inf")


NOTHING = Adjoint(ZERO, ZERO, ZERO, 0)


def combined(adjoints: list[Adjoint], weights: list[float], roundings: int) -> Adjoint:
    """What is known of a sum of derivatives, each times a number, after so many roundings."""
    value = paths = underflow = ZERO
    for each, weight in zip(adjoints, weights, strict=True):
        w = dyadic(weight)
        value, paths = plus(value, times(each.value, w)), plus(paths, times(each.paths, size(w)))
        underflow = plus(underflow, plus(times(each.underflow, size(w)), SMALLEST))
    return Adjoint(value, paths, underflow, roundings)


Edges = list[tuple[int, float]]  # (operand, local gradient), in the order of the operands, without constants


def replay(edges: dict[int, Edges], seeds: dict[int, float]) -> dict[int, Adjoint]:
    """The adjoint of every node; `edges` gives each node's operands, and a consumer's number is above its operands'.

    Nodes that no seeded one depends on are left out.
    """
    value = {k: dyadic(seed) for k, seed in seeds.items()}
    paths = {k: size(d) for k, d in value.items()}
    underflow, roundings, contributions = dict.fromkeys(seeds, ZERO), dict.fromkeys(seeds, 0), dict.fromkeys(seeds, 1)
    found: dict[int, Adjoint] = {}
    for k in sorted(edges, reverse=True):
        if k not in value:
            continue
        v, p, w = value[k], paths[k], underflow[k]
        n = roundings[k] + contributions[k] - 1  # the additions
        found[k] = Adjoint(v, p, w, n)
        for j, local in edges[k]:
            d = dyadic(local)
            s = size(d)
            lost = plus(times(w, s), SMALLEST)
            if j in value:
                value[j], paths[j] = plus(value[j], times(v, d)), plus(paths[j], times(p, s))
                underflow[j] = plus(underflow[j], lost)
                roundings[j] = max(roundings[j], n + 1)  # the multiplication
                contributions[j] += 1
            else:
                value[j], paths[j], underflow[j] = times(v, d), times(p, s), lost
                roundings[j], contributions[j] = n + 1, 1
    return found


def lost_forward(edges: dict[int, Edges], root: int) -> Dyadic:
    """What products that underflow lose in forward mode, whose products begin at the inputs: each at most 2**-1074,
    times the local gradients that come after it.
    """
    lost: dict[int, Dyadic] = {}
    for k in sorted(edges):
        total = ZERO
        for j, local in edges[k]:
            total = plus(total, plus(times(lost[j], size(dyadic(local))), SMALLEST))
        lost[k] = total
    return lost[root]


def sum_error(terms: list[float], found: float) -> float:
    """How far a float is off as the sum of floats, in units of the bound for any order of adding them."""
    value = paths = ZERO
    for x in terms:
        d = dyadic(x)
        value, paths = plus(value, d), plus(paths, size(d))
    return Adjoint(value, paths, ZERO, max(len(terms) - 1, 1)).error(found)
