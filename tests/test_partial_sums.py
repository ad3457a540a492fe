"""Sums over parts of the samples: merged, they have the bits of one call, whatever the split."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import math
import pickle
import random
import struct
import sys
from array import array
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad.compiler import compile, merge
from scalargrad.compiler.batching import binned
from scalargrad.compiler.batching.binned import Bins
from scalargrad.losses.summation import added, put, total

from .extras import MAPPING, needs_llvm, needs_numpy, np
from .test_compile import tree_bits


def branching(x: Any) -> Any:
    return [sg.sin(x), x * x] if x > 0.0 else [sg.exp(x) - 1.0, -x]


def by_halves(rows: list[list[float]], first: int, size: int) -> list[float] | None:
    """The sum over the samples with numbers from `first` on, of so many, a power of two, as the definition has it."""
    if size == 1:
        return rows[first] if first < len(rows) else None
    a, b = by_halves(rows, first, size // 2), by_halves(rows, first + size // 2, size // 2)
    return a if b is None else b if a is None else [x + y for x, y in zip(a, b, strict=True)]


def samples(count: int, seed: int = 0) -> list[float]:
    r = random.Random(seed)
    return [r.gauss(0.0, 1.0) * 10.0 ** r.randrange(6) for _ in range(count)]


@pytest.mark.parametrize("backend", MAPPING)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 31, 32, 33, 100, 1030])
def test_a_sum_is_that_of_its_halves(backend: Any, count: int) -> None:
    xs = samples(count)
    rows = [[float(y) for y in branching(x)] for x in xs]
    expected = by_halves(rows, 0, 2048)
    assert added(rows) == expected
    assert compile(branching, backend=backend).map(xs, reduce="sum") == expected


@pytest.mark.parametrize("backend", MAPPING)
def test_a_nan_has_the_same_bits_whatever_the_split(backend: Any) -> None:
    f = compile(lambda x: (x, -x), backend=backend)
    kinds = [struct.unpack("<d", bits.to_bytes(8, "little"))[0] for bits in (0xFFF8000000000000, 0x7FF8000000000123)]
    found = set()
    for xs in ([math.inf, 1.0, *kinds, -math.inf] * 4, [*kinds[::-1], -math.inf, math.inf] * 5):
        split = [f.map(xs[:7], reduce="sum", start=0), f.map(xs[7:], reduce="sum", start=7)]
        sums = (f.map(xs, reduce="sum"), merge(split).result(), f.map(xs, reduce="sum", start="unknown").result())
        found |= {struct.pack("<d", y) for each in sums for y in each}
    assert found == {struct.pack("<d", math.nan)}


@pytest.mark.parametrize("backend", MAPPING)
def test_parts_of_any_split_give_the_bits_of_one_call(backend: Any) -> None:
    for count, seed in ((5, 0), (100, 1), (777, 2), (3000, 3)):
        xs, r = samples(count, seed), random.Random(seed)
        f = compile(branching, backend=backend)
        whole = tree_bits(f.map(xs, reduce="sum")), tree_bits(f.map(xs, reduce="mean"))
        for cuts in (0, 1, 2, 7):
            bounds = sorted([0, count, *(r.randrange(count + 1) for _ in range(cuts))])
            for reduce, expected in zip(("sum", "mean"), whole, strict=True):
                parts = [
                    f.map(xs[a:b], reduce=reduce, start=a, threads=1 + cuts % 2)  # type: ignore[arg-type]
                    for a, b in pairwise(bounds)
                ]
                for part in parts:
                    assert len(part) <= max(1, 2 * math.log2(part.count)) if part.count else len(part) == 0
                r.shuffle(parts)
                assert tree_bits(merge(parts).result()) == expected
                by_two = merge([pickle.loads(pickle.dumps(merge(parts[:2]))), *parts[2:]])
                assert tree_bits(by_two.result()) == expected
                assert by_two.samples == ((0, count),)


@given(st.lists(st.integers(0, 200), max_size=6), st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_ranges_are_few_and_do_not_depend_on_the_order(cuts: list[int], first: int, r: random.Random) -> None:
    bounds = sorted([0, 200, *cuts])
    parts = list(pairwise(bounds))
    r.shuffle(parts)
    ranges: Any = {}
    for a, b in parts:
        own: Any = {}
        for k in range(a, b):
            put(own, 1, first + k, [0.1 * k])
        assert len(own) <= max(1, 2 * math.log2(max(b - a, 1)))
        for (size, start), row in own.items():
            put(ranges, size, start, row)
    whole: Any = {}
    for k in range(200):
        put(whole, 1, first + k, [0.1 * k])
    assert ranges == whole
    assert total(ranges) == pytest.approx([0.1 * 199 * 100])


@needs_llvm
def test_the_number_of_the_first_sample_may_be_large() -> None:
    xs = samples(1000)
    for start in (2**31 - 3, 2**52 + 1):
        sums = [
            merge(
                [
                    compile(branching, backend=backend).map(xs[a:b], reduce="sum", start=start + a)
                    for a, b in ((0, cut), (cut, 1000))
                ]
            ).result()
            for backend in ("python", "native")
            for cut in (1, 500, 997)
        ]
        assert all(each == sums[0] for each in sums)


@needs_llvm
def test_a_branch_that_is_traced_in_the_middle_of_a_range_changes_no_bits() -> None:
    xs = [0.1 * k for k in range(1, 200)]
    for odd in (0, 1, 17, 31, 32, 63, 100, 198):
        each = [-x if k == odd else x for k, x in enumerate(xs)]
        expected = added([[float(y) for y in branching(x)] for x in each])
        assert compile(branching, backend="native").map(each, reduce="sum") == expected


@pytest.mark.parametrize("backend", MAPPING)
def test_negative_zeros_have_the_sum_zero(backend: Any) -> None:
    f = compile(lambda x: -x, backend=backend)
    assert [math.copysign(1.0, f.map([0.0] * n, reduce="sum")) for n in (1, 8, 40)] == [1.0] * 3


@needs_numpy
def test_a_part_of_no_samples_is_merged_with_others() -> None:
    f = compile(lambda x: x[0] * x[1])
    x = np.arange(12.0).reshape(6, 2)
    parts = [f.map(part, reduce="sum", start=2 * k) for k, part in enumerate((x[:2], x[2:4], x[4:], x[6:]))]
    assert merge(parts).result() == f.map(x, reduce="sum") == 250.0
    assert parts[-1].samples == ()
    with pytest.raises(ValueError, match="there is nothing in it"):
        merge(parts[-1:]).result()


def test_parts_that_do_not_fit_are_named() -> None:
    f = compile(lambda x: x * x)
    a, b, c = (f.map([1.0] * 10, reduce="sum", start=start) for start in (0, 9, 20))
    with pytest.raises(ValueError, match=r"samples 9 to 9 are in two of the parts: .*samples 0 to 9: .*9 to 18"):
        merge([b, a])
    with pytest.raises(ValueError, match="samples 10 to 19 are missing"):
        merge([c, a]).result()
    assert merge([c, a]).samples == ((0, 10), (20, 30))
    with pytest.raises(ValueError, match="a sum and a mean"):
        merge([a, f.map([1.0], reduce="mean", start=10)])
    with pytest.raises(ValueError, match="of different structures"):
        merge([a, compile(lambda x: [x]).map([1.0], reduce="sum", start=10)])
    with pytest.raises(ValueError, match="no parts"):
        merge([])
    with pytest.raises(TypeError, match=r"expected parts, as map.*got 1\.0"):
        merge([1.0])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="it needs reduce='sum'"):
        f.map([1.0], start=3)
    with pytest.raises(ValueError, match=r"start must be below 2\*\*62"):
        f.map([1.0], reduce="sum", start=2**62)
    with pytest.raises(ValueError, match="start must be a whole number of at least 0, got -1"):
        f.map([1.0], reduce="sum", start=-1)
    with pytest.raises(ValueError, match="batch lengths differ"):
        compile(lambda x, y: x * y).map([], [1.0], reduce="sum", start=3)


# ---- numbers unknown -------------------------------------------------------------------------------------------------

SPREAD = (
    st.floats(allow_nan=False) | st.floats(-1.0, 1.0) | st.sampled_from([5e-324, -5e-324, 1.7e308, 2.0**-1040, 0.0])
)


def binned_value(groups: list[list[float]]) -> float:
    whole = Bins()
    for group in groups:
        bins = Bins()
        bins.add(array("d", group))
        whole.merge(bins)
    return whole.value()


@pytest.mark.parametrize("numpy", [True, False])
@given(st.lists(SPREAD, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_a_binned_sum_depends_on_no_order_and_no_split(numpy: bool, xs: list[float], r: random.Random) -> None:
    shuffled = r.sample(xs, len(xs))
    cuts = sorted(r.randrange(len(xs) + 1) for _ in range(3))
    groups = [shuffled[a:b] for a, b in pairwise([0, *cuts, len(xs)]) if a < b]
    with pytest.MonkeyPatch.context() as patch:
        if not numpy:
            patch.setitem(sys.modules, "numpy", None)
        expected, found = binned_value([xs]), binned_value(groups)
    assert found == expected or (math.isnan(found) and math.isnan(expected))
    if all(map(math.isfinite, xs)):
        exact = sum(map(Fraction, xs))
        bound = Fraction(len(xs) * max(map(abs, map(Fraction, xs)))) / 2**80
        if abs(exact) < 2**1023:
            assert abs(Fraction(expected) - exact) <= bound + abs(exact) / 2**53 + Fraction(2) ** -1075
    else:
        odd = [x for x in xs if not math.isfinite(x)]
        assert expected == sum(odd) or math.isnan(sum(odd))


@pytest.mark.parametrize("backend", MAPPING)
def test_parts_of_unknown_numbers_merge_in_any_order(backend: Any) -> None:
    xs = samples(1000)
    f = compile(branching, backend=backend)
    one = merge([f.map(xs, reduce="sum", start="unknown")]).result()
    assert one == pytest.approx(f.map(xs, reduce="sum"), rel=1e-15)
    parts = [f.map(xs[a:b], reduce="sum", start="unknown", threads=2) for a, b in pairwise([0, 1, 300, 300, 1000])]
    assert merge(pickle.loads(pickle.dumps(parts[::-1]))).result() == one
    assert merge(parts).count == 1000
    mean = f.map(xs, reduce="mean", start="unknown").result()
    assert mean == [y / 1000 for y in one]
    with pytest.raises(ValueError, match="the numbers of samples are known of one only"):
        merge([parts[0], f.map(xs, reduce="sum", start=0)])
    with pytest.raises(ValueError, match="there is nothing in it"):
        merge([f.map([], reduce="sum", start="unknown")]).result()


def test_a_binned_sum_over_more_than_is_added_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binned, "AT_ONCE", 64)
    monkeypatch.setattr("scalargrad.compiler.batching.batch.AT_ONCE", 64)
    xs = samples(1000)
    f = compile(lambda x: x, backend="python")
    assert f.map(xs, reduce="sum", start="unknown").result() == math.fsum(xs)
