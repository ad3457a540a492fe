"""Graphs copied, deep-copied and pickled: whole, shared, at depth, across processes, independent of the original."""

from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given

import scalargrad as sg
from scalargrad import Primitive, Value, primitive
from scalargrad.engine import table
from scalargrad.engine.primitive import CONSTANT, LEAF, TABLE

from .strategies import AWKWARD, KINKED, SMOOTH, Program, any_float, equal, programs, recorded

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def by_pickle(x: Any, protocol: int | None = None) -> Any:
    return pickle.loads(pickle.dumps(x, protocol))


def by_python_pickle(x: Any) -> Any:
    """The pickler and the unpickler that are written in Python."""
    return pickle._loads(pickle._dumps(x))  # type: ignore[attr-defined]


WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, by_pickle, by_python_pickle]


@primitive(lambda y, a, b: (2.0 * a * b, a * a), name="square times")
def square_times(a: float, b: float) -> float:
    return a * a * b


def a_graph() -> tuple[Value, Value, Value]:
    x, w = Value(0.5, label="x"), Value(-2.0, label="w")
    with sg.group("layer/neuron"):
        h = sg.tanh(x * w + 1.0)
    h.label = "h"
    y = square_times(h, x) + h**3 + h ** Value(2.0) + sg.logsumexp([h, x, h]) + sg.where(h > 0, h, x)
    return x, w, y


def leaves_of(y: Value) -> dict[str, Value]:
    return {node.label: node for node in recorded(y) if node.is_leaf}


def assert_same_graph(y: Value, z: Value) -> None:
    one, other = recorded(y), recorded(z)
    assert len(one) == len(other)
    place, twin = ({node: k for k, node in enumerate(nodes)} for nodes in (one, other))
    for a, b in zip(one, other, strict=True):
        assert a is not b
        assert equal(a.data, b.data)
        assert (a.label, a.group) == (b.label, b.group)
        assert a.operation.name == b.operation.name
        assert [place[p] for p in a.parents] == [twin[p] for p in b.parents]
        assert a.has_gradient == b.has_gradient
        assert equal(a.grad, b.grad)


# ---- one graph -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_the_same_graph_of_other_nodes(way: Callable[[Any], Any]) -> None:
    _, _, y = a_graph()
    assert_same_graph(y, way(y))
    y.backward()
    assert_same_graph(y, way(y))


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_independent_of_its_original(way: Callable[[Any], Any]) -> None:
    x, w, y = a_graph()
    y.backward()
    before = (x.grad, w.grad, y.data)
    z = way(y)
    z.backward()
    leaves_of(z)["x"].data = 99.0
    z.label = "copy"
    assert (x.grad, w.grad, y.data, x.data, y.label) == (*before, 0.5, "")
    assert leaves_of(z)["x"].grad == 2.0 * x.grad
    y.backward()
    assert leaves_of(z)["w"].grad == w.grad


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_of_pickle(protocol: int) -> None:
    x, w, y = a_graph()
    z = by_pickle(y, protocol)
    assert_same_graph(y, z)
    y.backward()
    z.backward()
    found = leaves_of(z)
    assert (found["x"].grad.hex(), found["w"].grad.hex()) == (x.grad.hex(), w.grad.hex())


@given(programs(SMOOTH, KINKED, AWKWARD, numbers=any_float))
def test_random_graphs_survive_with_the_bits_of_their_gradients(program: Program) -> None:
    y = program(program.leaves())
    assume(isinstance(y, Value))
    copies = [way(y) for way in WAYS]
    y.backward()
    for z in copies:
        z.backward()
        assert_same_graph(y, z)


@pytest.mark.parametrize("way", WAYS)
def test_a_leaf_a_constant_and_a_gradient(way: Callable[[Any], Any]) -> None:
    x = way(Value(1.5, label="x"))
    assert (x.data, x.label, x.is_leaf, not x.has_gradient) == (1.5, "x", True, True)
    assert way(Value(1.5).detach()).is_constant
    x.grad = 0.25
    assert way(x).grad == 0.25
    zero = Value(1.0)
    (zero * 0.0).backward()
    assert way(zero).has_gradient


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_that_is_a_graph_is_kept_as_its_number(way: Callable[[Any], Any]) -> None:
    x = Value(2.0)
    (x**3).backward(create_graph=True)
    assert way(x).grad == 12.0
    assert type(way(x).grad) is float


@pytest.mark.parametrize("way", WAYS)
def test_families_of_operations(way: Callable[[Any], Any]) -> None:
    x = Value(1.5, label="x")
    (x**2.5 + x ** Value(0.5)).backward(create_graph=True)
    dx = x.grad  # its graph has the derivatives of powers in it
    x.zero_grad()
    copied = way(dx)
    assert any(node.operation.name.startswith("pow_slope") for node in recorded(copied))
    dx.backward()
    copied.backward()
    assert leaves_of(copied)["x"].grad.hex() == x.grad.hex()


# ---- containers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [copy.deepcopy, by_pickle, by_python_pickle])
def test_values_in_one_container_keep_sharing(way: Callable[[Any], Any]) -> None:
    x = Value(3.0)
    h = x * x
    y, z = h + 1.0, h * 2.0
    for order in ([x, h, y, z], [z, y, h, x], [y, x, z, h], [h, z, x, y]):
        container = {"list": order, "again": tuple(order[::-1]), "deeper": [{"h": h}]}
        copied = way(container)
        made = dict(zip([id(each) for each in order], copied["list"], strict=True))
        new_x, new_h, new_y, new_z = (made[id(each)] for each in (x, h, y, z))
        assert new_h.parents[0] is new_x
        assert new_h.parents[1] is new_x
        assert new_y.parents[0] is new_h
        assert new_z.parents[0] is new_h
        assert copied["deeper"][0]["h"] is new_h
        assert all(a is b for a, b in zip(copied["again"], copied["list"][::-1], strict=True))
        (new_y * new_z).backward()
        assert new_x.grad == 6.0 * 18.0 + 12.0 * 10.0
    assert not x.has_gradient


@pytest.mark.parametrize("way", [copy.deepcopy, by_pickle])
def test_a_list_of_every_node_of_a_chain_takes_linear_time(way: Callable[[Any], Any]) -> None:
    """Operands first, each node is met with all before it known: 30,000 of them would take minutes otherwise."""
    nodes = [Value(1.0)]
    for _ in range(30_000):
        nodes.append(-nodes[-1])
    copied = way(nodes)
    assert all(b.parents[0] is a for a, b in pairwise(copied))


def test_the_size_of_a_pickle_is_linear_in_its_nodes() -> None:
    def size(n: int) -> int:
        nodes = [Value(1.0)]
        for _ in range(n):
            nodes.append(-nodes[-1])
        return len(pickle.dumps(nodes))

    assert size(2000) < 2.2 * size(1000)


def test_an_object_that_holds_values_and_is_in_a_graphs_company() -> None:
    class_ = type("Holder", (), {})
    holder = class_()
    holder.w = Value(2.0)
    holder.loss = holder.w * 3.0
    copied = copy.deepcopy([holder, holder.loss])
    assert copied[0].loss is copied[1]
    assert copied[0].loss.parents[0] is copied[0].w


def test_a_pickler_that_dumps_twice_keeps_sharing() -> None:
    x = Value(3.0)
    h = x * x
    y = h + 1.0
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dump(h)
    pickle.dumps(y)  # another pickler in between
    pickler.dump([y, x])
    buffer.seek(0)
    unpickler = pickle.Unpickler(buffer)
    new_h = unpickler.load()
    new_y, new_x = unpickler.load()
    assert new_y.parents[0] is new_h
    assert new_h.parents[0] is new_x


class Nested:
    """Pickles a graph while it is being pickled."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def __getstate__(self) -> Any:
        return pickle.dumps(self.value)

    def __setstate__(self, state: bytes) -> None:
        self.value = pickle.loads(state)


def test_a_pickler_inside_another() -> None:
    y = Value(1.0)
    for _ in range(3000):
        y = -y
    z = y + 1.0
    copied_y, nested, copied_z = by_pickle([y, Nested(z), z])
    assert copied_z.parents[0] is copied_y
    assert_depth(copied_z, 3001)
    assert nested.value.data == z.data
    assert_depth(nested.value, 3001)


def assert_depth(y: Value, n: int) -> None:
    for _ in range(n):
        y = y.parents[0]
    assert y.is_leaf


# ---- depth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "n"), [(copy.copy, 200_000), (copy.deepcopy, 200_000), (by_pickle, 200_000), (by_python_pickle, 20_000)]
)
def test_depth(way: Callable[[Any], Any], n: int) -> None:
    y: Value = Value(2.0)
    for _ in range(n):
        y = -y
    z = way(y)
    assert z.data == y.data
    z.backward()
    assert_depth(z, n)
    leaf = z
    while leaf.parents:
        leaf = leaf.parents[0]
    assert leaf.grad == 1.0


def test_copies_leave_nothing_behind() -> None:
    def count() -> int:
        return sum(type(each) is Value for each in gc.get_objects())

    _, _, y = a_graph()
    for way in WAYS:
        way(y)
    gc.collect()
    gc.disable()
    try:
        before = count()
        for way in WAYS:
            if way is by_python_pickle:
                continue  # the pickler written in Python has reference cycles of its own
            way(y)
            assert count() == before, way
    finally:
        gc.enable()


# ---- operations of one's own, and errors -----------------------------------------------------------------------------


def make_local() -> Primitive:
    @primitive((3.0,))
    def local(a: float) -> float:
        return 3.0 * a

    return local


def test_an_operation_at_a_modules_top_level_is_pickled_by_name() -> None:
    assert by_pickle(square_times) is square_times
    x = Value(2.0)
    z = by_pickle(square_times(x, 3.0))
    assert z.operation is square_times
    assert z.local_gradients == (12.0, 4.0)


@pytest.mark.parametrize("dump", [pickle.dumps, pickle._dumps])  # type: ignore[attr-defined]
def test_a_local_operation_is_refused_when_it_is_dumped_and_copied_all_the_same(dump: Any) -> None:
    y = make_local()(Value(2.0)) + 1.0
    with pytest.raises(TypeError, match=r"local.*top level"):
        dump(y)
    for z in (copy.copy(y), copy.deepcopy(y)):
        assert_same_graph(y, z)
        z.backward()
        assert z.parents[0].grad == 1.0


def test_operations_are_copied_as_themselves() -> None:
    for operation in (table.exp, table.power(2.0), square_times, make_local()):
        assert copy.copy(operation) is operation
        assert copy.deepcopy({"activation": operation})["activation"] is operation
    for operation in (*TABLE.values(), LEAF, CONSTANT):
        assert by_pickle(operation) is operation


def test_a_primitive_that_only_bears_a_rows_name_is_not_pickled_as_that_row() -> None:
    for name in ("exp", "no such row"):
        mine = Primitive(name, 1, lambda a: a, (1.0,))
        with pytest.raises(TypeError, match=name):
            pickle.dumps(mine(Value(1.0)))


def test_a_pickling_that_failed_leaves_nothing_behind() -> None:
    y: Value = Value(1.0)
    for _ in range(5000):
        y = -y
    bad = make_local()(y)
    for _ in range(3):
        bad = -bad
    for dump in (pickle.dumps, pickle._dumps):  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match="top level"):
            dump([y, bad])
        assert_depth(by_pickle(y), 5000)
        try:
            dump(bad)
        except TypeError:  # while the error, and with it the pickler, lives
            assert_depth(by_pickle(y), 5000)
    pickler = pickle.Pickler(io.BytesIO())
    with pytest.raises(TypeError, match="top level"):
        pickler.dump(bad)
    assert_depth(by_pickle(y), 5000)
    del pickler


class Failing(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError("disk full")


def test_a_file_that_fails_leaves_nothing_behind() -> None:
    y: Value = Value(1.0)
    for _ in range(50_000):  # more than one frame of the pickle
        y = -y
    with pytest.raises(OSError, match="disk full"):
        pickle.dump(y, Failing())
    assert_depth(by_pickle(y), 50_000)


def test_pickling_in_threads() -> None:
    shared: Value = Value(1.0)
    for _ in range(2000):
        shared = -shared
    results: list[Value] = []

    def job() -> None:
        for k in range(3):
            results.append(by_pickle([shared + float(k), shared])[0])

    threads = [threading.Thread(target=job) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    for z in results:
        assert_depth(z, 2001)


CHILD = """
import pickle, sys
sys.path[:0] = [{root!r}]
y, leaves = pickle.load(sys.stdin.buffer)
y.backward()
sys.stdout.buffer.write(pickle.dumps([y, leaves, [x.grad.hex() for x in leaves]]))
"""


def test_a_graph_that_goes_to_another_process_and_back() -> None:
    x, w, y = a_graph()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(root=root)],
        input=pickle.dumps([y, [x, w]]),
        capture_output=True,
        check=True,
        timeout=60,
    )
    z, (new_x, new_w), bits = pickle.loads(done.stdout)
    y.backward()
    assert [x.grad.hex(), w.grad.hex()] == bits
    assert_same_graph(y, z)
    assert leaves_of(z)["x"] is new_x
    assert leaves_of(z)["w"] is new_w


def test_a_graph_that_is_being_differentiated_can_be_copied() -> None:
    def f(x: Any) -> Any:
        return copy.deepcopy(x * x) * 3.0 + x

    assert sg.grad(f)(2.0) == 1.0  # the copy is independent: nothing flows through it


def test_primitives_know_how_to_be_made_again() -> None:
    for n in (2.0, 0.5, -1.0):
        for row in (table.power(n), table.power_slope(n, 1), table.power_slope(n, 2)):
            assert by_pickle(row) is row
    again = by_pickle(table.pow_slope(1, 1))
    assert again(1.7, 0.3) == table.pow_slope(1, 1)(1.7, 0.3)


class Referring(Value):
    """A `Value` with attributes that refer to itself, and to what was computed from it."""

    def __init__(self, x: float) -> None:
        super().__init__(x)
        self.me, self.result = self, self * 2.0


class Slots(Referring):
    __slots__ = "_Slots__hidden", "shown"


@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_derived_value_may_refer_to_itself_and_to_its_results(way: Callable[[Any], Any]) -> None:
    for kind in (Referring, Slots):
        x = kind(3.0)
        if isinstance(x, Slots):
            x.shown, x._Slots__hidden = [x], x.result
        copied = way(x)
        assert type(copied) is kind
        assert copied.me is copied is not x
        assert copied.result.parents[0] is copied
        if isinstance(x, Slots):
            assert copied.shown[0] is copied
            assert copied._Slots__hidden is copied.result
        of_result = way(x.result)
        assert of_result.parents[0].result is of_result
