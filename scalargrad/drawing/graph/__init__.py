"""The picture of a graph, with the chain rule on it.

`drawing.py` is where to start: `draw` and `Drawing`. `selection.py` decides what is shown, and `folding.py` finds
neurons and steps that repeat; `reading.py` reads it off the `Value`s, with what runs inside loops by `bodies.py`;
`picture.py` is what a picture says, as plain data, and `replay.py` its backward pass step by step. `labels.py` says
what stands on nodes and edges and how they look. `columns.py` finds the places of networks and recurrences, an engine
those of other graphs: `dot.py`, `layout.py`, `layout_engines.py`. `svg.py` draws, `words.py` tells.
"""
