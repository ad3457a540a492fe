"""The picture of a graph, with the chain rule on it.

`drawing.py` is where to start: `draw` and `Drawing`. `selection.py` decides what is shown, and `folding.py` finds
neurons and steps that repeat; `reading.py` reads it off the `Value`s, `picture.py` is what a picture says, as plain
data, and `replay.py` its backward pass step by step. `styles.py` and `labels.py` say how nodes and edges look and what
stands on them. `laying_out.py` finds the places, of networks and recurrences by `columns.py`, of other graphs by an
engine: `dot.py`, `layout.py`, `layout_engines.py`. `svg.py`, `tree.py` and `frames.py` draw.
"""
