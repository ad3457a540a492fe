"""How long `draw()` of networks and recurrences takes, in columns and, as before, by the engine with all values drawn.

`python -m tests.drawing_times` prints a table; an engine is given 20 seconds.
"""

from __future__ import annotations

from time import perf_counter

import scalargrad as sg
from scalargrad import Value, draw
from scalargrad.drawing.graph.dot import to_boxes
from scalargrad.drawing.graph.labels import labels_of
from scalargrad.drawing.graph.layout import read_layout
from scalargrad.drawing.graph.layout_engines import LayoutError, find, run
from scalargrad.nn import MLP


def network(sizes):
    """The loss of an MLP of two inputs, after its backward pass."""
    y = MLP(2, sizes, "tanh", seed=3)([Value(0.5, label="x1"), Value(1.0, label="x2")])
    y.label = "y"
    return after_backward((y - 1.0) ** 2, "L")


def recurrence(steps):
    """A recurrent unit, unrolled."""
    wx, wh, b = (Value(v, label=name) for v, name in ((0.5, "wx"), (-0.8, "wh"), (0.1, "b")))
    h = Value(0.0, label="h0")
    for t in range(1, steps + 1):
        h = sg.tanh(wx * Value(0.3 * t % 1.0, label=f"x{t}") + wh * h + b)
        h.label = f"h{t}"
    return after_backward(h, h.label)


def repeated(times):
    """y = tanh(y w), so many times."""
    y, w = Value(0.5, label="y0"), Value(0.9, label="w")
    for _ in range(times):
        y = sg.tanh(y * w)
    return after_backward(y, "y")


def after_backward(value, name):
    value.label = name
    value.backward()
    return value


CASES = {
    "MLP 2-4-2-1": lambda: network([4, 2, 1]),
    "MLP 2-16-16-1": lambda: network([16, 16, 1]),
    "recurrence, 20 steps": lambda: recurrence(20),
    "tanh(y w), 30 times": lambda: repeated(30),
    "tanh(y w), 60 times": lambda: repeated(60),
    "tanh(y w), 100 times": lambda: repeated(100),
}


def seconds(work):
    began = perf_counter()
    work()
    return perf_counter() - began


def engine_of(value):
    picture = draw(value, full=True).picture
    engine = find()
    read_layout(run(engine, to_boxes(picture, labels_of(picture)), "json0", 20.0), picture, engine.name)


def main():
    print(f"{'graph':22} {'values':>7} {'drawn':>6} {'draw().svg()':>13} {'all, by the engine':>19}")
    for name, make in CASES.items():
        value = make()
        picture = draw(value).picture
        own = min(seconds(lambda value=value: draw(value).svg()) for _ in range(3))
        try:
            before = f"{seconds(lambda value=value: engine_of(value)):.2f} s"
        except LayoutError:
            before = "over 20 s"
        print(f"{name:22} {picture.total:>7,} {len(picture.nodes):>6} {own:>11.3f} s {before:>19}")


if __name__ == "__main__":
    main()
